"""`SimpleAudioGenerator.generate` against the same network in PyTorch."""

import jax
import numpy as np
import torch
from flax import nnx

from audiogen.generator import SimpleAudioGenerator

from .common import SEED, Section, interleave, median_ms, ratio

TEXT = (
    "`SimpleAudioGenerator(duration=0.5).generate(batch, rngs=rngs)`, latent vectors drawn anew each time, after compilation, "
    "against `randn` and the same network with the same weights in PyTorch's `inference_mode` (outputs compared before); in ms."
)


def torch_network(generator):
    """The generator's network in PyTorch, weights and all."""
    layers = []
    for layer in generator.generator.layers:
        if isinstance(layer, nnx.Linear):
            layers += [torch.nn.Linear(layer.in_features, layer.out_features), torch.nn.ReLU()]
            layers[-2].weight.data = torch.tensor(np.asarray(layer.kernel[...]).T)
            layers[-2].bias.data = torch.tensor(np.asarray(layer.bias[...]))
    return torch.nn.Sequential(*layers[:-1], torch.nn.Tanh())


def check_same(generator, network):
    """Refuse to compare networks whose outputs differ."""
    z = np.random.default_rng(SEED).standard_normal((3, generator.latent_dim), dtype=np.float32)
    np.testing.assert_allclose(generator(z), network(torch.from_numpy(z)).detach(), atol=1e-4)


def sections(quick):
    """The table."""
    rngs = nnx.Rngs(SEED)
    generator = SimpleAudioGenerator(duration=0.5, rngs=rngs)
    network = torch_network(generator)
    check_same(generator, network)
    torch.manual_seed(SEED)

    @torch.inference_mode()
    def theirs(batch):
        return network(torch.randn(batch, generator.latent_dim))

    def ours(batch):
        return jax.block_until_ready(generator.generate(batch, rngs=rngs))

    def compare(batch):
        times = interleave(
            {"ours": lambda: ours(batch), "theirs": lambda: theirs(batch)},
            rounds=10 if quick else 50,
        )
        return [
            batch,
            median_ms(times["ours"]),
            median_ms(times["theirs"]),
            ratio(times["ours"], times["theirs"]),
            "≤ 1.0",
        ]

    return [
        Section(
            "generate: steady state",
            TEXT,
            ["batch", "audiogen", "torch", "audiogen / torch", "aim"],
            [compare(1), compare(3), compare(64)],
        )
    ]
