"""Magnitude STFT against torch, librosa, SciPy and jax.scipy."""

import jax
import librosa
import numpy as np
import torch
from scipy.signal import ShortTimeFFT

from audiogen.stft import get_window, spectrogram

from .common import SEED, Section, interleave, median_ms, ratio

SHAPES = [(1, 8000), (1, 960_000), (32, 64_000), (128, 8000)]
WINDOW, HOP = 512, 128
TEXT = (
    f"Magnitudes of a periodic Hann window of {WINDOW} samples every {HOP}, frames centred, silence beyond the ends, from `float32`; "
    "in ms. The ratio is to the peer of smallest median. All give the same values (checked before, on the frames that all have; jax.scipy's "
    "up to its scale)."
)


@jax.jit
def jax_scipy(x):
    """Magnitudes by jax.scipy.signal.stft."""
    return abs(jax.scipy.signal.stft(x, nperseg=WINDOW, noverlap=WINDOW - HOP)[2])


def functions(x):
    """{name: a function of no arguments} that compute the magnitudes of x, (b, t)."""
    on_jax, on_torch, window = jax.device_put(x), torch.from_numpy(x), torch.hann_window(WINDOW)
    short_time = ShortTimeFFT(get_window("hann", WINDOW), HOP, fs=1)
    frames = {"p0": 0, "p1": 1 + x.shape[1] // HOP}
    return {
        "audiogen": lambda: jax.block_until_ready(
            spectrogram(on_jax, window_size=WINDOW, hop_size=HOP)
        ),
        "torch": lambda: torch.stft(
            on_torch,
            WINDOW,
            HOP,
            window=window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        ).abs(),
        "librosa": lambda: np.abs(librosa.stft(x, n_fft=WINDOW, hop_length=HOP)),
        "SciPy": lambda: np.abs(short_time.stft(x, **frames)),
        "jax.scipy": lambda: jax.block_until_ready(jax_scipy(on_jax)),
    }


def check_same(results):
    """Refuse to compare functions whose values differ on the frames that all have."""
    results["jax.scipy"] = results["jax.scipy"] * get_window("hann", WINDOW).sum()
    frames = min(S.shape[-1] for S in results.values())
    for name, S in results.items():
        np.testing.assert_allclose(
            S[..., :frames], results["torch"][..., :frames], rtol=1e-3, atol=1e-3, err_msg=name
        )


def compare(shape, quick):
    """A row of the table."""
    x = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
    peers = functions(x)
    check_same({name: np.asarray(f()) for name, f in peers.items()})
    times = interleave(peers, rounds=5 if quick else 25)
    ours = times.pop("audiogen")
    fastest = min(times, key=lambda name: np.median(times[name]))
    return [
        f"{shape[0]}×{shape[1]}",
        median_ms(ours),
        *map(median_ms, times.values()),
        f"{ratio(ours, times[fastest])} of {fastest}",
        "≤ 1.0",
    ]


def sections(quick):
    """The table."""
    columns = [
        "batch × samples",
        "audiogen",
        "torch",
        "librosa",
        "SciPy",
        "jax.scipy",
        "audiogen / fastest peer",
        "aim",
    ]
    return [
        Section(
            "stft: magnitude spectrograms",
            TEXT,
            columns,
            [compare(shape, quick) for shape in SHAPES],
        )
    ]
