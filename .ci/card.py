#!/usr/bin/env python3
"""Draw nbs/card.png, what a link to the docs looks like elsewhere: `python .ci/card.py`."""

from pathlib import Path

import numpy as np
from flax import nnx

from audiogen.generator import load_model, sample_latents, synthesize
from audiogen.stft import amplitude_to_db, full_scale, spectrogram
from audiogen.support.figures import new_figure

model = load_model("conditional")
instruments = [
    model.steer(label, loudness=-12) for label in ("kick", "pluck", "cowbell", "brass", "organ")
]
x = np.concatenate([synthesize(i, sample_latents(i, 1, rngs=nnx.Rngs(0))[0]) for i in instruments])
levels = amplitude_to_db(spectrogram(x, window_size=1024, hop_size=256), ref=full_scale(1024))

figure, (ax,) = new_figure(size=(12, 6.3))
figure.set_layout_engine("none")
ax.set_position((0, 0, 1, 1))
ax.imshow(
    levels[:260],
    origin="lower",
    aspect="auto",
    cmap="magma",
    vmin=-75,
    vmax=-5,
    interpolation="bilinear",
)
ax.axis("off")
text = dict(
    transform=ax.transAxes,
    color="white",
    va="top",
    bbox=dict(facecolor="#101a33", edgecolor="none", pad=14),
)
ax.text(0.05, 0.9, "audiogen", fontsize=64, weight="bold", **text)
ax.text(
    0.05,
    0.62,
    "Learn neural audio generation by building it,\nin JAX and Flax NNX",
    fontsize=30,
    **text,
)
figure.savefig(
    Path(__file__).resolve().parents[1] / "nbs/card.png", dpi=100, pil_kwargs={"optimize": True}
)
