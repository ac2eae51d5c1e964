"""What a minute of training the spectral generator reaches, three seeds, with baselines from the same run."""

import tempfile
from pathlib import Path

import numpy as np

from audiogen.support.evaluation import evaluate
from audiogen.support.fitting import fit as fit_model
from audiogen.support.recipes import load_recipe
from audiogen.support.reports import FIGURES
from audiogen.support.run_settings import DEFAULTS, load_data
from audiogen.support.runs import read_log

from .common import Section

SEEDS = (1, 2, 3)
KEYS = (
    "distance_db",
    "gain_db",
    "reconstruction_pitch_cents",
    "class_accuracy",
    "diversity",
    "frechet",
    "copied",
)
COLUMNS = ["test", "figure", "smallest – largest ± interval of a run", "beside it"]
TEXT = (
    "`audiogen train spectral --data DATA --seconds 60 --seed N` for three seeds: smallest to largest value; the largest half width of a run's 95 % interval, "
    "over test clips or new sounds; and the baselines. The data and the split are the same for all seeds (the shipped models are of seed 0). "
    "The judge is taught on validation clips; the nearest clip is sought among all that was learned from, augmentations included; the figures of a test are those of its own clips. "
    "Of FluidR3 there are three tests: instruments (whole instruments were held out), zones (other recordings of instruments that it knows) and pitches (other keys of recordings that it knows)."
)


def fit(recipe, data, seed, seconds):
    """A trained model; training, validation and test, as split_sounds returns them; and the number of steps."""
    parts = load_data(DEFAULTS | dict(data=data))
    with tempfile.TemporaryDirectory() as folder:
        options = dict(out=Path(folder) / "run", seconds=seconds, seed=seed)
        model = fit_model(load_recipe(recipe), parts[0], **options)
        return model, *parts, read_log(Path(folder) / "run")[-1]["step"] + 1


def one(data, seed, seconds):
    """{test: figures} of one run, and its number of steps."""
    model, *parts, steps = fit("spectral", data, seed, seconds)
    return evaluate(model, *parts, seed=seed), steps


def span(values, form):
    """The smallest and the largest of some values, as text; one, if they look alike."""
    ends = [format(end, form) for end in (np.min(values), np.max(values))]
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)


def collected(runs, test, key):
    """{what stands beside a figure: its values in all runs}; "" is the figure itself."""
    found = {}
    for run in runs:
        for name, value in run[test].items():
            head, _, tail = name.partition("/")
            if head == key:
                found.setdefault(tail, []).append(value)
    return found


def rows(names, test, runs, figures):
    """Lines of a table for one test: each figure's smallest and largest value, its interval and its baselines."""
    for key, (title, form) in figures.items():
        found = collected(runs, test, key)
        if "" not in found:
            continue
        value, sure = f"**{span(found.pop(''), form)}**", found.pop("±", None)
        if sure is not None:
            value += f" ± {np.max(sure):{form}}"
        beside = " · ".join(f"{name} {span(values, form)}" for name, values in found.items())
        yield [*names, test, title, value, beside]


def sections(quick):
    """The table."""
    lines, notes = [], []
    for data in ("sounds",) if quick else ("sounds", "fluidr3"):
        runs = [one(data, seed, 5 if quick else 60) for seed in SEEDS]
        notes.append(f"{data}: {', '.join(f'{steps:,}' for _, steps in runs)} steps")
        for test in runs[0][0]:
            figures = {key: FIGURES[key] for key in KEYS}
            lines += rows([data], test, [found for found, _ in runs], figures)
    return [
        Section(
            "quality: a minute of training",
            f"{TEXT} {'; '.join(notes)}.",
            ["data", *COLUMNS],
            lines,
        )
    ]
