"""A folder that fills the memory: how long it takes to read it, and how much memory training then needs."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .common import SEED, Section
from .memory import peak_mb

RATE, SAMPLES = 48000, 80000  # of a file: 1.67 s, 160 kB
SHAPE = dict(sample_rate=44100, duration=1.0)  # of a clip
STEPS = 120
TEXT = (
    "Made for the purpose: files of 160 kB (mono, 16 bits, 48 kHz), in nine classes. *Reading*: each is decoded, resampled to 44.1 kHz and "
    "cut to 1 s by `load_library`. *Training*: `fit` with the recipe of `spectral`, batch 32, on all clips and four copies of each, in a process "
    "of its own; the time is the median of the later steps, a batch's own time included. *Memory* is the peak of the process. "
    '"In memory" is the same by `load_folder` without a library.'
)
COLUMNS = [
    "audio",
    "files",
    "reading (s)",
    "files a second",
    "memory, reading (MB)",
    "memory, training (MB)",
    "from start to first step (s)",
    "a step (ms)",
    "aim",
]


def write_files(folder, count):
    """Sounds of two voices each, at random moments and levels; no two files are alike."""
    from audiogen.sounds import VOICES, make_sounds

    rng = np.random.default_rng(SEED)
    made = make_sounds(per_class=40, sample_rate=RATE, seed=SEED)
    pool = (0.9 * 32767 * made.waveforms).astype("<i2").reshape(len(VOICES), 40, -1)
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    data = b"data" + struct.pack("<I", 2 * SAMPLES)
    head = b"RIFF" + struct.pack("<I", 36 + 2 * SAMPLES) + b"WAVEfmt " + form + data
    for name in made.classes:
        (folder / name).mkdir(parents=True)
    for i in range(count):
        voice, (first, second), level = (
            i % len(pool),
            rng.integers(40, size=2),
            rng.uniform(0.3, 0.9),
        )
        start, n = rng.integers(2000, 40000), pool.shape[-1]
        x = np.zeros(SAMPLES, "<i2")
        x[:n] = level * pool[voice, first]
        x[start : start + n] += ((1 - level) * pool[voice, second]).astype("<i2")
        (folder / made.classes[voice] / f"{i:06}.wav").write_bytes(head + x.tobytes())


def read(folder):
    """Read a folder into a library."""
    from audiogen.support.library import load_library

    start = time.perf_counter()
    load_library(folder, **SHAPE)
    return dict(seconds=time.perf_counter() - start, peak=peak_mb())


def learn(folder, out, kind):
    """Train on a folder, "stored" or "in memory"."""
    from audiogen.support.fitting import fit
    from audiogen.support.library import load_library
    from audiogen.support.recipes import load_recipe
    from audiogen.support.runs import read_log

    start = time.perf_counter()
    sounds = load_library(folder, **SHAPE, large=kind == "stored")
    fit(load_recipe("spectral"), sounds, out=out, steps=STEPS)
    whole = time.perf_counter() - start
    seconds = [record["seconds"] for record in read_log(out)]
    step = np.median(np.diff(seconds)[STEPS // 4 :])
    return dict(
        step=step, before=whole - seconds[-1], peak=peak_mb(), loss=read_log(out)[-1]["loss"]
    )


def in_process(*arguments):
    """What a task says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large", *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def rows_of(folder, gigabytes, *, compare):
    """A line of the table for so much audio; and another one for training in memory."""
    files, count = folder / "files", round(gigabytes * 1e9 / (2 * SAMPLES))
    write_files(files, count)
    reading, kinds = in_process("read", files), ["stored", "in memory"] if compare else ["stored"]
    lines = []
    for kind in kinds:
        learning = in_process("learn", files, folder / kind, kind)
        stored = kind == "stored"
        lines.append(
            [
                f"{gigabytes:g} GB, {'on the disk' if stored else 'in memory'}",
                f"{count:,}",
                f"{reading['seconds']:.0f}" if stored else "–",
                f"{count / reading['seconds']:.0f}" if stored else "–",
                f"{reading['peak']:.0f}" if stored else "–",
                f"**{learning['peak']:.0f}**",
                f"{learning['before']:.0f}",
                f"{1000 * learning['step']:.0f}",
                "≤ 2,000 MB (aim 1,000)" if stored else "",
            ]
        )
        print(lines[-1], learning["loss"], file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return lines


def sections(quick, sizes=(0.25, 1, 4, 16)):
    """The table."""
    lines = []
    for gigabytes in (0.03,) if quick else sizes:
        with tempfile.TemporaryDirectory() as place:
            os.environ["AUDIOGEN_CACHE"] = f"{place}/cache"
            lines += rows_of(Path(place) / "work", gigabytes, compare=gigabytes < 1)
    return [Section("large: more sounds than the memory holds", TEXT, COLUMNS, lines)]


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    print(json.dumps({"read": read, "learn": learn}[task](*arguments)))
