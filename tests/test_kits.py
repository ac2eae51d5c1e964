"""Kits as others play them: FluidSynth and tinysoundfont render the sound files, the SFZ says the same, the page plays, and a full disk leaves nothing."""

import csv
import re
import resource
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from conftest import in_browser, watched
from scipy.signal import lfilter

from audiogen.sounds import load_folder
from audiogen.support.cli import cli
from audiogen.support.folders import fade_out
from audiogen.support.lufs import integrated_loudness
from audiogen.support.pitch import estimate_f0_hz, pitch_error_cents
from audiogen.support.soundfonts import load_soundfont
from audiogen.waveform import resample, save_audio, sine, white_noise

KINDS = ("kick", "snare", "hat", "tom", "clap", "cowbell", "pluck", "brass", "organ")
BESIDE = {"manifest.csv", "kit.sfz", "kit.sf2", "kit.html"}


def pack(out, *words):
    return cli(["pack", "--out", str(out), *map(str, words)])


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    "The folder of a kit with six drums and three instruments."
    out = tmp_path_factory.mktemp("kits") / "kit"
    assert pack(out, "--model", "conditional", "--count", 9) == 0
    return out


@pytest.fixture(scope="module")
def organ(tmp_path_factory):
    "The folder of a kit with one instrument, recorded organs as a model has learned them."
    out = tmp_path_factory.mktemp("organs") / "organ"
    words = ("--model", "conditional-instruments", "--label", "organ", "--count", 1)
    assert pack(out, *words, "--seed", 3) == 0
    return out


def table(folder):
    with open(folder / "manifest.csv", newline="") as file:
        return [*csv.DictReader(file)]


def samples(folder, name):
    return soundfile.read(folder / name, dtype="float32")[0]


# What is in the folder


def test_the_folder_holds_what_the_table_says(kit):
    rows = table(kit)
    assert {path.name for path in kit.iterdir()} == BESIDE | {row["file"] for row in rows}
    drums = [row for row in rows if row["instrument"] == "drums"]
    assert [row["file"] for row in drums] == [f"{name}-01.wav" for name in KINDS[:6]]
    assert [int(row["key"]) for row in drums] == [*range(36, 42)]
    for row in rows[6:]:
        assert row["file"] == f"{row['label']}-01-{int(row['midi']):03}.wav"
        assert row["key"] == row["midi"] and row["instrument"] == f"{row['label']}-01"
    for row in rows:
        info = soundfile.info(kit / row["file"])
        assert (info.subtype, info.samplerate, info.frames) == ("PCM_24", 16000, 8000)
        x = samples(kit, row["file"])
        assert abs(np.abs(x).max() - 10 ** (-1 / 20)) < 1e-4 and x[-1] == 0


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert pack(tmp_path / out / "kit", "--count", 2, "--seed", seed) == 0
    a, b, c = (
        {path.name: path.read_bytes() for path in (tmp_path / out / "kit").iterdir()}
        for out in "abc"
    )
    assert a == b and a.keys() == c.keys()
    assert {name for name in a if a[name] == c[name]} == {"kit.sfz"}


def test_a_kit_is_a_folder_to_train_on(kit):
    sounds = load_folder(kit, labels=kit / "manifest.csv", sample_rate=16000, duration=0.5)
    rows = {row["file"]: row for row in table(kit)}
    assert len(sounds) == len(rows)
    of_class = {name: [] for name in sounds.classes}
    for label, midi in zip(sounds.labels, sounds.midi):
        of_class[sounds.classes[label]].append(midi)
    for name, midi in of_class.items():
        said = [float(row["midi"] or "nan") for row in rows.values() if row["label"] == name]
        np.testing.assert_array_equal(sorted(midi), sorted(said))


# SFZ


def sfz_regions(text):
    "The regions of an SFZ file as dictionaries; what stands in a group holds for its regions."
    regions, of_group = [], {}
    for header, words in re.findall(r"<(\w+)>([^<]*)", text):
        opcodes = dict(re.findall(r"(\w+)=(\S+)", words))
        if header == "group":
            of_group = opcodes
        elif header == "region":
            regions.append(of_group | opcodes)
    return regions


