"""The WaveNet: a training step against PyTorch, cached sampling against naive, and bits a sample after minutes of training."""

import os
import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from audiogen.generator import load_model, save_model
from audiogen.sounds import make_sounds
from audiogen.support.evaluation import evaluate
from audiogen.support.files import audio_writer
from audiogen.support.levels import code_levels, draw_codes, draw_noise
from audiogen.wavenet import (
    WaveNet,
    WaveNetConfig,
    clock_features,
    sample,
    silence,
    stream,
    strike,
    wavenet_loss,
    wavenet_targets,
)

from .common import SEED, Section, median_ms, ratio, seconds
from .memory import peak_mb
from .quality import SEEDS, fit, rows
from .training import jax_step, torch_step

CROP = WaveNetConfig().receptive_field + WaveNetConfig().crop  # what a step of the recipe computes
FIGURES = {
    "bits": ("bits a sample of test clips", ".2f"),
    "class_accuracy": ("class judged right", ".1%"),
    "diversity": ("diversity, of the training clips'", ".2f"),
    "copied": ("copied", ".1%"),
}


class TorchWaveNet(torch.nn.Module):
    """The network in PyTorch, with the same weights: as dilated convolutions, or as linear layers on shifted arrays, whichever is faster."""

    def __init__(self, model, convolutions):
        super().__init__()
        self.model, self.convolutions = model.config, convolutions
        self.recent, self.asked = self.one(model.recent, taps=True), self.one(model.asked)
        self.two = torch.nn.ModuleList(self.pair(layer) for layer in model.layers)
        self.out = torch.nn.ModuleList(self.one(layer.out) for layer in model.layers)
        self.head = torch.nn.ModuleList(map(self.one, (model.hidden, model.last)))

    def one(self, linear, *, taps=False):
        """A linear layer, or a convolution that does the same."""
        kernel, bias = (
            torch.tensor(np.asarray(linear.kernel[...])),
            torch.tensor(np.asarray(linear.bias[...])),
        )
        if self.convolutions:
            layer = (
                torch.nn.Conv1d(1, len(bias), len(kernel))
                if taps
                else torch.nn.Conv1d(len(kernel), len(bias), 1)
            )
            layer.weight.data = (kernel.T[:, None] if taps else kernel.T[:, :, None]).contiguous()
        else:
            layer = torch.nn.Linear(len(kernel), len(bias))
            layer.weight.data = kernel.T.contiguous()
        layer.bias.data = bias
        return layer

    def pair(self, layer):
        """Both matrices of a gated layer in one."""
        past, now, bias = (
            torch.tensor(np.asarray(w[...]))
            for w in (layer.past.kernel, layer.now.kernel, layer.now.bias)
        )
        if self.convolutions:
            both = torch.nn.Conv1d(len(now), now.shape[1], 2, dilation=layer.dilation)
            both.weight.data = torch.stack([past.T, now.T], -1).contiguous()
        else:
            both = torch.nn.Linear(2 * len(now), now.shape[1])
            both.weight.data = torch.cat([past, now]).T.contiguous()
        both.bias.data = bias
        return both

    def gated(self, x, both, out, dilation):
        """One layer."""
        if self.convolutions:
            signal, gate = both(torch.nn.functional.pad(x, (dilation, 0))).chunk(2, 1)
        else:
            signal, gate = both(
                torch.cat([torch.nn.functional.pad(x, (0, 0, dilation, 0))[:, : x.shape[1]], x], -1)
            ).chunk(2, -1)
        return x + out(torch.tanh(signal) * torch.sigmoid(gate))

    def forward(self, levels, asked):
        past = torch.nn.functional.pad(levels, (self.model.taps, 0))[:, :-1]
        if self.convolutions:
            x = self.recent(3 * past[:, None]) + self.asked(asked.transpose(1, 2))
        else:
            x = self.recent(3 * past.unfold(1, self.model.taps, 1)) + self.asked(asked)
        for both, out, dilation in zip(self.two, self.out, self.model.dilations):
            x = self.gated(x, both, out, dilation)
        x = self.head[1](torch.relu(self.head[0](torch.relu(x))))
        logits, means, log_scales = (x.transpose(1, 2) if self.convolutions else x).chunk(3, -1)
        spread = torch.linspace(-0.3, 0.3, self.model.logistics)
        return (
            logits,
            past[:, -levels.shape[1] :, None] + spread + means,
            (log_scales - 2).clamp(min=-7),
        )

    def loss(self, batch):
        """The loss of the chapter, of (levels, what the network is told)."""
        logits, means, log_scales = self(*batch)
        middle, scale = batch[0][..., None], torch.exp(-log_scales)
        low, high = (middle - 1 / 256 - means) * scale, (middle + 1 / 256 - means) * scale
        low, high = torch.where(middle < -0.995, -1e3, low), torch.where(middle > 0.995, 1e3, high)
        sigmoid = torch.nn.functional.logsigmoid
        mass = sigmoid(high) + sigmoid(-low) + torch.log(-torch.expm1(low - high))
        return -torch.logsumexp(torch.log_softmax(logits, -1) + mass, -1).mean()


