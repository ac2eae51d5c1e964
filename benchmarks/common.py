"""What the benchmarks share: timing in turn, medians of paired ratios, tables, facts about the machine."""

import datetime
import os
import platform
import random
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

SEED = 42
PACKAGES = ["audiogen-jax", "jax", "flax", "numpy", "scipy", "torch", "librosa"]


def seconds(function, calls=1):
    """Wall time of a call, the median of several: what else the machine does may hit some of them."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def interleave(functions, *, rounds, visit=0.02):
    """Time {name: function} in turn, each round in a new order; {name: seconds a call, (rounds,)}.

    A visit lasts about `visit` seconds and begins with an untimed call, so that no function pays for caches that
    another one filled or threads that another one left spinning.
    """
    for function in functions.values():
        function()
    calls = {name: max(1, round(visit / seconds(function))) for name, function in functions.items()}
    times, order = {name: [] for name in functions}, random.Random(SEED)
    for _ in range(rounds):
        for name in order.sample(list(functions), len(functions)):
            functions[name]()
            times[name].append(seconds(functions[name], calls[name]))
    return {name: np.array(t) for name, t in times.items()}


def median_ms(times):
    """Median in milliseconds, as text."""
    return f"{1000 * np.median(times):.3g}"


def ratio(ours, theirs):
    """Median and quartiles of the rounds' ratios, as text: "0.42 (0.40–0.45)"."""
    low, middle, high = np.quantile(np.asarray(ours) / np.asarray(theirs), [0.25, 0.5, 0.75])
    return f"**{middle:.2f}** ({low:.2f}–{high:.2f})"


@dataclass
class Section:
    """One table, and how it was measured."""

    title: str
    text: str
    columns: list[str]
    rows: list[list]

    def markdown(self):
        """Heading, paragraph and table."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        return f"### {self.title}\n\n{self.text}\n\n{table}\n"


def cpu_model():
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def installed(package):
    """A package's name and version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def facts():
    """When, on what machine, beside what other work, and with which versions something is measured."""
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": [round(x, 2) for x in os.getloadavg()],
        "cores": os.cpu_count(),
        "versions": [f"Python {platform.python_version()}", *map(installed, PACKAGES)],
    }


def describe(measured):
    """The facts in a line of text."""
    busy = measured["load"][0] > measured["cores"] / 4
    load = ", ".join(f"{x:.2f}" for x in measured["load"])
    return (
        f"{measured['date']}; {measured['machine']}; load average before: {load}"
        f"{' (**busy: not to be quoted**)' if busy else ''}; {', '.join(measured['versions'])}."
    )
