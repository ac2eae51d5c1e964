"""The onset detector on mixtures whose onsets are known, with librosa's beside it."""

from functools import cache, partial
from pathlib import Path

import librosa
import numpy as np

from audiogen.own_sounds import DEBIAN, ONE_SHOTS, find_onsets, match_onsets, mix_at
from audiogen.sounds import make_sounds
from audiogen.waveform import load_audio

from .common import Section

RATE, SECONDS, MIXTURES = 44_100, 8.0, 30
# Librosa hears several onsets in each of these alone: they strike more than once, at times that nobody knows.
STRIKE_TWICE = ("drum_roll", "elec_plip", "elec_wood", "perc_door", "perc_swoosh", "perc_till")
TEXT = (
    f"Mixtures of {SECONDS:g} s at 44.1 kHz, {MIXTURES} of each kind, of clips that are 0 to 12 dB softer than full scale and sound into each "
    "other: CC0 one-shots of Debian's sonic-pi-samples (without those that strike more than once), or sounds made by formula, nine voices; "
    "either at random gaps of 0.12 to 0.5 s, or on a grid of sixteenths at 90 to 150 bpm, three in ten doubled. An onset is where a clip "
    "first reaches 2 % of its peak. Found means within ±10 ms, one to one. Every second recording, and other seeds of the voices, are for "
    "*validation*: there the settings of both detectors were chosen, librosa's among 12 (threshold, backtracking, frames of 2.9 or 11.6 ms). "
    "Here are the *test* mixtures, of the other clips; ± is the standard deviation over mixtures. Aim: recall ≥ .93, precision ≥ .95."
)


@cache
def clips(kind, half):
    """The waveforms of one half, 0 for validation and 1 for test."""
    if kind == "voices":
        return [*make_sounds(per_class=12, sample_rate=RATE, seed=half).waveforms]
    paths = [path for name in ONE_SHOTS for path in sorted(Path(DEBIAN).glob(f"{name}_*.flac"))]
    if not paths:
        raise SystemExit("benchmarks: no recordings; run: apt-get install sonic-pi-samples")
    paths = [path for path in paths if path.stem not in STRIKE_TWICE]
    return [load_audio(path, sample_rate=RATE)[0] for path in paths[half::2]]


def random_starts(rng):
    """Onsets at random gaps."""
    starts = np.cumsum(rng.uniform(0.12, 0.5, 100))
    return starts[starts < SECONDS - 0.5]


def grid_starts(rng):
    """Onsets on sixteenths, one to four apart."""
    starts = 0.1 + np.cumsum(rng.integers(1, 5, 100)) * 60 / rng.uniform(90, 150) / 4
    return starts[starts < SECONDS - 0.5]


def mixture(kind, timing, number, half):
    """A recording, and its true onsets (s)."""
    rng = np.random.default_rng([half, number])
    true, known = timing(rng), clips(kind, half)
    doubled = true[rng.random(len(true)) < 0.3] if timing is grid_starts else true[:0]
    starts = np.concatenate([true, doubled])
    chosen = [known[i] / np.abs(known[i]).max() for i in rng.integers(len(known), size=len(starts))]
    gains = 10 ** (-rng.uniform(0, 12, len(starts)) / 20)
    sounds = [gain * x for gain, x in zip(gains, chosen)]
    return mix_at(sounds, starts, sample_rate=RATE, duration=SECONDS), true


def ours(x, threshold=5.0):
    """Onsets by audiogen (s)."""
    return find_onsets(x, sample_rate=RATE, threshold=threshold) / RATE


def librosas(x, delta=0.07, backtrack=True, hop_length=128):
    """Onsets by librosa (s)."""
    options = dict(delta=delta, backtrack=backtrack, hop_length=hop_length, units="time")
    return librosa.onset.onset_detect(y=x, sr=RATE, **options)


def score(find, mixtures):
    """Recall, precision and median error (ms) of each mixture, (n, 3)."""
    rows = []
    for x, true in mixtures:
        found = find(x)
        pairs = match_onsets(found, true)
        error = np.median(found[pairs[:, 0]] - true[pairs[:, 1]]) if len(pairs) else np.nan
        rows.append([len(pairs) / len(true), len(pairs) / max(1, len(found)), 1000 * error])
    return np.array(rows)


def fmeasure(rows):
    """Harmonic mean of mean recall and precision."""
    recall, precision = rows[:, :2].mean(0)
    return 2 * recall * precision / (recall + precision)


def best_librosa(count):
    """Librosa's best settings on validation mixtures."""
    kinds = [(k, t) for k in ("recordings", "voices") for t in (random_starts, grid_starts)]
    mixtures = [mixture(k, t, number, 0) for k, t in kinds for number in range(count)]
    settings = [
        dict(delta=delta, backtrack=backtrack, hop_length=hop)
        for delta in (0.04, 0.07, 0.1)
        for backtrack in (False, True)
        for hop in (128, 512)
    ]
    scores = [fmeasure(score(partial(librosas, **s), mixtures)) for s in settings]
    return settings[int(np.argmax(scores))]


def with_spread(values):
    """Mean ± standard deviation."""
    return f"{values.mean():.2f} ± {values.std():.2f}"


def sections(quick):
    """The table."""
    count = 2 if quick else MIXTURES
    chosen = best_librosa(2 if quick else 6)
    named = ", ".join(f"{name} {value}" for name, value in chosen.items())
    detectors = {
        "audiogen": ours,
        f"librosa ({named})": partial(librosas, **chosen),
    }
    rows = []
    for kind in ("recordings", "voices"):
        for name, timing in {"random": random_starts, "grid": grid_starts}.items():
            mixtures = [mixture(kind, timing, number, 1) for number in range(count)]
            for detector, find in detectors.items():
                found = score(find, mixtures)
                recall, precision, error = found.T
                rows.append(
                    [
                        f"{kind}, {name}",
                        detector,
                        with_spread(recall),
                        with_spread(precision),
                        f"{fmeasure(found):.3f}",
                        f"{np.nanmedian(error):+.1f} ms",
                    ]
                )
    columns = ["mixtures", "detector", "recall", "precision", "F", "found − true, median"]
    return [Section("slicing: onsets within ±10 ms", TEXT, columns, rows)]
