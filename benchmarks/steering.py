"""What a minute of training the steerable models reach, three seeds, with baselines from the same run; and what more or less time does."""

import os
import subprocess
import sys
import time

import jax
import numpy as np
from swift_f0 import SwiftF0

from audiogen.conditional import encode_styles
from audiogen.generator import load_model, synthesize
from audiogen.source_filter import pulse_train
from audiogen.stft import multi_resolution_stft_distance
from audiogen.support.clips import together
from audiogen.support.evaluation import evaluate
from audiogen.support.pitch import estimate_f0_hz, pitch_error_cents
from audiogen.support.rendering import render
from audiogen.support.reports import FIGURES
from audiogen.support.words import sample_styles
from audiogen.waveform import repitch

from .common import Section
from .quality import COLUMNS, KEYS, SEEDS, fit, rows

RUNS = (
    ("vae", "sounds"),
    ("conditional", "sounds"),
    ("source_filter", "sounds"),
    ("vae", "fluidr3"),
    ("conditional", "fluidr3"),
)
PITCHES = {
    "pitch_cents": ("pitch asked for, median error, cents ↓", ".2f"),
    "pitch_within_20_cents": ("… within 20 cents ↑", ".1%"),
    "pitch_within_50_cents": ("… within 50 cents ↑", ".1%"),
    "swift_f0_cents": ("pitch as SwiftF0 hears it, median error, cents ↓", ".1f"),
    "swift_f0_within_50_cents": ("… within 50 cents ↑", ".1%"),
    "swift_f0_octaves": ("… of the pitch or its octaves ↑", ".1%"),
}
NEIGHBOURS = {
    "neighbour_db": ("distance, from the style of another recording of the program, dB ↓", ".2f"),
}
TEXT = (
    "`audiogen train KIND --data DATA --seconds 60 --seed N` for three seeds, with the columns and tests of `quality`. Pitches asked for are those of random "
    'training clips, for `sounds` quarter-tones from MIDI 48 to 77.5. "The source alone" is the pulse train at the same pitches, with no network: the pitch is '
    "arithmetic, and what is measured is whether filters, noise and bend spoil it."
)


def distance(x, y):
    """Mean distance of pairs of clips, dB."""
    return float(
        np.mean(
            [
                np.mean(multi_resolution_stft_distance(x[i : i + 32], y[i : i + 32]))
                for i in range(0, len(x), 32)
            ]
        )
    )


def neighbours(model, train, part):
    """{figure: dB}: notes made from the nearest note of their program that is of another recording, by the model and by resampling."""
    known = together([train, part])
    program = np.concatenate([train.details["program"], part.details["program"]])
    other = known.recordings != part.recordings[:, None]
    other &= program == part.details["program"][:, None]
    kept = other.any(1)
    if not kept.any():
        return {}
    steps = np.where(other, np.abs(known.midi - part.midi[:, None]), np.inf)[kept]
    part, near = part[kept], known[steps.argmin(1)]
    z = encode_styles(model, near.waveforms, near.labels, near.midi)
    made = np.stack([*render(model, z, label=part.labels, pitch=part.midi)])
    moved = np.stack(
        [
            repitch(x, shift, sample_rate=train.sample_rate)
            for x, shift in zip(near.waveforms, part.midi - near.midi)
        ]
    )
    return {
        "neighbour_db": distance(part.waveforms, made),
        "neighbour_db/resampled": distance(part.waveforms, moved),
        "neighbour_db/copied as it is": distance(part.waveforms, near.waveforms),
    }


def swift_f0_hz(sounds, sample_rate):
    """The pitches that SwiftF0 hears (Hz), NaN for none."""
    listener = SwiftF0()
    heard = [listener.detect(x, sample_rate) for x in np.asarray(sounds)]
    return np.array(
        [
            np.median(h.pitch_hz[h.confidence > 0.5]) if (h.confidence > 0.5).any() else np.nan
            for h in heard
        ]
    )


def pitches(model, train, seed):
    """{figure: number}: notes at pitches asked for, heard by chapter 06 and by SwiftF0."""
    rng, between = np.random.default_rng(seed), np.arange(48, 78, 0.5)
    tones = np.flatnonzero(train.midi >= 36)  # the pitches that chapter 06 looks for
    chosen = rng.choice(tones, 120)
    c, midi = train.labels[chosen].astype(np.int32), train.midi[chosen].astype(np.float32)
    if "program" not in train.details:
        midi = np.resize(between, 120).astype(np.float32)
    z = sample_styles(model, jax.random.key(seed), c, midi)
    x = np.stack([*render(model, z, label=c, pitch=midi)])
    ours = np.abs(pitch_error_cents(estimate_f0_hz(x, sample_rate=model.sample_rate), midi))
    found = {
        "pitch_cents": np.nanmedian(ours),
        "pitch_within_20_cents": np.mean(ours < 20),
        "pitch_within_50_cents": np.mean(ours < 50),
    }
    f0 = 440 * 2 ** ((midi - 69) / 12)
    source = pulse_train(np.repeat(f0[:, None], x.shape[-1], axis=1), sample_rate=model.sample_rate)
    source = source / np.abs(source).max(-1, keepdims=True)
    alone = np.abs(pitch_error_cents(estimate_f0_hz(source, sample_rate=model.sample_rate), midi))
    found |= {
        "pitch_cents/the source alone": np.nanmedian(alone),
        "pitch_within_20_cents/the source alone": np.mean(alone < 20),
        "pitch_within_50_cents/the source alone": np.mean(alone < 50),
    }
    recorded = {"/the source alone": source}
    if "program" in train.details:  # the notes whose pitches were asked for
        recorded["/the recordings"] = train.waveforms[chosen]
    for beside, sounds in {"": x, **recorded}.items():
        theirs = pitch_error_cents(swift_f0_hz(sounds, model.sample_rate), midi)
        found |= {
            f"swift_f0_cents{beside}": np.nanmedian(np.abs(theirs)),
            f"swift_f0_within_50_cents{beside}": np.mean(np.abs(theirs) < 50),
        }
        found[f"swift_f0_octaves{beside}"] = np.mean(np.abs((theirs + 600) % 1200 - 600) < 50)
    return found


