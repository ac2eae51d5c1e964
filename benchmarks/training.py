"""Training steps a second of the models that draw spectrograms, against the same networks, batches, losses and optimiser in PyTorch."""

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

from audiogen.conditional import conditional_model
from audiogen.generator import load_model, save_model
from audiogen.sounds import make_sounds
from audiogen.source_filter import FLOOR, band_weights, predict_picture
from audiogen.spectral import spectral_loss, spectral_model, spectral_targets
from audiogen.support.learning import conditional_loss, conditional_targets
from audiogen.support.states import key_kinds, without_keys
from audiogen.training import Supervised, begin_state, make_step, progress_parts
from audiogen.vae import vae_loss, vae_model, vae_targets

from .common import SEED, Section, median_ms, ratio, seconds

TEXT = (
    "One step on a batch of 32: random numbers, forward, loss, backward, clipping to norm 5, Adam, and the moving average of the weights; in ms, "
    "the batch already in each library's memory. What the networks draw is compared before. Each library runs alone in a process of its own, in "
    "turn, since the threads of two in one process get in each other's way."
)


def tensor(array):
    """A copy for PyTorch."""
    return torch.from_numpy(np.array(array))


def copied(network):
    """Linear layers with ReLU between them, with the same weights."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, nnx.Linear):
            layers += [torch.nn.Linear(layer.in_features, layer.out_features), torch.nn.ReLU()]
            layers[-2].weight.data, layers[-2].bias.data = (
                tensor(layer.kernel[...].T),
                tensor(layer.bias[...]),
            )
    return torch.nn.Sequential(*layers[:-1])


def compare(drawn, target):
    """The loss of chapter 08."""
    difference = drawn - target
    return difference.square().mean() + 0.3 * difference.abs().mean()


def draw_latent(encoded):
    """A latent vector from the encoder's output, and its rate."""
    mean, log_var = encoded.chunk(2, -1)
    log_var = log_var - 2
    rate = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(-1).mean()
    return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean), rate


class TorchSpectral(torch.nn.Module):
    """Chapter 08 in PyTorch."""

    def __init__(self, model):
        super().__init__()
        self.generator, self.base = (
            copied(model.generator),
            torch.nn.Parameter(tensor(model.base[...])),
        )
        self.rank, self.picture = model.config.rank, model.config.picture

    def draw(self, z):
        u, v = (
            self.generator(z)
            .reshape(len(z), self.rank, sum(self.picture))
            .split(self.picture, dim=-1)
        )
        return self.base + u.transpose(-1, -2) @ v

    def loss(self, batch):
        return compare(self.draw(batch["z"] + 0.1 * torch.randn_like(batch["z"])), batch["L"])


class TorchVAE(TorchSpectral):
    """Chapter 09 in PyTorch."""

    def __init__(self, model):
        super().__init__(model)
        self.encoder, self.beta = copied(model.encoder), model.config.beta

    def loss(self, batch):
        z, rate = draw_latent(self.encoder((batch["features"] + 4) / 2))
        return compare(self.draw(z), batch["L"]) + self.beta * rate