def prepare(folder):
    """Write a model and a batch of four crops into a folder, after a comparison of the losses."""
    sounds = make_sounds(per_class=1, seed=SEED)
    model = WaveNet(classes=sounds.classes, jitter=0, crop=CROP, rngs=nnx.Rngs(SEED))
    codes = wavenet_targets(model, sounds)["codes"][::2][:4, :CROP]
    batch = {"codes": codes, "label": sounds.labels[::2][:4].astype(np.int32)}
    ours = float(wavenet_loss(model, batch, jax.random.key(0))[0])
    for convolutions in (True, False):
        np.testing.assert_allclose(
            TorchWaveNet(model, convolutions).loss(torch_inputs(model, batch)).item(),
            ours,
            rtol=1e-4,
        )
    save_model(folder / "model.safetensors", model)
    np.savez(folder / "batch.npz", **batch)


def torch_inputs(model, batch):
    """Levels, and what the network is told."""
    classes = jax.nn.one_hot(batch["label"], len(model.config.classes))[:, None]
    clock = clock_features(jnp.arange(batch["codes"].shape[1]), model.config)[None]
    shape = (*batch["codes"].shape, -1)
    asked = np.concatenate(
        [np.broadcast_to(a, (*shape[:2], a.shape[-1])) for a in (classes, clock)], -1
    )
    return torch.from_numpy(np.array(code_levels(batch["codes"]))), torch.from_numpy(asked)


def measure_step(name, folder):
    """Time of a step (s), the median of 100 after 30."""
    model, batch = load_model(folder / "model.safetensors"), dict(np.load(folder / "batch.npz"))
    if name == "ours":
        step = jax_step(wavenet_loss, model, batch)
    else:
        step = torch_step(TorchWaveNet(model, name == "convolutions"), torch_inputs(model, batch))
    seconds(step, 30)
    return seconds(step, 100)


@partial(jax.jit, static_argnums=0)
def naive_sample(graphdef, weights, levels, classes, time, noise):
    """One sample by running the whole network over those before it, (1, t)."""
    model = nnx.merge(graphdef, weights)
    t = levels.shape[1]
    padded = jnp.concatenate([levels, jnp.zeros((1, 1))], 1)
    mixture = model.predict(padded, classes, time - t)[:, -1]
    return draw_codes(mixture, noise)


def measure_sampling(name):
    """Samples a second on one core: cached, or naive over a whole sound or the receptive field; a median."""
    model = load_model("wavenet")
    z = model.sample_prior(jax.random.key(SEED), 1, "pluck")
    if name == "cached":
        state = strike(silence(model, 1), z)

        def run():
            jax.block_until_ready(sample(model, state, 8000))

        run()
        return 8000 / seconds(run, 5)
    past = {"receptive field": model.config.receptive_field, "sound": model.config.num_samples}[
        name
    ]
    arguments = (
        *nnx.split(model),
        jnp.zeros((1, past)),
        z[:, :-1],
        jnp.int32(4000),
        draw_noise(jnp.zeros(1, jnp.uint32), jnp.arange(1))[0],
    )

    def run():
        jax.block_until_ready(naive_sample(*arguments))

    run()
    return 1 / seconds(run, 50)