def test_sfz_and_soundfont_say_the_same(kit):
    sf2parse = pytest.importorskip("sf2utils.sf2parse", reason="pip install sf2utils")
    regions = sfz_regions((kit / "kit.sfz").read_text())
    ours = {
        (r["sw_label"], r["sample"], int(r["lokey"]), int(r["hikey"]), int(r["pitch_keycenter"]))
        for r in regions
    }
    theirs = set()
    with open(kit / "kit.sf2", "rb") as file:
        for preset in sf2parse.Sf2File(file).presets[:-1]:
            for zone in (zone for bag in preset.bags for zone in bag.instrument.bags):
                name = f"{zone.sample.name}.wav"
                theirs.add((preset.name, name, *zone.key_range, zone.sample.original_pitch))
                assert zone.base_note == zone.sample.original_pitch
    assert ours == theirs and len(ours) == len(table(kit))
    assert {r["sample"] for r in regions} == {path.name for path in kit.glob("*.wav")}
    for region in regions:
        drum = region["sw_label"] == "drums"
        assert region["loop_mode"] == ("one_shot" if drum else "no_loop")
        assert region.get("ampeg_release") == (None if drum else "0.3")
    switches = {r["sw_last"]: r["sw_label"] for r in regions}
    assert switches == dict(zip("0123", ["drums", "pluck-01", "brass-01", "organ-01"]))
    assert max(map(int, switches)) < min(int(r["lokey"]) for r in regions)


# Soundfonts, as players render them


def check_equal(played, x, *, bits):
    "Are these the samples of a sound file, but for a constant gain?"
    x = x.astype(float)
    played = played[: len(x)].astype(float)
    gain = (played @ x) / (x @ x)
    assert np.abs(played / gain - x).max() < 1.1 * 2.0 ** (1 - bits)
    return gain


def test_tinysoundfont_plays_the_files(kit):
    tinysoundfont = pytest.importorskip("tinysoundfont", reason="pip install --no-deps …")
    numbers = {"drums": (128, 0), "pluck-01": (0, 0), "brass-01": (0, 56), "organ-01": (0, 16)}
    gains = []
    for row in table(kit):
        synth = tinysoundfont.Synth(samplerate=16000)
        font = synth.sfload(str(kit / "kit.sf2"))
        bank, program = numbers[row["instrument"]]
        assert synth.sfpreset_name(font, bank, program) == row["instrument"]
        synth.program_select(0, font, bank, program)
        synth.noteon(0, int(row["key"]), 127)
        played = np.frombuffer(synth.generate(8000), np.float32)[::2]
        gains.append(check_equal(played, samples(kit, row["file"]), bits=16))
    np.testing.assert_allclose(gains, 0.5**0.5, rtol=1e-3)  # half of the power to each side


def fluidsynth(folder, number, key, *, velocity=127, rate=16000):
    "The left channel of a note of the preset (bank, program), as FluidSynth plays it."
    mido = pytest.importorskip("mido")
    channel, track = 9 * (number[0] == 128), mido.MidiTrack()
    if not channel:
        track.append(mido.Message("program_change", program=number[1]))
    track.append(mido.Message("note_on", note=key, velocity=velocity, channel=channel))
    track.append(mido.Message("note_off", note=key, channel=channel, time=1920))
    score, sound = folder.parent / "note.mid", folder.parent / "note.wav"
    mido.MidiFile(tracks=[track]).save(score)
    how = f"-n -i -q -r {rate} -g 1 -R 0 -C 0 -O float -T wav -F".split()
    command = ["fluidsynth", *how, sound, folder / "kit.sf2", score]
    subprocess.run(command, check=True, capture_output=True)
    return soundfile.read(sound)[0][64:, 0]  # its first block is silent


