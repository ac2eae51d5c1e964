"""WaveGAN: its layers against SciPy and JAX, its rule against finite differences, and runs that can be repeated and resumed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audiogen.generator import (
    AudioModel,
    SimpleAudioGenerator,
    load_model,
    sample_latents,
    save_model,
)
from audiogen.sounds import make_sounds
from audiogen.support.fitting import fit
from audiogen.support.runs import read_log
from audiogen.support.strides import Downsample
from audiogen.training import begin_state
from audiogen.wavegan import (
    Contest,
    Critic,
    WaveGAN,
    WaveGANConfig,
    critic_for,
    gradient_penalty,
    recipe,
)

TINY = dict(duration=0.016, channels=(6, 4), noise_dim=3, classes=("kick", "tom"))


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(("kick", "tom"), per_class=8, duration=0.016)


def tiny_recipe(**rule):
    def build(sounds, *, rngs):
        return WaveGAN(**TINY, rngs=rngs)

    return replace(recipe, build=build, rule=Contest(critic_for, **rule))


def arrays(tree):
    return np.concatenate([np.ravel(w) for w in jax.tree.leaves(tree)])


def test_downsample_is_a_strided_convolution():
    layer = Downsample(3, 5, stride=4, taps=4, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 24, 3))
    kernel = layer.weights.kernel[...].reshape(16, 3, 5)  # (time, in, out)
    wanted = jax.lax.conv_general_dilated(
        x, kernel, (4,), [(4, 8)], dimension_numbers=("NWC", "WIO", "NWC")
    )
    np.testing.assert_allclose(layer(x), wanted, atol=1e-5)


def test_the_penalty_has_the_gradient_of_its_own_value():
    critic = critic_for(WaveGAN(**TINY, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
    graph, weights = nnx.split(critic)
    real, made = 0.3 * jax.random.normal(jax.random.key(0), (2, 3, 256))
    labels, key = jnp.array([0, 1, 0]), jax.random.key(2)

    def penalty(weights):
        scores = lambda x: nnx.merge(graph, weights)(x, labels, key)
        return gradient_penalty(scores, real, made, key)

    slope = jax.grad(penalty)(weights)
    way = jax.tree.map(lambda w: jax.random.normal(jax.random.key(3), w.shape), weights)
    along = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(way)))
    later, earlier = (
        jax.tree.map(lambda w, v: w + 1e-3 * v, weights, jax.tree.map(turn, way))
        for turn in (jnp.positive, jnp.negative)
    )
    np.testing.assert_allclose((penalty(later) - penalty(earlier)) / 2e-3, along, rtol=0.02)


def test_both_losses_point_opposite_ways():
    generator = WaveGAN(**TINY, rngs=nnx.Rngs(0))
    critic = critic_for(generator, rngs=nnx.Rngs(1), shuffle=0)
    rule, labels = Contest(critic_for, penalty=0.0), jnp.zeros(4, int)
    batch = {"waveform": jnp.zeros((4, 256)), "label": labels}
    z = generator.sample_latents(jax.random.key(0), 4, label=labels)
    made = generator(z)

    def critics(made):  # its loss, by the made sounds alone
        fixed = FixedSounds(made)
        return rule.critic_loss(critic, fixed, batch, jax.random.key(5))[0]

    def generators(made):
        return rule.generator_loss(critic, FixedSounds(made), batch, jax.random.key(5))

    a, b = jax.grad(critics)(made), jax.grad(generators)(made)
    np.testing.assert_allclose(a, -b, atol=1e-6)
    assert np.abs(a).max() > 1e-4


class FixedSounds(AudioModel):
    "A generator that makes the same sounds whatever it is asked."

    def __init__(self, made):
        self.made = made

    def sample_latents(self, key, count):
        return jnp.zeros((count, 1))

    def __call__(self, z):
        return self.made


def test_a_critic_learns_one_batch_by_heart(sounds):
    generator = WaveGAN(**TINY, rngs=nnx.Rngs(0))
    rule = Contest(critic_for, learning_rate=1e-9, critic_rate=3e-3)
    batch = jax.tree.map(jnp.asarray, recipe.targets(generator, sounds))
    state, step = begin_state(rule, generator), jax.jit(rule.step)
    distances = []
    for n in range(80):
        state, metrics = step(state, batch, jax.random.key(n))
        distances.append(float(metrics["loss"]))
    assert np.mean(distances[-5:]) > np.mean(distances[:5]) + 1


def test_a_run_depends_on_its_seed_and_resumes_to_the_same_bits(sounds, tmp_path):
    def run(name, seed, steps, **more):
        chosen = tiny_recipe(critic_steps=2)
        return fit(chosen, sounds, out=tmp_path / name, steps=steps, seed=seed, **more)

    first, again, other = run("a", 0, 6), run("b", 0, 6), run("c", 1, 6)
    assert (arrays(nnx.state(first)) == arrays(nnx.state(again))).all()
    assert (arrays(nnx.state(first)) != arrays(nnx.state(other))).any()
    records = [[r["loss"] for r in read_log(tmp_path / name)] for name in "abc"]
    assert records[0] == records[1] != records[2]
    assert {*read_log(tmp_path / "a")[0]["parts"]} == {"distance", "penalty", "generator"}

    def stop(model, step):
        if step == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("d", 0, 6, listen=stop)
    resumed = run("d", 0, 6, resume=True)
    assert (arrays(nnx.state(resumed)) == arrays(nnx.state(first))).all()


def test_the_critics_first_weights_are_not_the_generators():
    generator = WaveGAN(**TINY, rngs=nnx.Rngs(0))
    state = begin_state(Contest(critic_for), generator)
    a, b = (
        np.sort(arrays(state[k]["weights"]))[::-1][:20] / arrays(state[k]["weights"]).std()
        for k in ("critic", "generator")
    )
    assert not np.allclose(a, b)
    seeds = [begin_state(Contest(critic_for, seed=s), generator)["critic"] for s in (0, 0, 1)]
    weights = [arrays(state["weights"]) for state in seeds]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


def test_a_model_comes_back_from_its_file(tmp_path):
    model = WaveGAN(**TINY, rngs=nnx.Rngs(0))
    save_model(tmp_path / "m.safetensors", model)
    z = sample_latents(model, 3, rngs=nnx.Rngs(1), label="tom")
    np.testing.assert_array_equal(load_model(tmp_path / "m.safetensors")(z), model(z))


def test_any_model_can_enter_the_contest(sounds):
    model = SimpleAudioGenerator(16000, 0.016, 4, hidden_dims=(8,), rngs=nnx.Rngs(0))
    state = begin_state(Contest(critic_for), model)
    batch = {"waveform": sounds.waveforms[:4], "label": np.zeros(4, np.int32)}
    new, metrics = jax.jit(Contest(critic_for).step)(state, batch, jax.random.key(0))
    assert np.isfinite(metrics["loss"])
    assert (arrays(new["model"]) != arrays(state["model"])).any()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: WaveGANConfig(channels=()), r"channels is \(\); want a list of 1 to 100"),
        (lambda: WaveGANConfig(taps=0), "taps is 0; want a whole number, 1 or more"),
        (lambda: WaveGANConfig(channels=(1,) * 13), "13 layers of stride 4; want at most 12"),
        (lambda: WaveGANConfig(stride=65), "stride 65; want at most 12 layers and a stride"),
        (lambda: WaveGANConfig(noise_dim=10**13), "a WaveGAN of this size needs"),
        (lambda: Critic(WaveGANConfig(), shuffle=-1, rngs=nnx.Rngs(0)), "shuffle is -1; want"),
        (lambda: Critic(WaveGANConfig(), shuffle=True, rngs=nnx.Rngs(0)), "shuffle is True; want"),
        (lambda: Critic(WaveGANConfig(), shuffle=128, rngs=nnx.Rngs(0)), "want less than 128"),
        (lambda: Critic(WaveGANConfig(), rngs=3), "rngs is 3; want an nnx.Rngs"),
        (lambda: Contest(critic_for, critic_steps=0), "critic_steps is 0"),
        (lambda: Contest(critic_for, penalty=float("nan")), "penalty is nan; want 0 or more"),
        (lambda: Contest(critic_for, ema_decay=1.0), "ema_decay is 1.0; want from 0 to below 1"),
        (lambda: Contest(critic_for, learning_rate=0), "learning_rate is 0; want a number above"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
