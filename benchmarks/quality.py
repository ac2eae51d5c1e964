"""What a minute of training the spectral generator reaches, three seeds, with baselines from the same run."""

import tempfile
from pathlib import Path

import numpy as np

from audiogen.support.evaluation import evaluate
from audiogen.support.fitting import fit as fit_model
from audiogen.support.recipes import load_recipe
from audiogen.support.run_settings import DEFAULTS, load_data
from audiogen.support.runs import read_log

from .common import Section

SEEDS = (1, 2, 3)
FIGURES = {
    "distance_db": ("distance of held-out clips, dB", ".2f"),
    "reconstruction_pitch_cents": ("pitch error of held-out clips, cents", ".1f"),
    "class_accuracy": ("class judged right", ".1%"),
    "diversity": ("diversity, of the training clips'", ".2f"),
    "frechet": ("Fréchet distance, dB²", ",.0f"),
    "copied": ("copied", ".1%"),
}
TEXT = (
    "`audiogen train spectral --data DATA --seconds 60 --seed N` for three seeds: smallest to largest value, and beside it the baselines of "
    "the same clips. The data and the split are the same for all seeds (the shipped models are of seed 0). Pitches and zones are the two parts of FluidR3 that are held out."
)


def fit(recipe, data, seed, seconds):
    """A trained model, its training clips, {part: held-out clips}, and the number of steps."""
    sounds, held_out = load_data(DEFAULTS | dict(data=data))
    with tempfile.TemporaryDirectory() as folder:
        options = dict(out=Path(folder) / "run", seconds=seconds, seed=seed)
        model = fit_model(load_recipe(recipe), sounds, **options)
        return model, sounds, held_out, read_log(Path(folder) / "run")[-1]["step"] + 1


def one(data, seed, seconds):
    """{part: figures} of one run, and its number of steps."""
    model, sounds, held_out, steps = fit("spectral", data, seed, seconds)
    return evaluate(model, sounds, held_out, seed=seed), steps


def rows(names, part, runs, figures):
    """Lines of a table for one set of held-out clips: each figure's smallest and largest value, and its baselines."""
    for key, (name, form) in figures.items():
        values = [run[part][key] for run in runs if key in run[part]]
        if not values:
            continue
        beside = " · ".join(
            f"{k.split('/')[1]} {v:{form}}"
            for k, v in runs[0][part].items()
            if k.startswith(f"{key}/")
        )
        yield [*names, part, name, f"**{np.min(values):{form}} – {np.max(values):{form}}**", beside]


def sections(quick):
    """The table."""
    lines, notes = [], []
    for data in ("sounds",) if quick else ("sounds", "fluidr3"):
        runs = [one(data, seed, 5 if quick else 60) for seed in SEEDS]
        notes.append(f"{data}: {', '.join(f'{steps:,}' for _, steps in runs)} steps")
        for part in runs[0][0]:
            lines += rows([data], part, [figures for figures, _ in runs], FIGURES)
    return [
        Section(
            "quality: a minute of training",
            f"{TEXT} {'; '.join(notes)}.",
            ["data", "held out", "figure", "three seeds", "beside it"],
            lines,
        )
    ]
