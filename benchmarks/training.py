"""Training steps a second of the spectral generator, against the same network, batch, loss and optimiser in PyTorch."""

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
from audiogen.sounds import make_sounds
from audiogen.spectral import spectral_loss, spectral_model, spectral_targets
from audiogen.training import initial_state, make_optimizer, make_step

from .common import SEED, median_ms, ratio, seconds, section as markdown, table

TEXT = (
    "One step of `SpectralGenerator` on a batch of 32: noise on the latent vectors, forward, loss, backward, clipping to norm 5, Adam, and "
    "the moving average of the weights; in ms, the batch already in each library's memory. Gradients are compared before. Each library runs "
    "alone in a process of its own, in turn, since the threads of two in one process get in each other's way."
)


class TorchModel(torch.nn.Module):
    """The generator's network in PyTorch, with the same weights."""

    def __init__(self, model):
        super().__init__()
        linears = [layer for layer in model.generator.layers if isinstance(layer, nnx.Linear)]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(layer.in_features, layer.out_features) for layer in linears)
        for mine, theirs in zip(self.layers, linears):
            mine.weight.data = torch.tensor(np.asarray(theirs.kernel[...]).T.copy())
            mine.bias.data = torch.tensor(np.asarray(theirs.bias[...]))
        self.base = torch.nn.Parameter(torch.tensor(np.asarray(model.base[...])))
        self.rank, self.picture = model.config.rank, model.config.picture

    def forward(self, z):
        for layer in self.layers[:-1]:
            z = torch.relu(layer(z))
        strokes = self.layers[-1](z).reshape(len(z), self.rank, sum(self.picture))
        u, v = strokes.split(self.picture, dim=-1)
        return self.base + u.transpose(-1, -2) @ v


def torch_loss(network, z, target):
    """The loss of the chapter."""
    difference = network(z) - target
    return difference.square().mean() + 0.3 * difference.abs().mean()


def torch_step(network, z, target):
    """A function that does one step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    average = [p.detach().clone() for p in network.parameters()]

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch_loss(network, z + 0.1 * torch.randn_like(z), target).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        torch._foreach_lerp_(average, [p.detach() for p in network.parameters()], 0.001)
    return step


def check_same(model, network, z, target):
    """Refuse to compare networks whose loss or gradient differs."""
    def loss(model): return jnp.mean(jnp.square(model.draw(z) - target)) + 0.3 * jnp.mean(jnp.abs(model.draw(z) - target))
    value, gradient = nnx.value_and_grad(loss)(model)
    theirs = torch_loss(network, torch.from_numpy(z), torch.from_numpy(target))
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-4)
    np.testing.assert_allclose(gradient.base[...], network.base.grad, atol=1e-4)


def jax_step(model, batch):
    """A function that does one step of the chapter's loop, which lets the new state overwrite the old one."""
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = make_optimizer(5.0)
    step = jax.jit(make_step(spectral_loss, graphdef, optimizer, seed=SEED, ema_decay=0.999), donate_argnums=0)
    held = {"state": jax.tree.map(jnp.copy, initial_state(params, optimizer))}
    batch = jax.device_put(batch)

    def one():
        held["state"], told = step(held["state"], rest, batch, jnp.float32(2e-3))
        return float(told["loss"])
    return one


def prepare(folder):
    """Write the model and a batch into a folder, after a comparison of the two networks."""
    sounds = make_sounds(per_class=8, seed=SEED)
    model = spectral_model(sounds.waveforms, sounds.labels, sounds.classes, sounds.sample_rate, rngs=nnx.Rngs(SEED))
    arrays = spectral_targets(model, sounds.waveforms)
    batch = {"z": arrays["z"][::2][:32], "L": arrays["L"][::2][:32].astype(np.float32)}
    check_same(model, TorchModel(model), batch["z"], batch["L"])
    save_model(folder / "model.safetensors", model)
    np.savez(folder / "batch.npz", **batch)


def measure(name, folder):
    """Time of a step of "ours" or "theirs" (s), the median of 300 after 100."""
    model, batch = load_model(folder / "model.safetensors"), dict(np.load(folder / "batch.npz"))
    if name == "ours":
        step = jax_step(model, batch)
    else:
        step = torch_step(TorchModel(model), torch.from_numpy(batch["z"]), torch.from_numpy(batch["L"]))
    seconds(step, 100)
    return seconds(step, 300)


def alone(name, folder):
    """What measure says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", name, folder]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def section(quick):
    """The table."""
    times, order = {"ours": [], "theirs": []}, random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for _ in range(3 if quick else 9):
            for name in order.sample(list(times), len(times)):
                times[name].append(alone(name, folder))
    row = [median_ms(times["ours"]), median_ms(times["theirs"]), ratio(times["ours"], times["theirs"]), "≤ 0.67, aim 0.4"]
    return markdown("training: one step", TEXT, table(["audiogen", "torch", "audiogen / torch", "aim"], [row]))


if __name__ == "__main__":
    print(measure(sys.argv[1], Path(sys.argv[2])))