def told_pitch(model):
    "Can a model be told a pitch?"
    return any(condition.kind == "pitch" for condition in model.conditions)


def figures(recipe, data, seed, seconds):
    """{test: {figure: number}} of one run, and its number of steps."""
    model, *parts, steps = fit(recipe, data, seed, seconds)
    found = evaluate(model, *parts, seed=seed)
    if not told_pitch(model):
        return found, steps
    heard = pitches(model, parts[0], seed)
    for name, part in parts[2].items():
        found[name] |= heard
        if "program" in part.details:
            found[name] |= neighbours(model, parts[0], part)
    return found, steps


def minute(quick):
    """The table of three seeds."""
    lines, notes = [], []
    for recipe, data in RUNS[:3] if quick else RUNS:
        runs = [
            figures(recipe, data, seed, 5 if quick else 60) for seed in SEEDS[: 1 if quick else 3]
        ]
        notes.append(f"{recipe}, {data}: {', '.join(f'{steps:,}' for _, steps in runs)} steps")
        shown = {key: FIGURES[key] for key in KEYS} | NEIGHBOURS | PITCHES
        for test in runs[0][0]:
            lines += rows([recipe, data], test, [found for found, _ in runs], shown)
        print(lines[-1], flush=True)
    return Section(
        "steering: a minute of training",
        f"{TEXT} {'; '.join(notes)}.",
        ["model", "data", *COLUMNS],
        lines,
    )


def on_validation(seed, data, seconds):
    """{set of validation clips: figures} of one run of `conditional`, by which a length is chosen; and its number of steps."""
    model, train, validation, _, steps = fit("conditional", data, seed, seconds)
    found = evaluate(model, train, {}, validation, seed=seed)
    for name, part in validation.items():
        if "program" in part.details:
            found[name] |= neighbours(model, train, part)
    return found, steps


def patience(quick):
    """The table of several budgets; three seeds where recordings are few, after one minute and ten."""
    budgets = dict.fromkeys(("sounds", "fluidr3"), (15, 30, 60, 120, 600))
    if quick:
        budgets = {"sounds": (3, 5)}
    runs = [(data, seconds, SEEDS[0]) for data, lengths in budgets.items() for seconds in lengths]
    if not quick:
        runs += [("fluidr3", seconds, seed) for seconds in (60, 600) for seed in SEEDS[1:]]
    lines = []
    for data, seconds, seed in runs:
        found, steps = on_validation(seed, data, seconds)
        for name, f in found.items():
            shown = (
                f"{f[key]:.2f} ± {f.get(f'{key}/±', np.nan):.2f}"
                for key in ("distance_db", "gain_db")
            )
            near = f"{f.get('neighbour_db', np.nan):.2f}"
            beside = f"{f['distance_db/nearest clip learned from']:.2f}"
            lines.append([data, name, seconds, seed, f"{steps:,}", *shown, beside, near])
        print(lines[-1], flush=True)
    text = (
        "`audiogen train conditional --data DATA --seconds S --seed N`, on validation clips, since a length is chosen by them: distances of reconstructions in dB; how much nearer that is "
        "than the nearest clip learned from; that clip's distance; and the distance from the style of another recording of the program. Where one seed is shown, it is one seed."
    )
    return Section(
        "patience: quality against time",
        text,
        [
            "data",
            "validation",
            "seconds",
            "seed",
            "steps",
            "distance",
            "nearer by",
            "nearest clip",
            "from another recording",
        ],
        lines,
    )


def measure(rounds=30):
    """Milliseconds a clip, for {(model, clips at once)}, the median of calls in this process."""
    for name in ("conditional", "conditional-instruments"):
        model = load_model(name)
        for count in (1, 32):
            z, c = (
                np.zeros((count, model.latent_dim), np.float32),
                np.full(count, model.config.pitched.index(True)),
            )
            times, midi = [], np.full(count, 60, np.float32)
            for _ in range(rounds):
                start = time.perf_counter()
                jax.block_until_ready(synthesize(model, z, label=c, pitch=midi))
                times.append(1000 * (time.perf_counter() - start) / count)
            print(f"{name},{count},{model.config.duration},{np.median(times[1:]):.2f}")


def speed():
    """The table of how long a clip takes on one core."""
    command = [sys.executable, "-m", "benchmarks.steering"]
    out = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    ).stdout
    text = "`synthesize` of the shipped models on one core, compiled, median of 29 calls. Aim: 3 ms, at most 10."
    return Section(
        "steering: a clip on one core",
        text,
        ["model", "clips at once", "length (s)", "ms a clip"],
        [line.split(",") for line in out.split()],
    )


def sections(quick):
    """All tables."""
    return [speed(), minute(quick), patience(quick)]


if __name__ == "__main__":
    measure()
