"""What seconds of training buy: the same recipes for 15 seconds to four minutes of one core; for chapter 20."""

import json
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from audiogen.generator import load_model
from audiogen.support.fitting import fit
from audiogen.support.recipes import load_recipe
from audiogen.support.run_settings import DEFAULTS, load_data
from audiogen.support.runs import read_log

from .common import Section, facts
from .results import (
    DATA,
    lines_of,
    remade,
    sampled,
    shipped,
    shown,
    store,
    stored,
    yardstick,
)

KEYS = {
    "distance_db": ("distance, dB ↓", ".2f"),
    "class_accuracy": ("class right ↑", ".0%"),
    "frechet": ("Fréchet, dB² ↓", ",.0f"),
    "diversity": ("diversity ↑", ".2f"),
}
PLAN = ((15, (1,)), (60, (1,)), (240, (1,)), (15, (2, 3)))
LONGEST = ("spectral",)  # kinds that get more than 60 s
TEXT = (
    "`fit` by the recipe of each model of all nine classes, for so many seconds of CPU time on one thread (what else the machine does doesn't count; the building of the arrays and "
    "compiling come on top), measured as in `results`, 20 sounds a class of one seed, on the test clips. Where there are several seeds of training: smallest to largest. Runs that were stored before aren't run again."
)


def kinds():
    """The kinds of model that are shipped with all classes, as `audiogen train` calls them."""
    known = [info for info in shipped().values() if "--classes" not in info["about"]["command"]]
    return sorted({info["about"]["command"].split()[2] for info in known})


def plan():
    """(kind, seconds, seed) of all runs, the most telling first."""
    for seconds, seeds in PLAN:
        for kind in kinds():
            if seconds <= 60 or kind in LONGEST:
                yield from ((kind, seconds, seed) for seed in seeds)


def one(kind, seconds, seed, *, train, yard, per_class=20):
    """A run's figures, as plain data."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder, patch("time.perf_counter", time.process_time):
        fit(load_recipe(kind), train, out=Path(folder) / "run", seconds=seconds, seed=seed)
        whole = time.process_time() - start
        last = read_log(Path(folder) / "run")[-1]
        model = load_model(Path(folder) / "run")
    run = dict(kind=kind, seconds=seconds, seed=seed, steps=last["step"] + 1)
    run |= dict(trained=round(last["seconds"], 1), whole=round(whole, 1))
    figures = sampled(yard, model, per_class=per_class, seeds=(seed,))
    return run | {key: values[0] for key, values in figures.items()} | remade(yard, model)


def all_runs(quick):
    """Print each run that isn't stored yet, as a line of JSON, as soon as it ends."""
    train = load_data(DEFAULTS | dict(data=DATA))[0]
    options = dict(train=train, per_class=4 if quick else 20)
    options["yard"] = yardstick(train.classes, per_class=options["per_class"], copies=False)
    done = {(run["kind"], run["seconds"], run["seed"]) for run in stored().get("runs", [])}
    for words in [(kind, 2, 1) for kind in kinds()] if quick else plan():
        if quick or words not in done:
            print(json.dumps(one(*words, **options)), flush=True)


def rows(runs):
    """Lines of the table."""
    for kind, seconds in dict.fromkeys((run["kind"], run["seconds"]) for run in runs):
        some = [run for run in runs if (run["kind"], run["seconds"]) == (kind, seconds)]
        cells = []
        for key, (_, form) in KEYS.items():
            values = [run[key] for run in some if key in run]
            cells.append(shown(values or None, form))
        steps = shown([run["steps"] for run in some], ",.0f")
        yield [kind, seconds, len(some), steps, *cells]


def sections(quick):
    """The table; unless quick, each run is kept as soon as it ends."""
    new = []
    for run in lines_of("benchmarks.budgets", "quick" if quick else "full"):
        new.append(run)
        print(json.dumps(run), flush=True)
        if not quick:
            store(runs=[*stored().get("runs", []), run], runs_measured=facts())
    runs = new if quick else stored()["runs"]
    runs = sorted(runs, key=lambda run: (run["kind"], run["seconds"], run["seed"]))
    columns = ["kind", "CPU seconds", "seeds", "steps", *(title for title, _ in KEYS.values())]
    return [Section("budgets: what seconds of training buy", TEXT, columns, [*rows(runs)])]


if __name__ == "__main__":
    all_runs(sys.argv[1] == "quick")