class TorchConditional(torch.nn.Module):
    """Chapter 11 in PyTorch."""

    def __init__(self, model):
        super().__init__()
        self.config, self.steady = model.config, tensor(model.steady[...])
        self.encoder, self.net, self.base = (
            copied(model.encoder),
            copied(model.decoder.net),
            torch.nn.Parameter(tensor(model.decoder.base[...])),
        )
        k, self.weights = self.config, {}
        for zoom in (1, 2):
            bins = zoom * k.window_size // 2 + 1
            self.weights[zoom] = [
                tensor(band_weights(bands, bins, k.sample_rate)) for bands in (k.bands, 2 * k.bands)
            ]

    def conditions(self, c, midi):
        pitched = (midi > 0).float()
        octaves = pitched * (midi - 60) / 12
        return torch.cat(
            [
                torch.nn.functional.one_hot(c.long(), len(self.config.classes)).float(),
                torch.stack([pitched, octaves, octaves**2 / 2], -1),
            ],
            -1,
        )

    def comb(self, f0, zoom):
        size, rate = zoom * self.config.window_size, self.config.sample_rate
        f = torch.linspace(0, rate / 2, size // 2 + 1)
        k = torch.clamp((f / f0).round(), min=1)
        square = ((f - k * f0) * (size / rate)).square()
        lobe = torch.where(
            (square < 4) & (k * f0 < 0.95 * rate / 2),
            (1 - square / 4).square() * (1 - square / 10),
            0.0,
        )
        return lobe.clamp(min=1e-3)

    def partials(self, midi, bins):
        f0 = 440 * 2 ** ((midi[:, None] - 69) / 12)
        nearest = torch.clamp(
            (torch.linspace(0, self.config.sample_rate / 2, bins) / f0 + 0.5).floor(), min=1
        )
        return (nearest[:, None] == torch.arange(1, self.config.partials + 1)[:, None]).float()

    def draw(self, z, c, told, midi, zoom, frames):
        k = self.config
        strokes, bend = self.net(torch.cat([z, self.conditions(c, told)], -1)).split(
            [k.rank * sum(k.stroke_sizes), k.picture[0]], -1
        )
        a, b, v, w = strokes.reshape(len(z), k.rank, -1).split(k.stroke_sizes, -1)
        bend = torch.tanh(bend / 5)[:, zoom * frames] / 2
        (v, own), (coarse, fine), (base_h, base_n) = (
            v.split([k.bands, k.partials], -1),
            self.weights[zoom],
            self.base.split([k.bands, 2 * k.bands]),
        )
        h = (
            a[..., zoom * frames].transpose(-1, -2)
            @ (v @ coarse + own @ self.partials(midi, coarse.shape[-1]))
            + base_h @ coarse
        )
        n = b[..., zoom * frames].transpose(-1, -2) @ (w @ fine) + base_n @ fine
        c_picture = torch.where(
            midi[:, None, None] > 0,
            self.comb(440 * 2 ** ((midi[:, None] - 69 + bend) / 12)[..., None], zoom),
            0.0,
        )
        s = self.steady[c.long()].repeat_interleave(zoom, -1)[
            :, None, : zoom * k.window_size // 2 + 1
        ]
        quieter = torch.sqrt(s.square() + (1 - s.square()) / zoom)
        return torch.log(c_picture * h.exp() + quieter * n.exp() + (1 - quieter) * FLOOR + 1e-5)

    def loss(self, batch):
        c, midi, zoom = batch["label"], batch["midi"], random.choice((1, 2))
        which, wrong = (
            random.randrange(batch["heard"].shape[1]) * random.getrandbits(1),
            torch.randn_like(midi),
        )
        told, heard = (torch.where(m > 0, m + wrong, 0.0) for m in (midi, batch["heard"][:, which]))
        features = batch["features"][:, which]
        features = features + 0.3 * torch.randn_like(features)
        z, rate = draw_latent(
            self.encoder(torch.cat([features / 2 + 2, self.conditions(c, heard)], -1))
        )
        picture = batch[f"L{zoom}"]
        count = picture.shape[1]
        frames = (random.randrange(count) + 4 * torch.arange(-(-count // 4))) % count
        return (
            compare(self.draw(z, c, told, midi, zoom, frames), picture[:, frames])
            + self.config.beta * rate
        )


KINDS = {
    "spectral": (spectral_model, spectral_targets, spectral_loss, TorchSpectral),
    "vae": (vae_model, vae_targets, vae_loss, TorchVAE),
    "conditional": (conditional_model, conditional_targets, conditional_loss, TorchConditional),
}


def check_same(model, network, batch):
    """Refuse to compare networks that draw different pictures, or encode differently."""
    z = np.random.default_rng(SEED).normal(size=(32, model.latent_dim)).astype(np.float32)
    if isinstance(network, TorchConditional):
        c, midi = batch["label"], batch["midi"]
        strokes = model.decoder(z, c, midi)
        frames = np.arange(5)
        pairs = [
            (
                predict_picture(model.decoder, model.steady[c], strokes, midi, zoom, frames),
                network.draw(*map(tensor, (z, c, midi, midi)), zoom, frames),
            )
            for zoom in (1, 2)
        ]
        told = torch.cat(
            [tensor(batch["features"][:, 0]) / 2 + 2, network.conditions(tensor(c), tensor(midi))],
            -1,
        )
        pairs.append(
            (
                model.posterior(batch["features"][:, 0], c, midi)[0],
                network.encoder(told).chunk(2, -1)[0],
            )
        )
    else:
        pairs = [(model.draw(z), network.draw(tensor(z)))]
        if isinstance(network, TorchVAE):
            pairs.append(
                (
                    model.posterior(batch["features"])[0],
                    network.encoder((tensor(batch["features"]) + 4) / 2).chunk(2, -1)[0],
                )
            )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.detach(), atol=1e-3)


def torch_step(network, batch):
    """A function that does one step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    average = [p.detach().clone() for p in network.parameters()]

    def step():
        optimizer.zero_grad(set_to_none=True)
        network.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        torch._foreach_lerp_(average, [p.detach() for p in network.parameters()], 0.001)

    return step


def jax_step(loss, model, batch):
    """A function that does one step of the book's loop, which lets the new state overwrite the old one."""
    rule = Supervised(loss)
    state = begin_state(rule, model)
    step = jax.jit(make_step(rule, key_kinds(state), seed=SEED), donate_argnums=0)
    held = {"state": jax.tree.map(jnp.copy, without_keys(state)), "n": 0}
    batch = jax.device_put(batch)

    def one():
        n = np.int32(held["n"])
        held["state"], metrics = step(held["state"], batch, n, progress_parts(0.0))
        held["n"] += 1
        return float(metrics["loss"])

    return one


def prepare(kind, folder):
    """Write a model and a batch into a folder, after a comparison of the two networks."""
    sounds = make_sounds(per_class=8, seed=SEED)
    build, targets, _, network = KINDS[kind]
    model = build(sounds, rngs=nnx.Rngs(SEED))
    arrays = targets(model, sounds)
    batch = {
        name: a[::2][:32].astype(np.float32 if a.dtype == np.float16 else a.dtype)
        for name, a in arrays.items()
    }
    check_same(model, network(model), batch)
    save_model(folder / "model.safetensors", model)
    np.savez(folder / "batch.npz", **batch)


def measure(kind, name, folder):
    """Time of a step of "ours" or "theirs" (s), the median of 300 after 100."""
    model, batch = load_model(folder / "model.safetensors"), dict(np.load(folder / "batch.npz"))
    _, _, loss, network = KINDS[kind]
    if name == "ours":
        step = jax_step(loss, model, batch)
    else:
        step = torch_step(network(model), {key: tensor(a) for key, a in batch.items()})
    seconds(step, 100)
    return seconds(step, 300)


def alone(kind, name, folder):
    """What measure says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", kind, name, folder]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def sections(quick):
    """The table."""
    lines, order = [], random.Random(SEED)
    for kind in KINDS:
        times = {"ours": [], "theirs": []}
        with tempfile.TemporaryDirectory() as folder:
            prepare(kind, Path(folder))
            for _ in range(1 if quick else 7):
                for name in order.sample(list(times), len(times)):
                    times[name].append(alone(kind, name, folder))
        lines.append(
            [
                kind,
                median_ms(times["ours"]),
                median_ms(times["theirs"]),
                ratio(times["ours"], times["theirs"]),
                "≤ 0.6",
            ]
        )
    return [
        Section(
            "training: one step",
            TEXT,
            ["model", "audiogen", "torch", "audiogen / torch", "aim"],
            lines,
        )
    ]


if __name__ == "__main__":
    kind, name, folder = sys.argv[1:]
    print(measure(kind, name, Path(folder)))
