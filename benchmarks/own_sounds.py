"""What `spectral` learns from a folder of about a hundred recorded drum hits: distance, copies, classes, attacks, highs."""

import csv
import os
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np

from audiogen.generator import synthesize
from audiogen.sounds import load_folder, split_sounds
from audiogen.spectral import log_magnitude, recipe, to_waveform
from audiogen.support.attacks import attack_db, energy_above_db, onset, pre_echo_db
from audiogen.support.evaluation import evaluate
from audiogen.support.fitting import fit
from audiogen.support.page import save_page
from audiogen.support.run_settings import run_settings
from audiogen.support.runs import read_log
from audiogen.support.training_command import train_run

from .common import Section

FOLDER = Path(os.environ.get("AUDIOGEN_SAMPLES", "/usr/share/sonic-pi/samples"))
CLASSES = "bd drum elec hat perc sn tabla".split()
SECONDS = float(os.environ.get("AUDIOGEN_SECONDS", 120))
SEEDS = [int(seed) for seed in os.environ.get("AUDIOGEN_SEEDS", "1,2,3").split(",")]
RATES = [int(rate) for rate in os.environ.get("AUDIOGEN_RATES", "16000,44100").split(",")]
BRIGHT = "hat", "cymbal", "snare", "sn_"  # in names of files with much above 8 kHz
KEYS = "distance_db", "copied", "class_accuracy", "diversity"
LEAD = 0.03  # silence before each sound where attacks are measured (s)
TEXT = (
    "`fit(recipe, training, seconds={seconds:g})` of chapter 08 on {count} recordings of 1 s of Sonic Pi's collection (CC0; Debian's sonic-pi-samples has 98 of these classes, "
    "a newer release 121: AUDIOGEN_SAMPLES=FOLDER), three fifths to learn from; all choices were made on validation clips. "
    "Figures are those of `evaluate`: only the frames of a sound count; the nearest clip is sought among all that was learned from, variations included; "
    "a copy is nearer to that than 95 % of the training recordings are to what was learned from *other* recordings. "
    "Attacks: power of the 20 ms before the onset against that of the 20 ms after it, and energy of the first 5 ms against the recording's; "
    "for the pre-echo the clips begin after {lead:g} ms of silence (the model with silence before was trained on such clips, with the first seed). Steps: {steps}."
)

JOURNEY = (
    "`audiogen train spectral --data FOLDER --seconds 60`, then `audiogen page`: the same {count} recordings at 44.1 kHz and the length chosen for them, 2.5 s. "
    "Training takes longer than its 60 s, as neither compiling nor the sounds at each checkpoint count. The page has {size:.1f} MB. Aim: 300 s in all."
)


def write_labels(folder):
    """A table of the recordings of the classes."""
    names = [path.name for path in sorted(FOLDER.glob("*.flac"))]
    rows = [(name, name.partition("_")[0]) for name in names]
    table = Path(folder) / "labels.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *(row for row in rows if row[1] in CLASSES)])
    return table


def load(sample_rate):
    """The recordings of the classes."""
    with tempfile.TemporaryDirectory() as folder:
        table = write_labels(folder)
        return load_folder(FOLDER, labels=table, sample_rate=sample_rate, duration=1.0)


