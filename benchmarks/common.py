"""What the benchmarks share: timing in turn, medians of paired ratios, Markdown tables, the header."""

import datetime
import os
import platform
import random
import time
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


def table(columns, rows):
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def section(title, text, *tables):
    """A Markdown section: heading, a paragraph, tables."""
    return "\n\n".join([f"## {title}", text, *tables]) + "\n"


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


def load_before():
    """Load averages, and whether they spoil the numbers."""
    load = os.getloadavg()
    busy = " — **busy: not to be quoted**" if load[0] > os.cpu_count() / 4 else ""
    return ", ".join(f"{x:.2f}" for x in load) + busy


def header(quick):
    """Date, machine, load, versions and seed."""
    return "\n".join(
        [
            "# audiogen benchmarks" + (" (quick: too few rounds to quote)" if quick else ""),
            "",
            f"- {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}",
            f"- {cpu_model()}, {os.cpu_count()} cores; load average before: {load_before()}",
            f"- Python {platform.python_version()}, {', '.join(map(installed, PACKAGES))}",
            f"- seed {SEED} for data, weights and the order of the functions in a round",
            "- ratios are medians of per-round ratios, with quartiles; below 1 is faster than the other",
            "",
        ]
    )
