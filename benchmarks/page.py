"""A page in one file: its size, from a key to its sound, and how long a sound takes in JavaScript and in JAX."""

import tempfile
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from audiogen.generator import load_model, sample_latents, save_model, synthesize
from audiogen.spectral import SpectralGenerator
from audiogen.support.page import save_page

from .common import SEED, Section, seconds
from .explorer import window

TEXT = (
    "Pages written by `audiogen page`, opened from a folder in headless Chromium. From key to sound: from a key pressed in the pad, "
    "which makes another latent vector, to the start of the new sound's AudioBufferSource; the browser's own output latency comes on "
    "top. In JavaScript, in JAX: one sound of a new latent vector, in the page's worker and by the compiled program, in turn. "
    "The model of 1 s at 44.1 kHz is untrained, but of the size of a trained one."
)
COLUMNS = ["model", "sound", "file, MB", "key to sound, ms", "in JavaScript, ms", "in JAX, ms"]
AIMS = ["aim", "1 s at 44.1 kHz", "≤ 5", "≤ 15", "≤ 60", ""]
TIMED = """async settings => {
  const took = []
  for (let i = 0; i < settings.length; i++) {
    const start = performance.now()
    await new Promise(resolve => {
      worker.addEventListener("message", resolve, { once: true })
      worker.postMessage({ kind: "sound", id: `timed ${i}`, settings: settings[i] })
    })
    took.push(performance.now() - start)
  }
  return took
}"""
KEEP = "const Usual = Worker; window.Worker = class extends Usual { constructor(...how) { super(...how); window.worker = this } }"


def full_rate(folder):
    """The file of a model of 1 s at 44.1 kHz."""
    settings = dict(window_size=1024, hop_size=256, classes=("kick", "snare"))
    model = SpectralGenerator(sample_rate=44100, duration=1.0, rngs=nnx.Rngs(SEED), **settings)
    known = np.random.default_rng(SEED).normal(size=model.latents.known.shape)
    model.latents.known[...] = jnp.asarray(known)
    model.generator.layers[-1].kernel[...] *= 3
    save_model(folder / "full-rate.safetensors", model, half=True)
    return folder / "full-rate.safetensors"


def key_to_sound(page, moves):
    """Milliseconds from a key to the start of its sound, for each of several moves."""
    page.set_default_timeout(20_000)
    for i in range(moves + 3):
        page.locator(".pad").press("ArrowRight" if i % 2 else "ArrowUp")
        page.wait_for_function(f"delays.length > {i}")
        page.wait_for_timeout(300)
    return page.evaluate("delays")[3:]


def heard(model, latent):
    """The samples of a sound, once they are there."""
    return np.asarray(synthesize(model, latent))


def row(model_path, folder, rounds):
    """A line of the table."""
    model, path = load_model(model_path), save_page(folder / "page.html", model_path)
    z = np.asarray(sample_latents(model, rounds + 3, rngs=nnx.Rngs(SEED)))
    with window() as (page, complaints):
        page.add_init_script(KEEP)
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.code')?.value", timeout=60_000)
        keys = key_to_sound(page, rounds)
        settings = {"seed_a": 0, "seed_b": 1, "interpolation": 0, "variation_scale": 0}
        settings |= {"variation_seed": 0, "offsets": []}
        if model.conditions[0].default:
            settings |= {"label": model.conditions[0].default, "pitch": 60}
        python, script = [], []
        for i, latent in enumerate(z):
            script += page.evaluate(TIMED, [settings | {"seed_a": i}])
            python.append(1000 * seconds(partial(heard, model, latent)))
    assert complaints == [], complaints
    sound = f"{model.duration:g} s at {model.sample_rate / 1000:g} kHz"
    size = f"{path.stat().st_size / 1e6:.2f}"
    timings = [f"**{np.median(times):.3g}**" for times in (keys, script[3:], python[3:])]
    return [Path(model_path).stem, sound, size, *timings]


def sections(quick):
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = ["conditional", "spectral", full_rate(folder)]
        rows = [row(model, folder, 5 if quick else 30) for model in models]
    return [Section("page: one file, from a folder", TEXT, COLUMNS, [*rows, AIMS])]