def measure_memory(length):
    """Peak memory (MB) of a process that streams so many seconds into a file."""
    model, z = load_model("wavenet"), load_model("wavenet").sample_prior(jax.random.key(SEED), 2)
    strokes = (z[i % 2] for i in range(round(length / model.config.duration)))
    with (
        tempfile.TemporaryDirectory() as folder,
        audio_writer(f"{folder}/stream.wav", sample_rate=model.sample_rate) as write,
    ):
        for x, _ in stream(model, strokes):
            write(x)
    return peak_mb()


def alone(*words, one_core=False):
    """What a measurement says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.wavenet", *map(str, words)]
    limit = (lambda: os.sched_setaffinity(0, {0})) if one_core else None
    return float(
        subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=limit
        ).stdout
    )


def step_table(quick):
    """The table of training steps."""
    times, order = {"ours": [], "convolutions": [], "linear": []}, random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for _ in range(2 if quick else 7):
            for name in order.sample(list(times), len(times)):
                times[name].append(alone("step", name, folder))
    text = (
        f"One step on four crops of {CROP:,} samples, all of which count here: forward, loss, backward, clipping, Adam, moving average; ms. The losses are compared before. "
        "PyTorch's network is built in two ways, from dilated convolutions and from linear layers on shifted arrays. Each runs in a process of its own, in turn."
    )
    lines = [
        [
            name,
            median_ms(times["ours"]),
            median_ms(times[name]),
            ratio(times["ours"], times[name]),
            "≤ 1, aim 0.67",
        ]
        for name in ("convolutions", "linear")
    ]
    return Section(
        "wavenet: one training step",
        text,
        ["torch, from", "audiogen", "torch", "audiogen / torch", "aim"],
        lines,
    )


def sampling_table(quick):
    """The table of sampling speeds."""
    names = ("cached", "sound", "receptive field")
    found = [
        [alone("sampling", name, one_core=True) for name in names] for _ in range(1 if quick else 5)
    ]
    cached, *naive = np.median(found, axis=0)
    text = (
        "The shipped model, one sound of 8,000 samples on one core, in samples a second. Naive is to run the whole network again for each sample, over the whole array of the sound, or, "
        "for whoever knows the receptive field, over the last 1,039. Median of five processes in turn."
    )
    short, long = (alone("memory", length) for length in ((2, 10) if quick else (5, 120)))
    text += f" Peak memory of a process that streams 5 s into a file is {short:.0f} MB, of one that streams two minutes {long:.0f} MB."
    lines = [
        [
            f"whole {name}" if name == "sound" else name,
            f"{cached:,.0f}",
            f"{slow:,.1f}",
            f"**{cached / slow:,.0f}×**",
            f"**{cached / 16000:.1f}×**",
            "≥ 100× and 1×, aim 500× and 3×",
        ]
        for name, slow in zip(names[1:], naive)
    ]
    return Section(
        "wavenet: sampling",
        text,
        ["naive over", "cached", "naive", "cached / naive", "cached / real time", "aim"],
        lines,
    )


def quality_table(quick):
    """The table of bits and figures after minutes of training."""
    lines, notes = [], []
    for length, seeds in (
        ((5, SEEDS[:1]),) if quick else ((60, SEEDS), (180, SEEDS), (600, SEEDS[:1]))
    ):
        runs = []
        for seed in seeds:
            model, *parts, steps = fit(
                "wavenet", "sounds", seed, length
            )  # training, validation, test
            found = evaluate(model, *parts, seed=seed)
            runs.append(found)
            notes.append(f"{length} s, seed {seed}: {steps:,}")
        for part in runs[0]:
            lines += rows([f"{length} s"], part, runs, FIGURES)
        print(lines[-4], flush=True)
    text = f"`audiogen train wavenet --data sounds --seconds S --seed N`, 16 kHz. Steps: {'; '.join(notes)}."
    return Section(
        "wavenet: minutes of training",
        text,
        ["training", "test", "figure", "smallest – largest", "beside it"],
        lines,
    )


def sections(quick):
    """All tables."""
    return [step_table(quick), sampling_table(quick), quality_table(quick)]


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    print(
        {
            "step": lambda name, folder: measure_step(name, Path(folder)),
            "sampling": measure_sampling,
            "memory": lambda length: measure_memory(float(length)),
        }[what](*words)
    )
