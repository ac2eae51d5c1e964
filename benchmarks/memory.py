"""Peak memory of analysing and generating a long sound, against a short one."""

import subprocess
import sys
import tempfile
from pathlib import Path

from .common import SEED, Section

RATE = 16000
TEXT = (
    "Peak resident memory of a fresh process, imports and compilation included: `spectrogram_overview` of a file, and `stream_walk` of an "
    "untrained generator to a `.flac`. Beside it what one array of the samples would take, and for the analysis its complex transform too."
)


def peak_mb():
    """Peak resident memory of this program (MB)."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss would count the program that started this one, too
        return (
            next(
                int(line.split()[1])
                for line in status.read_text().splitlines()
                if line.startswith("VmHWM")
            )
            / 1000
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1000
    )


def write_noise(path, minutes):
    """A file of white noise, a second at a time."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(SEED)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60 * minutes):
            file.write(rng.uniform(-0.5, 0.5, RATE).astype(np.float32))


def analyse(folder, minutes):
    """Analyse a file of so many minutes."""
    from audiogen.support.recordings import spectrogram_overview

    spectrogram_overview(f"{folder}/{minutes}.wav")


def generate(folder, minutes):
    """Generate a file of so many minutes."""
    import jax
    from flax import nnx

    from audiogen.generator import SimpleAudioGenerator
    from audiogen.variation import stream_walk

    generator = SimpleAudioGenerator(sample_rate=RATE, duration=0.5, rngs=nnx.Rngs(SEED))
    stream_walk(f"{folder}/walk.flac", generator, duration=60 * minutes, key=jax.random.key(SEED))


def in_process(task, folder, minutes):
    """Peak memory (MB) of a task in a process of its own."""
    code = f"from benchmarks import memory as m; m.{task.__name__}({folder!r}, {minutes}); print(m.peak_mb())"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(result.stdout)


def whole_array_mb(task, minutes):
    """What the samples would take as one `float32` array, and their complex transform (257 rows, hop 128)."""
    samples = 60 * minutes * RATE
    return (4 * samples + (8 * 257 * samples / 128 if task is analyse else 0)) / 1e6


def sections(quick):
    """The table."""
    long = 5 if quick else 60
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, long):
            write_noise(f"{folder}/{minutes}.wav", minutes)
        peaks = {
            task: [in_process(task, folder, minutes) for minutes in (1, long)]
            for task in (analyse, generate)
        }
    columns = [
        "MB",
        "1 minute",
        f"{long} minutes",
        "difference",
        f"whole arrays of {long} minutes",
        "aim",
    ]
    rows = [
        [
            task.__name__,
            f"{a:.0f}",
            f"{b:.0f}",
            f"**{b - a:+.0f}**",
            f"{whole_array_mb(task, long):.0f}",
            "flat in length",
        ]
        for task, (a, b) in peaks.items()
    ]
    return [Section("memory: sounds of any length", TEXT, columns, rows)]
