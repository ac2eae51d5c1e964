"""`audiogen demo`, the whole process, against the tutorial's script doing less."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from . import tutorial
from .common import Section, ratio

TEXT = (
    "Whole processes, from start to exit, in turn; each is run once before, untimed. The tutorial's script makes 7 sounds, 3 figures and 1 "
    "file of sound; `audiogen demo` makes 8 sounds (one of them a walk of seconds), 3 figures, 8 files of sound and a page. JAX's compilation "
    "cache is off for both (every run as on the first day), or on for both and filled, or as each comes: `audiogen` keeps its programs on disk, "
    "the script doesn't."
)


def commands(folder):
    """The two command lines."""
    words = ["demo", "--model", "untrained", "--force", "--out", f"{folder}/audiogen"]
    audiogen = shutil.which("audiogen", path=Path(sys.executable).parent) or "audiogen"
    return {
        "tutorial": [sys.executable, tutorial.__file__, f"{folder}/tutorial"],
        "audiogen": [audiogen, *words],
    }


def environments(folder):
    """Environment variables that turn JAX's compilation cache off, on, and leave it as each comes."""
    about_caches = ("JAX_COMPILATION", "JAX_PERSISTENT", "JAX_ENABLE_COMPILATION")
    bare = {name: x for name, x in os.environ.items() if not name.startswith(about_caches)}
    on = {
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return (
        bare | {"JAX_ENABLE_COMPILATION_CACHE": "false", "AUDIOGEN_CACHE": "off"},
        bare | on,
        bare | {"AUDIOGEN_CACHE": f"{folder}/own"},
    )


def wall_and_cpu(command, environment):
    """Seconds by the clock and by the processors that a process takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(both, environment, pairs):
    """{name: (pairs, 2)} wall and CPU seconds of both commands, in turn."""
    for command in both.values():
        wall_and_cpu(command, environment)
    rounds = [
        {name: wall_and_cpu(command, environment) for name, command in both.items()}
        for _ in range(pairs)
    ]
    return {name: np.array([r[name] for r in rounds]) for name in both}


def rows(setting, times, aim):
    """Wall and CPU time in one setting."""
    for i, what in enumerate(["wall", "CPU"]):
        theirs, ours = times["tutorial"][:, i], times["audiogen"][:, i]
        yield [
            f"{what}, {setting}",
            f"{np.median(theirs):.2f}",
            f"{np.median(ours):.2f}",
            ratio(ours, theirs),
            aim,
        ]


def sections(quick):
    """The table."""
    pairs = 3 if quick else 9
    columns = ["seconds", "tutorial's script", "`audiogen demo`", f"ratio of {pairs} pairs", "aim"]
    with tempfile.TemporaryDirectory() as folder:
        off, on, own = (
            measure(commands(folder), environment, pairs) for environment in environments(folder)
        )
    return [
        Section(
            "demo: from the command to the page",
            TEXT,
            columns,
            [
                *rows("cache off", off, "CPU ≤ 0.35"),
                *rows("cache on", on, "–"),
                *rows("as each comes, second run", own, "CPU ≤ 0.2"),
            ],
        )
    ]
