"""Words that a player types: variations of a recording, morphs, notes, loops; and nothing is overwritten unasked."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.generator import load_model
from audiogen.stft import multi_resolution_stft_distance
from audiogen.support.cli import cli
from audiogen.support.encoding import encode_recordings, load_recordings
from audiogen.support.files import recording
from audiogen.support.loudness import loudness
from audiogen.support.pitch import estimate_f0_hz, pitch_error_cents
from audiogen.support.rendering import render
from audiogen.waveform import load_audio, save_audio, sine

STEP = 1 / 32768  # of a WAV file's samples
SNARE, TABLA = (str(recording(name)) for name in ("snare", "tabla"))
SAME = 0.1  # dB; phases that are found by iteration depend on the size of a batch


def distance(x, y):
    "Distance of spectrograms (dB)."
    return np.asarray(multi_resolution_stft_distance(x, y))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    "Run words in an empty folder: status, stdout, stderr."
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        status = cli([*map(str, words)])
        return status, *capsys.readouterr()

    return run


def sounds(folder, pattern="*.wav"):
    "The waveforms of a folder's files, by name."
    return [load_audio(path)[0] for path in sorted(Path(folder).glob(pattern))]


def rows(folder):
    with open(Path(folder, "manifest.csv"), newline="") as file:
        return [*csv.DictReader(file)]


# From a recording


def test_variations_of_a_recording_begin_with_the_models_own_version(run):
    status, out, err = run("vary", SNARE, "--count", 3, "--out", "near")
    assert status == 0
    names = [f"snare-{i:02}.wav" for i in range(4)]
    assert [row["file"] for row in rows("near")] == names
    assert out.splitlines()[0].startswith(f"near/snare-00.wav: {SNARE} as the model makes it again")
    model = load_model("spectral")
    clips = load_recordings(model, [SNARE])
    [version] = render(model, model.encode(clips))
    first, *others = sounds("near")
    assert distance(first, version) < SAME
    distances = distance(np.stack(others), first)
    assert (SAME < distances).all() and (distances < distance(0 * first, first)).all()


def test_without_a_step_variations_are_the_models_version(run):
    assert run("vary", TABLA, "--count", 2, "--scale", 0, "--out", "same")[0] == 0
    first, *others = sounds("same")
    for x in others:
        np.testing.assert_allclose(x, first, atol=2 * STEP)


def test_a_morph_ends_at_both_recordings(run):
    assert run("morph", SNARE, TABLA, "--count", 5)[0] == 0
    made = sounds("morph", "snare-to-tabla-*.wav")
    model = load_model("spectral")
    ends = [*render(model, model.encode(load_recordings(model, [SNARE, TABLA])))]
    to_start, to_end = (distance(np.stack(made), end) for end in ends)
    assert to_start[0] < SAME and to_end[-1] < SAME
    assert (np.diff(to_start) > 0).all() and (np.diff(to_end) < 0).all()


def test_a_morph_of_notes_glides(run):
    words = ["generate", "--model", "conditional", "--label", "organ", "--pitch", "C4,E4"]
    assert run(*words)[0] == 0
    ends = ["sounds/organ-C4-01.wav", "sounds/organ-E4-01.wav"]
    status, out, _ = run("morph", *ends, "--model", "conditional", "--count", 3)
    assert status == 0 and "taken for organ" in out
    midi = [float(row["midi"]) for row in rows("morph")]
    np.testing.assert_allclose(midi, [60, 62, 64], atol=0.2)
    f0_hz = estimate_f0_hz(np.stack(sounds("morph")), sample_rate=16000)
    assert np.abs(pitch_error_cents(f0_hz, [60, 62, 64])).max() < 50


def test_another_rate_is_the_same_sound(run):
    model = load_model("spectral")
    for rate in (8000, 44100, 96000):
        tone = sine(300.0, duration=0.4, sample_rate=rate, amplitude=0.3)
        save_audio(f"{rate}.wav", tone * np.linspace(1, 0, len(tone)), sample_rate=rate)
    clips = load_recordings(model, ["8000.wav", "44100.wav", "96000.wav"])
    z, told, _ = encode_recordings(model, clips)
    assert clips.shape == (3, model.num_samples) and told == {}
    np.testing.assert_allclose(z[1:], z[[0, 0]], atol=0.15)


@pytest.mark.parametrize(
    "words, reason",
    [
        ("vary none.wav", "none.wav: no such file"),
        ("vary silent.wav", "silent.wav: silent in the part that is used"),
        ("vary tone.wav --model wavenet", "WaveNet can't encode recordings; want a model that can"),
        ("vary tone.wav --label kick", "--label says which random sounds are drawn"),
        ("morph tone.wav silent.wav", "silent.wav: silent"),
        ("morph tone.wav tone.wav --count 1", "want 2 or more"),
    ],
)
def test_a_recording_that_cannot_be_used_is_one_line(run, words, reason):
    tone = sine(300.0, duration=0.2, sample_rate=16000, amplitude=0.5)
    save_audio("tone.wav", tone, sample_rate=16000)
    save_audio("silent.wav", 0 * tone, sample_rate=16000)
    status, out, err = run(*words.split())
    assert (status, out, err.count("\n")) == (2, "", 1) and reason in err, err
    assert {path.name for path in Path().iterdir()} == {"tone.wav", "silent.wav"}


# Notes


def test_notes_are_files_with_their_pitch(run):
    words = "generate --model conditional --label brass --pitch C#3,E3,60.5,440Hz"
    status, out, err = run(*words.split())
    assert (status, err) == (0, "")
    names = [f"brass-{pitch}-01.wav" for pitch in ("Db3", "E3", "60.5", "A4")]
    assert out.splitlines() == [f"sounds/{name}" for name in [*names, "manifest.csv"]]
    midi = [49, 52, 60.5, 69]
    assert [(row["file"], float(row["midi"])) for row in rows("sounds")] == [*zip(names, midi)]
    notes = np.stack([load_audio(Path("sounds", name))[0] for name in names])
    cents = pitch_error_cents(estimate_f0_hz(notes, sample_rate=16000), midi)
    assert np.abs(cents).max() < 50


def test_a_list_of_one_is_a_pitch_and_a_count_holds_for_each(run):
    words = ["generate", "--model", "conditional", "--label", "organ", "--count", 2, "--pitch"]
    assert run(*words, "C4,G4", "--out", "both")[0] == 0
    assert run(*words, "60", "--out", "one")[0] == 0
    both, one = ({row["file"] for row in rows(folder)} for folder in ("both", "one"))
    assert one == {"organ-C4-01.wav", "organ-C4-02.wav"}
    assert both == one | {"organ-G4-01.wav", "organ-G4-02.wav"}
    for i in (0, 1):  # the same two styles: each is nearest to itself
        made = np.stack(sounds("both", "organ-C4-*"))
        assert distance(made, sounds("one")[i]).argmin() == i


def test_notes_can_be_joined(run):
    words = "generate --model conditional --label organ --join tune.wav --pitch C4,C4,G4"
    assert run(*words.split())[1] == "tune.wav\n"
    assert {path.name for path in Path().iterdir()} == {"tune.wav"}
    notes = load_audio("tune.wav")[0].reshape(3, 8000)
    f0_hz = estimate_f0_hz(notes, sample_rate=16000)
    assert np.abs(pitch_error_cents(f0_hz, [60, 60, 67])).max() < 50
    assert not notes[:, -1].any()  # no click between them


@pytest.mark.parametrize("pitch", ["H4", "C", "C4,", "C4;E4", "0", "-1", "4C"])
def test_what_is_no_note_is_one_line(run, pitch):
    status, out, err = run("generate", "--model", "conditional", f"--pitch={pitch}")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "want a note such as C4 or Bb3" in err


# Loudness


def test_loudness_is_as_said_or_the_remark_says_what_it_is(run):
    levels = {}
    for wanted in (0, -6, -12, -18):
        words = f"generate --model conditional --label organ --loudness {wanted} --out at{wanted}"
        status, _, err = run(*words.split())
        found = np.asarray(loudness(np.stack(sounds(f"at{wanted}")), sample_rate=16000))
        levels[wanted] = found
        soft = found[found < wanted - 0.1]
        assert status == 0 and (len(soft) > 0) == ("without clipping" in err)
        if len(soft):
            assert f"{len(soft)} of 4 sounds can't be as loud as {wanted} dBFS" in err
            assert f"written at {soft.min():.1f} to {soft.max():.1f} dBFS" in err
    for wanted in (-6, -12, -18):  # an organ is steady enough
        np.testing.assert_allclose(levels[wanted], wanted, atol=0.1)
    assert (levels[0] > -6).all() and (levels[0] < -1).all()


# Loops


def test_a_loop_is_as_long_as_its_bars_and_has_no_seam(run):
    words = "loop --kick x...x... --hat x.x.X.x. --bpm 110 --bars 2"
    status, out, err = run(*words.split())
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "      1   2   3   4",
        "kick  x...x...x...x...",
        "hat   x.x.X.x.x.x.X.x.",
        "24 notes in 2 bars at 110 bpm: 4.364 s",
        "loop.wav",
    ]
    loop, rate = load_audio("loop.wav")
    assert len(loop) == round(2 * 240 / 110 * rate)
    np.testing.assert_allclose(np.abs(loop).max(), 10 ** (-1 / 20), atol=2 * STEP)


def test_so_many_seconds_repeat_the_pattern_and_end_in_a_fade(run):
    words = "loop --kick x...x... --hat x.x.X.x. --bpm 110 --length 5"
    status, out, err = run(*words.split())
    assert (status, err) == (0, "")
    assert out.splitlines()[-2:] == ["29 notes at 110 bpm: 5.000 s, cut with a fade", "loop.wav"]
    x, rate = load_audio("loop.wav")
    assert len(x) == 5 * rate and x[-1] == 0
    np.testing.assert_allclose(np.abs(x).max(), 10 ** (-1 / 20), atol=2 * STEP)
    half_bar = round(120 / 110 * rate)  # the pattern is half a bar long
    again = [np.square(x[k * half_bar :][:half_bar]).sum() for k in range(4)]
    np.testing.assert_allclose(again[1:], np.mean(again[1:]), rtol=0.2)


def test_a_sound_that_begins_in_the_last_step_goes_on_at_the_start(run):
    late, early = "." * 15 + "x", "x" + "." * 15
    for name, steps in ("late", late), ("early", early):
        words = ["loop", "--kick", steps, "--bars", 1, "--bpm", 120, "--out", f"{name}.wav"]
        assert run(*words)[0] == 0
    late, early = (load_audio(f"{name}.wav")[0] for name in ("late", "early"))
    np.testing.assert_allclose(late, np.roll(early, 15 * 2000), atol=2 * STEP)
    assert np.square(late[:2000]).sum() > 0.01 * np.square(late).sum()  # it does cross the end


def test_a_loop_of_notes_has_their_pitch(run):
    words = "loop --model conditional --organ x --pitch A3 --bars 1 --bpm 60".split()
    assert run(*words)[0] == 0
    loop = load_audio("loop.wav")[0]
    f0_hz = estimate_f0_hz(loop[None], sample_rate=16000)
    assert np.abs(pitch_error_cents(f0_hz, [57.0])).max() < 50


@pytest.mark.parametrize(
    "words, reason",
    [
        ("--kick x.o.", "kick has 'o' in 'x.o.'; want x, X for an accent"),
        ("--kick=", "kick has no steps"),
        ("--kick ....", "there is nothing to play"),
        ("", "there is nothing to play"),
        ("--piano x...", "spectral can't be told --piano; want --model spectral-instruments"),
        ("--kik x...", "did you mean --kick?"),
        ("--kick x --bpm 5", "want 10 to 1000 beats a minute"),
    ],
)
def test_what_is_no_loop_is_one_line(run, words, reason):
    status, out, err = run("loop", *words.split())
    assert (status, out, err.count("\n")) == (2, "", 1) and reason in err, err
    assert not Path("loop.wav").exists()


# Nothing is overwritten unasked


@pytest.mark.parametrize(
    "words, first",
    {
        "generate --model untrained --count 2": "sounds/sound-01.wav",
        "generate --model untrained --join all.wav": "all.wav",
        "vary --model untrained --count 1": "variations/variation-00.wav",
        "morph tone.wav tone.wav --count 2": "morph/tone-to-tone-01.wav",
        "loop --kick x...": "loop.wav",
        "play a.mid": "song.wav",
        "spectrogram tone.wav": "spectrograms/tone.png",
        "demo --model untrained": "audiogen-demo/sounds.png",
    }.items(),
)
def test_a_file_that_is_there_stays_without_force(run, words, first):
    melody = "00903c6483608 03c0000ff2f00".replace(" ", "")
    header = b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x0d"
    Path("a.mid").write_bytes(header + bytes.fromhex(melody))
    tone = sine(300.0, duration=0.2, sample_rate=16000, amplitude=0.5)
    save_audio("tone.wav", tone, sample_rate=16000)
    Path(first).parent.mkdir(exist_ok=True)
    Path(first).write_bytes(b"mine")
    before = {path for path in Path().rglob("*")}
    status, out, err = run(*words.split())
    fix = "want another --out, or --force to replace it"
    assert (status, out, err) == (2, "", f"audiogen: {first}: is there already; {fix}\n")
    assert Path(first).read_bytes() == b"mine" and {*Path().rglob("*")} == before
    status, out, err = run(*words.split(), "--force")
    assert status == 0 and first in out and Path(first).read_bytes() != b"mine"


def test_other_names_in_the_same_folder_are_no_obstacle(run):
    for label in ("kick", "snare"):
        assert run("generate", "--label", label, "--count", 1)[0] == 0
    assert [row["file"] for row in rows("sounds")] == ["kick-01.wav", "snare-01.wav"]
    assert {soundfile.info(path).frames for path in Path("sounds").glob("*.wav")} == {8000}


# Slips


@pytest.mark.parametrize(
    "slip, meant",
    {"genrate": "generate", "varry": "vary", "spectogram": "spectrogram", "trian": "train"}.items(),
)
def test_a_mistyped_command_gets_a_hint(run, slip, meant):
    status, out, err = run(slip, "--out", "x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"no command is called '{slip}'; did you mean {meant}?; want one of demo, " in err


def test_a_mistyped_option_gets_a_hint(run):
    status, _, err = run("spectrogram", "a.wav", "--windw", 512)
    assert status == 2 and "unrecognized arguments: --windw 512; did you mean --window?" in err
