"""Cutting recordings: what the command writes, keeps and refuses, and how well onsets are found."""

import csv
import tracemalloc

import librosa
import numpy as np
import pytest
import soundfile

from audiogen.own_sounds import find_onsets, match_onsets, mix_at
from audiogen.sounds import load_folder, make_sounds
from audiogen.support.cli import cli
from audiogen.support.files import open_audio
from audiogen.support.slicing import file_onsets
from audiogen.waveform import load_audio, save_audio

RATE = 16_000


def beat(seed=0, hits=8):
    "Drums, a quarter of a second apart, each with a tail that is cut by the next."
    drums = make_sounds(("kick", "snare"), per_class=hits // 2, sample_rate=RATE, seed=seed)
    starts = 0.1 + 0.25 * np.arange(hits)
    return mix_at(drums.waveforms, starts, sample_rate=RATE, duration=0.35 + 0.25 * hits), starts


@pytest.fixture
def recording(tmp_path):
    x, _ = beat()
    save_audio(tmp_path / "beat.wav", x, sample_rate=RATE)
    return tmp_path / "beat.wav"


def rows_of(table):
    return [*csv.DictReader(table.read_text().splitlines())]


def slice_to(folder, *words):
    return cli(["slice", *map(str, words), "--out", str(folder)])


def test_pieces_and_table(recording, tmp_path, capsys):
    assert slice_to(tmp_path / "out", recording) == 0
    out, table = capsys.readouterr().out, tmp_path / "out" / "pieces.csv"
    assert f"{recording}: 8 pieces" in out and str(table) in out
    rows = rows_of(table)
    assert [*rows[0]] == ["file", "label", "start_s", "end_s", "source"]
    assert [row["file"] for row in rows] == [f"beat-{n:03}.wav" for n in range(1, 9)]
    assert {row["label"] for row in rows} == {"beat"}
    starts = [float(row["start_s"]) for row in rows]
    np.testing.assert_allclose(starts, beat()[1], atol=0.01)
    whole, _ = load_audio(recording)
    for row in rows:
        x, rate = load_audio(table.with_name(row["file"]))
        first = round(float(row["start_s"]) * RATE)
        inside = slice(100, len(x) - 100)  # without the fades
        assert rate == RATE
        np.testing.assert_array_equal(x[inside], whole[first : first + len(x)][inside])


def test_the_table_can_be_edited_and_trained_on(recording, tmp_path, capsys):
    out = tmp_path / "out"
    slice_to(out, recording)
    rows = rows_of(out / "pieces.csv")[:-1]  # the last one is thrown out
    for i, row in enumerate(rows):
        row["label"] = "kick" if i < 4 else "snare"
    lines = ["file;label", *(f"{row['file']};{row['label']}" for row in rows)]  # as Excel may
    (out / "pieces.csv").write_text("\n".join(lines))
    sounds = load_folder(out, labels=out / "pieces.csv", sample_rate=RATE, duration=0.5)
    assert sounds.classes == ("kick", "snare") and [*sounds.labels] == [0] * 4 + [1] * 3
    save_audio(tmp_path / "more.wav", beat(1)[0], sample_rate=RATE)
    assert slice_to(out, tmp_path / "more.wav") == 0
    now = rows_of(out / "pieces.csv")
    assert [(row["file"], row["label"]) for row in now[:7]] == [
        (row["file"], row["label"]) for row in rows
    ]
    assert len(now) == 15 and now[7]["file"] == "more-001.wav"


def test_nothing_is_overwritten_unless_told(recording, tmp_path, capsys):
    out = tmp_path / "out"
    slice_to(out, recording)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert slice_to(out, recording, "--threshold", 30) == 2
    assert "is there already; want another --out, or --force" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    assert slice_to(out, recording, "--threshold", 30, "--force") == 0
    left = rows_of(out / "pieces.csv")
    assert 0 < len(left) < 8
    assert f"{8 - len(left)} earlier piece" in capsys.readouterr().err


def test_a_bad_file_is_one_line_and_the_others_go_on(recording, tmp_path, capsys):
    (tmp_path / "broken.wav").write_bytes(b"RIFF1234WAVEnonsense")
    save_audio(tmp_path / "silence.wav", np.zeros(RATE, np.float32), sample_rate=RATE)
    files = ["broken.wav", "silence.wav", "missing.wav", "beat.wav"]
    assert slice_to(tmp_path / "out", *(tmp_path / name for name in files)) == 2
    out, err = capsys.readouterr()
    assert [line.split(":")[1].split("/")[-1] for line in err.splitlines()] == files[:3]
    assert "no sound found" in err and "no such file" in err
    assert "beat.wav: 8 pieces" in out
    assert len(rows_of(tmp_path / "out" / "pieces.csv")) == 8


def test_a_table_that_cannot_be_read_is_refused_before_any_work(recording, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "pieces.csv").write_text("name,label\nx.wav,kick\n")
    assert slice_to(out, recording) == 2
    assert "no column 'file'" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["pieces.csv"]


def test_names_of_two_recordings_and_a_folder_of_them(recording, tmp_path, capsys):
    (tmp_path / "takes" / "two").mkdir(parents=True)
    save_audio(tmp_path / "takes" / "beat.flac", beat(2)[0], sample_rate=RATE)
    save_audio(tmp_path / "takes" / "two" / "Beat.wav", beat(3)[0], sample_rate=RATE)
    assert slice_to(tmp_path / "out", recording, tmp_path / "takes") == 0
    rows = rows_of(tmp_path / "out" / "pieces.csv")
    assert {row["file"].rpartition("-")[0] for row in rows} == {"beat", "beat-2", "Beat-3"}
    assert slice_to(tmp_path / "none", tmp_path / "out" / "..") == 0  # all that is there


@pytest.mark.parametrize(
    "name, subtype, kept",
    [
        ("a.wav", "PCM_16", "PCM_16"),
        ("a.flac", "PCM_24", "PCM_24"),
        ("a.flac", "PCM_S8", "PCM_U8"),
        ("a.wav", "FLOAT", "FLOAT"),
        ("a.wav", "DOUBLE", "FLOAT"),
        ("a.ogg", None, "PCM_24"),
        ("a.mp3", None, "PCM_24"),
    ],
)
def test_rate_channels_and_bits_are_kept(name, subtype, kept, tmp_path, capsys):
    x, _ = beat()
    stereo = np.stack([0.9 * x, -0.45 * x])  # whose mean is a quarter of it
    save_audio(tmp_path / name, stereo, sample_rate=RATE, subtype=subtype)
    assert slice_to(tmp_path / "out", tmp_path / name) == 0
    pieces = [soundfile.info(path) for path in sorted((tmp_path / "out").glob("*.wav"))]
    assert {(p.subtype, p.samplerate, p.channels) for p in pieces} == {(kept, RATE, 2)}
    assert len(pieces) == 8


def test_beyond_full_scale_and_more_than_two_channels(tmp_path, capsys):
    x, _ = beat()
    loud = np.stack([1.5 * x, 1.5 * x, 1.5 * x])
    soundfile.write(tmp_path / "a.wav", loud.T, RATE, subtype="FLOAT")
    assert slice_to(tmp_path / "out", tmp_path / "a.wav") == 0
    pieces = [soundfile.read(path)[0] for path in (tmp_path / "out").glob("*.wav")]
    assert max(np.abs(piece).max() for piece in pieces) == pytest.approx(1.5, abs=1e-3)
    assert {piece.ndim for piece in pieces} == {1}


def test_a_long_sound_is_cut_at_the_limit(tmp_path, capsys):
    t = np.arange(4 * RATE) / RATE
    save_audio(tmp_path / "drone.wav", 0.5 * np.sin(2 * np.pi * 100 * t), sample_rate=RATE)
    assert slice_to(tmp_path / "out", tmp_path / "drone.wav", "--longest", 1.5) == 0
    assert soundfile.info(tmp_path / "out" / "drone-001.wav").frames == 1.5 * RATE


def test_options_out_of_range_are_refused(recording, tmp_path, capsys):
    assert slice_to(tmp_path / "out", recording, "--threshold", 0) == 2
    assert "got 0; want a number above 0" in capsys.readouterr().err


def test_memory_is_flat_in_length(tmp_path):
    def most(minutes):
        x, _ = beat()
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(int(minutes * 60 * RATE / len(x))):
                file.write(x)
        tracemalloc.start()
        with open_audio(path) as audio:
            onsets, _ = file_onsets(audio)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held, len(onsets)

    most(0.2)  # compiles
    short, few = most(0.5)
    long, many = most(5)
    assert many > 9 * few > 0
    assert long < short + 1_000_000  # the file grows by 8 MB, as float32 by 17


def test_as_good_as_it_says_and_better_than_librosa():
    "On test voices; benchmarks/slicing.py says more, on recordings, too."
    voices = make_sounds(per_class=10, sample_rate=44_100, seed=7)
    counts = {"ours": np.zeros(3), "librosa's": np.zeros(3)}
    for number in range(12):
        rng = np.random.default_rng([7, number])
        true = np.cumsum(rng.uniform(0.12, 0.5, 32))
        true = true[true < 3.5]
        chosen = voices.waveforms[rng.integers(len(voices), size=len(true))]
        gains = 10 ** (-rng.uniform(0, 12, len(true)) / 20)
        x = mix_at(chosen * gains[:, None], true, sample_rate=44_100, duration=4.0)
        options = dict(hop_length=128, delta=0.04, backtrack=True, units="time")
        found = {
            "ours": find_onsets(x, sample_rate=44_100) / 44_100,
            "librosa's": librosa.onset.onset_detect(y=x, sr=44_100, **options),
        }
        for name, times in found.items():
            counts[name] += len(match_onsets(times, true)), len(true), len(times)
    recall, precision = counts["ours"][0] / counts["ours"][1:]
    assert recall >= 0.9 and precision >= 0.9
    f = {name: 2 * right / (there + times) for name, (right, there, times) in counts.items()}
    assert f["ours"] > f["librosa's"]
