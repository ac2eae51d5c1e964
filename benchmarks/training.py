"""Training steps a second of the spectral generator, against the same network, batch, loss and optimiser in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from audiogen.sounds import make_sounds
from audiogen.spectral import spectral_loss, spectral_model, spectral_targets
from audiogen.training import initial_state, make_optimizer, make_step

from .common import SEED, interleave, median_ms, ratio, section as markdown, table

TEXT = (
    "One step of `SpectralGenerator` on a batch of 32: noise on the latent vectors, forward, loss, backward, clipping to norm 5, Adam, and "
    "the moving average of the weights; in ms, batches already in memory. Gradients are compared before."
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
    """A function that does one step of the chapter's loop."""
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = make_optimizer(5.0)
    step = jax.jit(make_step(spectral_loss, graphdef, optimizer, seed=SEED, ema_decay=0.999))
    held = {"state": initial_state(params, optimizer)}

    def one():
        held["state"], told = step(held["state"], rest, batch, jnp.float32(2e-3))
        return float(told["loss"])
    return one


def section(quick):
    """The table."""
    sounds = make_sounds(per_class=8, seed=SEED)
    model = spectral_model(sounds.waveforms, sounds.labels, sounds.classes, sounds.sample_rate, rngs=nnx.Rngs(SEED))
    arrays = spectral_targets(model, sounds.waveforms)
    batch = {"z": arrays["z"][::2][:32], "L": arrays["L"][::2][:32].astype(np.float32)}
    network = TorchModel(model)
    check_same(model, network, batch["z"], batch["L"])
    step = jax_step(model, batch)
    theirs = torch_step(network, torch.from_numpy(batch["z"]), torch.from_numpy(batch["L"]))
    times = interleave({"ours": step, "theirs": theirs}, rounds=5 if quick else 20, visit=1.0)     # long enough for threads to settle
    row = [median_ms(times["ours"]), median_ms(times["theirs"]), ratio(times["ours"], times["theirs"]), "≤ 0.67, aim 0.4"]
    return markdown("training: one step", TEXT, table(["audiogen", "torch", "audiogen / torch", "aim"], [row]))
