"""Recorded instruments, where a General MIDI soundfont and what reads it are installed: zones are true, pitches are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiogen.sounds import split_sounds
from audiogen.support import soundfonts
from audiogen.support.pitch import estimate_f0_hz, pitch_error_cents
from audiogen.support.soundfonts import FLUIDR3, load_soundfont, open_soundfont, sample_zones

pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
pytest.importorskip("sf2utils", reason="pip install sf2utils")
pytestmark = pytest.mark.skipif(
    not Path(FLUIDR3).exists(), reason="apt-get install fluid-soundfont-gm"
)


@pytest.fixture(scope="module")
def notes():
    return load_soundfont(keys=tuple(range(55, 75)), per_family=1)


def test_notes_are_sounds_of_one_level(notes):
    assert notes.waveforms.shape[1] == 16000 and len(notes) > 150
    np.testing.assert_allclose(np.abs(notes.waveforms).max(1), 0.9, atol=1e-3)
    assert np.abs(notes.waveforms[:, -1]).max() < 1e-3


def test_pitches_are_those_of_the_keys(notes):
    piano = notes[notes.details["program"] == 0]
    np.testing.assert_array_equal(piano.midi, piano.details["key"])
    error = pitch_error_cents(estimate_f0_hz(piano.waveforms, sample_rate=16000), piano.midi)
    assert np.nanmedian(np.abs(error)) < 30  # a piano, tuned by ear, is stretched


def test_some_organs_sound_octaves_below_their_keys():
    notes = load_soundfont(keys=tuple(range(66, 85, 3)))
    program = notes.details["program"]
    octaves = np.select(
        [program == 16, np.isin(program, (17, 18))], [2, 1]
    )  # drawbar; percussive and rock organ; not the church's
    np.testing.assert_array_equal(notes.midi, notes.details["key"] - 12 * octaves)
    organs = notes[octaves > 0]
    error = pitch_error_cents(estimate_f0_hz(organs.waveforms, sample_rate=16000), organs.midi)
    assert len(organs) >= 18 and np.median(np.abs(error)) < 10 and np.mean(np.abs(error) < 50) > 0.9


def test_a_zone_is_one_recording_and_is_held_out_whole(notes):
    zones = sample_zones(FLUIDR3)
    for program, key, zone in zip(
        notes.details["program"], notes.details["key"], notes.details["zone"]
    ):
        assert zones[program][key] == zone
    piano = notes[notes.labels == 0]
    train, *held = split_sounds(replace(piano, classes=("piano",)))
    for parts in held:
        assert set(train.group).isdisjoint(parts["zones"].group)
        assert set(train.midi).isdisjoint(parts["pitches"].midi)


@pytest.mark.parametrize("size", [12, 1_000_000, -10])
def test_a_soundfont_that_is_cut_is_refused_in_one_line(tmp_path, size):
    data = Path(FLUIDR3).read_bytes()
    (tmp_path / "cut.sf2").write_bytes(data[:size])
    complaint = "^.*cut.sf2: not a whole soundfont .*; want a General MIDI .sf2 file$"
    for read in (load_soundfont, sample_zones):
        with pytest.raises(ValueError, match=complaint):
            read(tmp_path / "cut.sf2")


def test_another_riff_file_is_no_soundfont(tmp_path):
    (tmp_path / "w.sf2").write_bytes(b"RIFF\4\0\0\0WAVEfmt ")
    for read in (load_soundfont, open_soundfont, sample_zones):
        with pytest.raises(ValueError, match="w.sf2: not a soundfont; want a General MIDI"):
            read(tmp_path / "w.sf2")


@pytest.mark.parametrize(
    "odd, complaint",
    [
        (dict(keys=()), r"keys is \(\); want whole numbers from 0 to 127"),
        (dict(keys=(60.5,)), r"keys is \(60.5,\); want"),
        (dict(keys=(60, 128)), r"keys is \(60, 128\); want"),
        (dict(keys=60), "keys is 60; want"),
        (dict(per_family=0), "per_family is 0; want"),
        (dict(per_family=9), "per_family is 9; want 1 to 8"),
        (dict(duration=0), "duration is 0 s; want"),
        (dict(duration=float("nan")), "duration is nan s; want"),
        (dict(duration=1e6), "4,320 notes of 1e[+]06 s needs 1,105,920.0 GB"),
        (dict(keys=(60,), per_family=1, duration=1e-4), "silent at these keys; want"),
    ],
)
def test_notes_that_cannot_be_asked_for_are_refused(odd, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_soundfont(**odd)


def test_instruments_that_a_soundfont_lacks_are_left_out(monkeypatch):
    zones = sample_zones(FLUIDR3)
    monkeypatch.setattr(soundfonts, "sample_zones", lambda path: {56: zones[56], 120: zones[120]})
    notes = load_soundfont(keys=(60, 64), per_family=2)
    assert notes.details["program"].tolist() == [56, 56]
    monkeypatch.setattr(soundfonts, "sample_zones", lambda path: {120: zones[120]})
    with pytest.raises(ValueError, match="none of the instruments; want"):
        load_soundfont()
