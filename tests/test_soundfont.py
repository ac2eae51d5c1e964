"""Recorded instruments, where a General MIDI soundfont and what reads it are installed: zones are true, pitches are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiogen.metrics import estimate_f0_hz, pitch_error_cents
from audiogen.sounds import load_soundfont, split_sounds
from audiogen.support.soundfonts import FLUIDR3, sample_zones

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
    train, held_out = split_sounds(replace(piano, classes=("piano",)))
    assert set(train.group).isdisjoint(held_out["zones"].group)
    assert set(train.midi).isdisjoint(held_out["pitches"].midi)