def as_fluidsynth(x, rate):
    "What FluidSynth does to any recording: a fade-in of a block, and a low-pass below half the rate."
    ramp = np.minimum(1, np.arange(len(x)) / 64) ** 2
    omega = 2 * np.pi * min(0.45 * rate, 19913) / rate
    alpha, cosine = np.sin(omega) / (2 * 10 ** (-3.01 / 20)), np.cos(omega)
    b = np.array([(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2])
    return ramp * lfilter(b, [1 + alpha, -2 * cosine, 1 - alpha], x)


@pytest.mark.skipif(not shutil.which("fluidsynth"), reason="apt-get install fluidsynth")
def test_fluidsynth_plays_the_files(kit):
    rows = table(kit)
    for row, number in (
        (rows[0], (128, 0)),
        (rows[2], (128, 0)),
        (rows[8], (0, 0)),
        (rows[-1], (0, 16)),
    ):
        played = fluidsynth(kit, number, int(row["key"]))
        x = as_fluidsynth(samples(kit, row["file"]).astype(float), 16000)
        played, x = played[200 : len(x)], x[200:]
        gain = (played @ x) / (x @ x)
        error = np.abs(played / gain - x).max()
        assert error < 2**-19, (row["file"], error)  # all of its 24 bits are heard


@pytest.mark.skipif(not shutil.which("fluidsynth"), reason="apt-get install fluidsynth")
def test_velocity_changes_only_the_gain(kit):
    loud, soft = (fluidsynth(kit, (128, 0), 37, velocity=v)[:8000] for v in (127, 64))
    gain = check_equal(soft, loud / np.abs(loud).max(), bits=16) / np.abs(loud).max()
    assert abs(gain - (64 / 127) ** 2) < 0.01


def test_a_key_between_two_recordings_is_in_tune(organ):
    tinysoundfont = pytest.importorskip("tinysoundfont", reason="pip install --no-deps …")
    synth = tinysoundfont.Synth(samplerate=16000)
    font = synth.sfload(str(organ / "kit.sf2"))
    synth.program_select(0, font, 0, 16)  # General MIDI's first organ
    keys, notes = [*range(46, 82, 5)], []
    for key in keys:
        synth.sounds_off()
        synth.noteon(0, key, 127)
        notes.append(np.frombuffer(synth.generate(12000), np.float32)[::2])
    error = pitch_error_cents(estimate_f0_hz(np.stack(notes), sample_rate=16000), keys)
    assert np.median(np.abs(error)) < 10 and np.mean(np.abs(error) < 50) > 0.8, error


# From soundfont to model to soundfont


def test_the_circle_is_closed(organ):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    pytest.importorskip("sf2utils", reason="pip install sf2utils")
    rows = table(organ)
    keys = [int(row["midi"]) for row in rows]
    assert keys == [*range(41, 85, 3)]
    notes = load_soundfont(organ / "kit.sf2", keys=keys, per_family=1, held=1)
    assert {notes.classes[label] for label in notes.labels} == {"organ"} and len(notes) == 15
    np.testing.assert_array_equal(notes.midi, keys)
    assert [f"{zone}.wav" for zone in notes.details["zone"]] == [row["file"] for row in rows]
    for x, row in zip(notes.waveforms, rows):
        check_equal(x, fade_out(samples(organ, row["file"]), sample_rate=16000), bits=16)


def test_its_notes_have_the_pitches_of_their_keys(organ):
    swift_f0 = pytest.importorskip("swift_f0", reason="pip install swift-f0")
    listener, errors = swift_f0.SwiftF0(), []
    for row in table(organ):
        found = listener.detect(samples(organ, row["file"]), 16000)
        heard = np.median(found.pitch_hz[found.confidence > 0.5])
        errors.append(pitch_error_cents(heard, float(row["midi"])))
    octaves = (np.array(errors) + 600) % 1200 - 600  # an organ's key sounds with its octaves
    assert np.median(np.abs(octaves)) < 20 and np.mean(np.abs(octaves) < 50) > 0.8, errors


# Loudness


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="apt-get install ffmpeg")
@pytest.mark.parametrize("rate", [16000, 44100])
def test_loudness_is_ffmpegs(tmp_path, rate):
    rng = np.random.default_rng(1)
    noise = white_noise(duration=3.0, sample_rate=8000, amplitude=0.1, rng=rng)
    noise = np.asarray(resample(noise, from_hz=8000, to_hz=rate))
    tone = np.asarray(sine(100, duration=1.0, sample_rate=rate, amplitude=0.5))
    for name, x in {"noise": noise, "tone": np.concatenate([tone, 0 * noise, 0.2 * noise])}.items():
        save_audio(tmp_path / f"{name}.wav", x, sample_rate=rate)
        command = f"ffmpeg -nostats -i {tmp_path}/{name}.wav -af ebur128 -f null -".split()
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        theirs = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", report)[-1])
        assert abs(integrated_loudness(x, sample_rate=rate) - theirs) < 0.1, name


def test_a_kit_of_a_loudness(tmp_path, capsys):
    words = ("--label", "brass", "--count", 3, "--lufs", -20)
    assert pack(tmp_path / "kit", *words) == 0
    assert capsys.readouterr().err == ""
    for row in table(tmp_path / "kit"):
        x = samples(tmp_path / "kit", row["file"])
        assert abs(integrated_loudness(x, sample_rate=16000) + 20) < 0.01
    assert pack(tmp_path / "loud", *words[:-1], -5) == 0
    remark = r"audiogen: 3 of 3 recordings are softer than -5 LUFS, the softest by [\d.]+ dB.*\n"
    assert re.fullmatch(remark, capsys.readouterr().err)


# A page to hear it