def journey(seconds):
    """Seconds of each part of the way from a folder to a page, at the usual rate and length."""
    moments = []

    def note(part):
        moments.append((part, time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        given = dict(data=str(FOLDER), labels=str(write_labels(folder)), seconds=seconds)
        out = Path(folder) / "run"
        train_run(run_settings("spectral", out, given), out, tell=note)
        note("writing the page")
        size = save_page(Path(folder) / "page.html", out).stat().st_size
        note("end")
    parts = {part: after - at for (part, at), (_, after) in pairwise(moments)}
    return parts | {"in all": moments[-1][1] - moments[0][1]}, size


def later(sounds):
    """The same clips, each with its onset after some silence."""
    start = round(LEAD * sounds.sample_rate)
    waveforms = np.zeros_like(sounds.waveforms)
    for x, clip, first in zip(waveforms, sounds.waveforms, onset(sounds.waveforms)):
        x[start:] = clip[first : first + len(x) - start]
    return replace(sounds, waveforms=waveforms, lengths=np.minimum(sounds.lengths + start, len(x)))


def rendered(model, z):
    """Sounds of latent vectors, a few at a time."""
    return np.concatenate(
        [np.asarray(synthesize(model, z[k : k + 8])) for k in range(0, len(z), 8)]
    )


def only_phases(sounds, config):
    """Sounds of the true magnitudes of clips."""

    @jax.jit
    def play(x):
        L = log_magnitude(x, **config.framing)
        return to_waveform(L, num_samples=config.num_samples, **config.framing)

    pieces = range(0, len(sounds), 8)
    return np.concatenate([np.asarray(play(sounds.waveforms[k : k + 8])) for k in pieces])


def trained(sounds, seed, seconds):
    """A model, and its number of steps."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        return fit(recipe, sounds, out=out, seconds=seconds, seed=seed), len(read_log(out))


def attacks(made, real):
    """Pre-echo, where there is time for one, and what is left of the attack (dB)."""
    start, rate = onset(real.waveforms), dict(sample_rate=real.sample_rate)
    early = pre_echo_db(made, start, **rate)
    gain = attack_db(made, real.waveforms, start, **rate)
    figures = {
        "first 5 ms, median (dB)": np.median(gain),
        "first 5 ms, mean |.| (dB)": np.abs(gain).mean(),
    }
    if np.isfinite(early).sum() > 3:
        figures["pre-echo, median (dB)"] = np.nanmedian(early)
        figures["pre-echo, 90 % below (dB)"] = np.nanquantile(early, 0.9)
    return figures


def highs(made, real):
    """Energy above 8 kHz of hats, cymbals and snares, against the recordings' (dB)."""
    bright = [any(word in name for word in BRIGHT) for name in real.details["file"]]
    if real.sample_rate < 32000 or not any(bright):
        return {}
    levels = [
        energy_above_db(x[bright], 8000, sample_rate=real.sample_rate)
        for x in (made, real.waveforms)
    ]
    return {
        "above 8 kHz of hats and snares, mean (dB)": np.mean(levels[0] - levels[1]),
        "above 8 kHz of hats and snares, mean |.| (dB)": np.abs(levels[0] - levels[1]).mean(),
    }


def one(sample_rate, seed, seconds):
    """{figure: value} of one run, and its number of steps."""
    parts = split_sounds(load(sample_rate))
    model, steps = trained(parts[0], seed, seconds)
    found, test = evaluate(model, *parts, seed=seed)["new sounds"], parts[2]["new sounds"]
    nearest = found["distance_db/nearest clip learned from"]
    figures = {"distance of test clips / nearest clip": found["distance_db"] / nearest}
    for key in KEYS:
        figures |= {name: value for name, value in found.items() if name.partition("/")[0] == key}
    again = rendered(model, model.encode(test.waveforms))
    measured = attacks(again, test) | highs(again, test)
    figures |= {f"model: {name}": value for name, value in measured.items()}
    phases = only_phases(later(test), model.config)
    measured = attacks(phases, later(test))
    return figures | {f"phases alone: {name}": value for name, value in measured.items()}, steps


def with_lead(sample_rate, seed, seconds):
    """Attacks of a model of clips that begin after some silence, so that there is time for a pre-echo."""
    train, _, test = split_sounds(later(load(sample_rate)))
    test = test["new sounds"]
    model, _ = trained(train, seed, seconds)
    again = rendered(model, model.encode(test.waveforms))
    return {
        f"model with silence before: {name}": value for name, value in attacks(again, test).items()
    }


def span(values):
    """One value, or the smallest and the largest."""
    ends = [f"{end:.2f}" for end in (np.min(values), np.max(values))]
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)


def sections(quick):
    """The table."""
    seeds, seconds = (SEEDS[:1], 5) if quick else (SEEDS, SECONDS)
    rows, notes, count = [], [], len(load(RATES[0]))
    for rate in RATES[-1:] if quick else RATES:
        runs = [one(rate, seed, seconds) for seed in seeds]
        notes.append(f"{rate} Hz {', '.join(str(steps) for _, steps in runs)}")
        figures = {name: span([found[name] for found, _ in runs]) for name in runs[0][0]}
        figures |= {
            name: span([value]) for name, value in with_lead(rate, seeds[0], seconds).items()
        }
        rows += [[f"{rate:,} Hz", name.strip(), value] for name, value in figures.items()]
    text = TEXT.format(seconds=seconds, count=count, lead=1000 * LEAD, steps="; ".join(notes))
    columns = ["rate", "figure", f"smallest – largest of {len(seeds)} seeds"]
    parts, size = journey(60.0 if not quick else 5.0)
    steps = [[part, f"{took:.0f}"] for part, took in parts.items()]
    about = JOURNEY.format(count=count, size=size / 1e6)
    return [
        Section("own_sounds: two minutes on a hundred recordings", text, columns, rows),
        Section("own_sounds: from a folder to a page", about, ["part", "seconds"], steps),
    ]
