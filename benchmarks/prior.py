"""The prior: a training step against PyTorch, and cached writing against naive."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from audiogen.generator import load_model, save_model
from audiogen.prior import TokenPrior, begin, write_tokens
from audiogen.support.rhythm import beat_features, score_features

from .common import SEED, Section, median_ms, ratio, seconds
from .training import jax_step, tensor, torch_step

ROWS, TOKENS = 8, 128  # a step of the shipped model's training


class TorchPrior(torch.nn.Module):
    """The network in PyTorch, with the same weights and its own fused attention."""

    def __init__(self, model):
        super().__init__()
        self.config, self.book = model.config, tensor(model.book[...])
        entry, leave = model.entry, model.exit
        self.tables = torch.nn.ModuleList(
            torch.nn.Embedding.from_pretrained(tensor(table.embedding[...]), freeze=False)
            for table in (entry.token, entry.struck, entry.since)
        )
        self.told = torch.nn.ModuleList(map(self.linear, (entry.vector, entry.label, entry.beat)))
        self.layers = torch.nn.ModuleList(map(self.layer, model.layers))
        self.norm = self.scaled(leave.norm)
        self.leave = torch.nn.ModuleList(
            map(self.linear, (leave.hidden, leave.logits, leave.point))
        )
        half = self.config.width // self.config.heads // 2
        angles = torch.arange(TOKENS)[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        self.cos, self.sin = angles.cos(), angles.sin()

    @staticmethod
    def linear(layer):
        """A linear layer with the same weights."""
        kernel = layer.kernel[...]
        made = torch.nn.Linear(*kernel.shape, bias=layer.bias is not None)
        made.weight.data = tensor(kernel.T)
        if layer.bias is not None:
            made.bias.data = tensor(layer.bias[...])
        return made

    @staticmethod
    def scaled(norm):
        """A norm with the same weights."""
        made = torch.nn.RMSNorm(norm.scale[...].shape[0], eps=1e-6)
        made.weight.data = tensor(norm.scale[...])
        return made

    def layer(self, layer):
        """An attention layer's parts."""
        parts = dict(first=self.scaled(layer.first_norm), second=self.scaled(layer.second_norm))
        names = "triple", "found", "hidden", "out"
        return torch.nn.ModuleDict(
            parts | {name: self.linear(getattr(layer, name)) for name in names}
        )

    def rotate(self, x):
        """Rotary positions."""
        a, b = x.chunk(2, -1)
        return torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], -1)

    def attend(self, x, layer):
        """One layer."""
        shape = (*x.shape[:2], 3 * self.config.heads, -1)
        q, k, v = layer["triple"](layer["first"](x)).reshape(shape).transpose(1, 2).chunk(3, 1)
        q, k = self.rotate(q), self.rotate(k)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + layer["found"](found.transpose(1, 2).reshape(x.shape))
        hidden = torch.nn.functional.gelu(layer["hidden"](layer["second"](x)), approximate="tanh")
        return x + layer["out"](hidden)

    def loss(self, batch):
        """Nats per token."""
        tokens = batch["tokens"]
        before = torch.nn.functional.pad(tokens[:, :-1], (1, 0), value=self.config.codes)
        vectors = torch.nn.functional.pad(self.book, (0, 0, 0, 1))[before]
        token, struck, since = self.tables
        vector, label, beat = self.told
        x = token(before) + vector(vectors) + label(batch["classes"])[:, None]
        x = x + beat(batch["beat"]) + struck(batch["struck"]) + since(batch["since"])
        for layer in self.layers:
            x = self.attend(x, layer)
        hidden, logits, point = self.leave
        h = torch.nn.functional.gelu(hidden(self.norm(x)), approximate="tanh")
        p = point(h)
        near = p[..., :-1] @ self.book.T - 0.5 * p[..., -1:].exp() * self.book.square().sum(-1)
        return torch.nn.functional.cross_entropy((logits(h) + near).flatten(0, 1), tokens.flatten())


def always_told(model, batch, key):
    """The loss, with what is told in the batch already."""
    told = model.entry.tell(*(batch[name] for name in ("classes", "beat", "struck", "since")))
    log_p = jax.nn.log_softmax(model.predict(batch["tokens"], told))
    nats = -jnp.take_along_axis(log_p, batch["tokens"][..., None], axis=-1).mean()
    return nats, {"bits": nats / np.log(2)}