@in_browser
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_plays(chromium, kit, width):
    address = (kit / "kit.html").as_uri()
    with watched(chromium, address, viewport=dict(width=width, height=800)) as (page, complaints):
        page.add_init_script(
            "window.starts = []; const start = AudioBufferSourceNode.prototype.start\n"
            "AudioBufferSourceNode.prototype.start = function (...when) {\n"
            "  starts.push([this.buffer.duration, this.playbackRate.value]); start.apply(this, when) }"
        )
        page.goto(address)
        page.wait_for_selector("section.active")
        page.get_by_role("button", name="Play kick-01").click()
        page.wait_for_function("starts.length === 1")
        page.keyboard.press("2")
        page.wait_for_function("starts.length === 2")
        page.get_by_role("button", name="Play snare-01").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("starts.length === 3")
        page.locator("section", has_text="organ-01").get_by_text("C5").click()
        page.keyboard.press("w")
        page.keyboard.press("x")  # no key of the piano
        page.wait_for_function("starts.length === 5")
        starts = np.array(page.evaluate("starts"))
        page.wait_for_function("!document.querySelector('.playing')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
    np.testing.assert_allclose(starts[:, 0], 0.5, atol=1e-3)
    np.testing.assert_allclose(starts[:3, 1], 1)
    semitones = 12 * np.log2(starts[3:, 1])
    np.testing.assert_allclose(semitones, np.rint(semitones), atol=1e-3)
    assert np.abs(semitones).max() < 1.01


# Whole or not at all


def one_line(err):
    return re.fullmatch(r"audiogen: \S.{5,300}\n", err) and "Errno" not in err


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--count", 0], "got 0; want a number above 0"),
        (["--count", 10000], "count is 10000; want 1 to 92"),
        (["--count", "many"], "invalid"),
        (["--peak", 3], "got 3; want a level from -60 to 0"),
        (["--lufs", "nan"], "got nan; want a level"),
        (["--peak", -3, "--lufs", -14], "not allowed with"),
        (["--label", "gong"], "no class is called 'gong'; want one of kick, "),
        (["--model", "conditional", "--label", "organ", "--pitch", "440.5hz"], "want a key"),
        (["--model", "missing"], "no such file, and no shipped model"),
    ],
)
def test_what_cannot_be_packed_is_one_line(tmp_path, capsys, words, complaint):
    assert pack(tmp_path / "kit", *words) == 2
    err = capsys.readouterr().err
    assert one_line(err) and complaint in err
    assert [*tmp_path.iterdir()] == []


def test_a_pitch_of_your_own_is_the_only_one_recorded(tmp_path):
    words = ("--model", "conditional", "--label", "organ", "--count", 1, "--pitch", 62)
    assert pack(tmp_path / "kit", *words) == 0
    (region,) = sfz_regions((tmp_path / "kit/kit.sfz").read_text())
    assert region["sample"] == "organ-01-062.wav" and region["pitch_keycenter"] == "62"
    assert (region["lokey"], region["hikey"]) == ("21", "108")


def test_a_folder_with_files_is_refused_without_force(tmp_path, capsys):
    (tmp_path / "kick-01.wav").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_bytes(b"mine, too")
    assert pack(tmp_path, "--count", 2) == 2
    assert "has files in it; another --out, or --force" in capsys.readouterr().err
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"mine", b"mine, too"}
    assert pack(tmp_path, "--count", 4, "--force") == 0
    assert pack(tmp_path, "--count", 1, "--force", "--label", "hat") == 0
    assert {path.name for path in tmp_path.iterdir()} == BESIDE | {"hat-01.wav", "notes.txt"}
    assert pack(tmp_path / "notes.txt", "--count", 1) == 2
    assert "notes.txt: is a file; want a folder" in capsys.readouterr().err


def test_force_leaves_sounds_of_others_alone(tmp_path):
    outside = tmp_path / "outside.wav"
    outside.write_bytes(b"outside")
    folder = tmp_path / "kit"
    assert cli(["generate", "--count", "1", "--duration", "0.05", "--out", str(folder)]) == 0
    table = "file,latent\n../outside.wav,1\nnotes.txt,1\n"
    for manifest in (None, table):  # generate's own, and one that tries to have more deleted
        if manifest:
            (folder / "manifest.csv").write_text(manifest)
        (folder / "notes.txt").write_bytes(b"mine")
        assert pack(folder, "--count", 1, "--label", "hat", "--force") == 0
        assert (folder / "sound-01.wav").exists() and (folder / "notes.txt").exists()
    assert outside.read_bytes() == b"outside"


@pytest.fixture(params=["60k", "800k"])
def full_disk(tmp_path, request):
    "A folder on a disk that the sounds fill, or the soundfont behind them; None if one may not mount."
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", tmp_path]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield tmp_path if mounted else None
    if mounted:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_leaves_nothing(popen, environment, full_disk, tmp_path):
    environment = {**environment, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    with popen("pack", "--out", tmp_path / "kit", env=environment) as process:
        if not full_disk:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (15_000, 15_000))
        out, err = process.communicate()
    assert process.returncode == 2 and out == "" and one_line(err), err
    assert str(tmp_path / "kit") in err and [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whatever_stops_it_an_earlier_kit_stays_whole(kit, tmp_path, monkeypatch, capsys, error):
    out = tmp_path / "kit"
    shutil.copytree(kit, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("audiogen.support.sf2_writer.write_soundfont", fail)
    assert pack(out, "--count", 1, "--force") == (
        130 if isinstance(error, KeyboardInterrupt) else 2
    )
    assert one_line(capsys.readouterr().err)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]