def prepare(folder):
    """Write a model and a batch into a folder, after a comparison of the losses."""
    rng, c = np.random.default_rng(SEED), load_model("prior").config
    model = TokenPrior(classes=c.classes, tempos=c.tempos, rngs=nnx.Rngs(SEED))
    for _, w in nnx.iter_graph(model):
        if isinstance(w, nnx.Variable):
            w[...] = jnp.asarray(rng.normal(size=w.shape, scale=0.05), jnp.float32)
    moments = (np.arange(TOKENS) + 0.5) * c.samples_per_token / c.sample_rate
    tempo = rng.uniform(100, 140, ROWS)
    struck, since = score_features(rng.integers(0, 37, (ROWS, 20)), tempo, moments)
    batch = dict(
        tokens=rng.integers(0, c.codes, (ROWS, TOKENS)),
        classes=np.eye(len(c.classes), dtype=np.float32)[np.arange(ROWS) % len(c.classes)],
        beat=np.asarray(beat_features(tempo, moments)),
        struck=np.asarray(struck, np.int64),
        since=np.asarray(since, np.int64),
    )
    theirs = TorchPrior(model).loss({name: tensor(a) for name, a in batch.items()}).item()
    np.testing.assert_allclose(always_told(model, batch, None)[0], theirs, rtol=1e-4)
    save_model(folder / "model.safetensors", model)
    np.savez(folder / "batch.npz", **batch)


def measure_step(name, folder):
    """Time of a step (s), the median of 40 after 10."""
    model, batch = load_model(folder / "model.safetensors"), dict(np.load(folder / "batch.npz"))
    if name == "audiogen":
        step = jax_step(always_told, model, batch)
    else:
        step = torch_step(TorchPrior(model), {key: tensor(a) for key, a in batch.items()})
    seconds(step, 10)
    return seconds(step, 40)


def measure_writing(name, length):
    """Time to write so many seconds of tokens (s), the median of 5."""
    model = load_model("prior")
    count = model.config.tokens_in(length)
    state = begin(model, model.sample_latents(jax.random.key(SEED), 1, "drums", 120.0))
    if name == "cached":
        work = lambda: jax.block_until_ready(write_tokens(model, state, count)[1])
    else:
        told = model.tell(state["classes"], state["tempo"], jnp.arange(count))
        predict = jax.jit(lambda tokens: model.predict(tokens, told))
        tokens = jnp.zeros((1, count), int)
        work = lambda: jax.block_until_ready(predict(tokens))
    work()
    return seconds(work, 5) * (1 if name == "cached" else count)


def alone(*words, one_core=False):
    """What a measurement says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.prior", *map(str, words)]
    limit = (lambda: os.sched_setaffinity(0, {0})) if one_core else None
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=limit)
    return float(done.stdout)


def step_table(quick):
    """The table of training steps."""
    times, order = {"audiogen": [], "torch": []}, random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for _ in range(1 if quick else 7):
            for name in order.sample(list(times), len(times)):
                times[name].append(alone("step", name, folder))
    text = (
        f"One step on {ROWS} rows of {TOKENS} tokens: forward, loss, backward, clipping, Adam, moving average; ms. The losses are compared before; PyTorch "
        "uses its fused attention. Each runs in a process of its own, in turn."
    )
    line = [*map(median_ms, times.values()), ratio(*times.values()), "≤ 1, aim 0.7"]
    columns = ["audiogen", "torch", "audiogen / torch", "aim"]
    return Section("prior: one training step", text, columns, [line])


def writing_table(quick):
    """The table of cached and naive writing."""
    found = [
        [alone("writing", name, 4, one_core=True) for name in ("cached", "naive")]
        for _ in range(1 if quick else 5)
    ]
    cached, naive = np.median(found, axis=0)
    text = (
        "The shipped model, 4 s of tokens of one sound on one core, without the codec. Naive is to run the whole network over all 250 places for each token. "
        "Median of processes in turn."
    )
    line = [
        f"{cached:.3f} s",
        f"{naive:.1f} s",
        f"**{naive / cached:.0f}×**",
        f"**{4 / cached:.0f}×**",
        "≥ 6× and 40×, aim 20× and 100×",
    ]
    columns = ["cached", "naive", "naive / cached", "real time / cached", "aim"]
    return Section("prior: writing", text, columns, [line])


def sections(quick):
    """Both tables."""
    return [step_table(quick), writing_table(quick)]


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    print(
        {
            "step": lambda name, folder: measure_step(name, Path(folder)),
            "writing": lambda name, length: measure_writing(name, float(length)),
        }[what](*words)
    )
