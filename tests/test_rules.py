"""Rules that are no loss with Adam: two networks with two optimisers, averages instead of gradients, learning from a model; each stopped and resumed."""

import signal
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from audiogen.generator import SimpleAudioGenerator, load_model, save_model, synthesize
from audiogen.support.runs import read_log
from audiogen.support.store import model_info
from audiogen.training import Supervised, train

STEPS, STOP = 24, 9


class Numbers:
    "batches[step]: 64 numbers around -1 and 2."

    def __getitem__(self, step):
        rng = np.random.default_rng(step)
        x = rng.choice([-1.0, 2.0], (64, 1)) + 0.1 * rng.normal(size=(64, 1))
        return {"x": x.astype(np.float32)}


class Stopped:
    "The same, and a Ctrl-C in one step."

    def __init__(self, batches):
        self.batches = batches

    def __getitem__(self, step):
        if step == STOP:
            signal.raise_signal(signal.SIGINT)
        return self.batches[step]


def net(sizes, rngs):
    first, last = (nnx.Linear(a, b, rngs=rngs) for a, b in zip(sizes, sizes[1:]))
    return nnx.Sequential(first, nnx.tanh, last)


@dataclass(frozen=True)
class Contest:
    "A generator and a critic, each with an optimizer of its own (least-squares GAN)."

    rate: float = 3e-3

    def init(self, model):
        critic = net((1, 16, 1), nnx.Rngs(1))
        state = {}
        for name, network in {"generator": model, "critic": critic}.items():
            graph, weights = nnx.split(network)
            memory = optax.adam(self.rate).init(weights)
            state[name] = dict(graph=graph, weights=weights, memory=memory)
        return state | {"model": state["generator"]["weights"]}

    def step(self, state, batch, key):
        z = jax.random.normal(key, (len(batch["x"]), 2))

        def network(name, weights):
            return nnx.merge(state[name]["graph"], weights)

        def critic_loss(weights):
            critic = network("critic", weights)
            made = network("generator", state["generator"]["weights"])(z)
            return jnp.mean((critic(batch["x"]) - 1) ** 2) + jnp.mean(critic(made) ** 2)

        def generator_loss(weights):
            critic = network("critic", new["critic"]["weights"])
            return jnp.mean((critic(network("generator", weights)(z)) - 1) ** 2)

        new, losses = dict(state), {}
        for name, loss in {"critic": critic_loss, "generator": generator_loss}.items():
            losses[name], grads = jax.value_and_grad(loss)(state[name]["weights"])
            updates, memory = optax.adam(self.rate).update(grads, state[name]["memory"])
            weights = optax.apply_updates(state[name]["weights"], updates)
            new[name] = state[name] | dict(weights=weights, memory=memory)
        new["model"] = new["generator"]["weights"]
        return new, {"loss": losses["generator"], "parts": losses}


class Codebook(nnx.Module):
    "Codes that follow the data, and a network that is trained by gradients."

    def __init__(self, rngs):
        self.codes = nnx.Variable(jnp.array([-0.2, 0.2]))
        self.net = net((1, 8, 1), rngs)


@dataclass(frozen=True)
class MovingMeans:
    "The codes by moving averages, the network by the supervised rule, in one state."

    inner: Supervised
    decay: float = 0.8

    def init(self, model):
        codes = model.codes[...]
        state = self.inner.init(model)
        averages = dict(counts=jnp.ones(len(codes)), sums=codes)
        return dict(inner=state, averages=averages, model=nnx.state(model))

    def step(self, state, batch, key):
        inner, metrics = self.inner.step(state["inner"], batch, key)
        x, old = batch["x"][:, 0], state["averages"]
        codes = old["sums"] / old["counts"]
        member = jax.nn.one_hot(jnp.abs(x[:, None] - codes).argmin(1), len(codes))
        fresh = dict(counts=member.sum(0), sums=x @ member)
        averages = jax.tree.map(lambda a, b: self.decay * a + (1 - self.decay) * b, old, fresh)
        model = nnx.merge(inner["graph"], inner["model"], inner["rest"])
        model.codes[...] = averages["sums"] / averages["counts"]
        distance = jnp.mean((x - member @ codes) ** 2)
        new = dict(inner=inner, averages=averages, model=nnx.state(model))
        return new, metrics | {"distance": distance}


def reconstruction(model, batch, key):
    return jnp.mean((model.net(batch["x"]) - batch["x"]) ** 2), {}


@dataclass(frozen=True)
class Distillation:
    "A pupil learns what a teacher makes; the teacher's variables are in the state, too."

    teacher: nnx.Module
    learned_from: str  # the teacher's name
    rate: float = 1e-2

    def init(self, model):
        graph, weights = nnx.split(model)
        teacher_graph, teacher = nnx.split(self.teacher)
        memory = optax.adam(self.rate).init(weights)
        graphs = dict(graph=graph, teacher_graph=teacher_graph)
        return dict(model=weights, teacher=teacher, memory=memory) | graphs

    def step(self, state, batch, key):
        z = jax.random.normal(key, (16, 4))
        heard = nnx.merge(state["teacher_graph"], state["teacher"])(z)

        def loss(weights):
            return jnp.mean((nnx.merge(state["graph"], weights)(z) - heard) ** 2)

        value, grads = jax.value_and_grad(loss)(state["model"])
        updates, memory = optax.adam(self.rate).update(grads, state["memory"])
        weights = optax.apply_updates(state["model"], updates)
        return state | dict(model=weights, memory=memory), {"loss": value}


def small_generator(seed, *, hidden=8):
    return SimpleAudioGenerator(1000, 0.02, 4, hidden_dims=(hidden,), rngs=nnx.Rngs(seed))


CASES = {
    "contest": (Contest, lambda seed: net((2, 16, 1), nnx.Rngs(seed))),
    "codebook": (
        lambda: MovingMeans(Supervised(reconstruction)),
        lambda seed: Codebook(nnx.Rngs(seed)),
    ),
    "distillation": (lambda: Distillation(small_generator(7), "seven"), small_generator),
}


def arrays(model):
    return [np.asarray(a) for a in jax.tree.leaves(nnx.state(model))]


def log_of(out):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in read_log(out)]


@pytest.fixture(scope="module", params=CASES)
def runs(request, tmp_path_factory):
    "A run in one go, and one that was stopped and resumed by a model with other weights."
    make_rule, make_model = CASES[request.param]
    folder, models = tmp_path_factory.mktemp(request.param), {}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        models["whole"] = make_model(0)
        train(models["whole"], make_rule(), Numbers(), out=folder / "whole", steps=STEPS, seed=5)
        stopped = Stopped(Numbers())
        with pytest.raises(KeyboardInterrupt, match=f"stopped after {STOP + 1} steps"):
            train(make_model(0), make_rule(), stopped, out=folder / "halves", steps=STEPS, seed=5)
    finally:
        signal.signal(signal.SIGINT, before)
    models["halves"] = make_model(99)
    options = dict(out=folder / "halves", steps=STEPS, seed=5, resume=True)
    train(models["halves"], make_rule(), Numbers(), **options)
    return request.param, folder, models


def test_resumed_to_the_same_bits(runs):
    name, folder, models = runs
    for whole, halves in zip(arrays(models["whole"]), arrays(models["halves"]), strict=True):
        np.testing.assert_array_equal(whole, halves)
    assert log_of(folder / "whole") == log_of(folder / "halves")
    assert len(log_of(folder / "whole")) == STEPS
    last = [(folder / run / "checkpoints" / f"{STEPS}.safetensors") for run in ("whole", "halves")]
    assert all(path.exists() for path in last)


def test_all_that_should_learn_has_learned(runs):
    name, folder, models = runs
    first, last = log_of(folder / "whole")[0], log_of(folder / "whole")[-1]
    fresh = arrays(CASES[name][1](0))
    changed = [not np.array_equal(a, b) for a, b in zip(fresh, arrays(models["whole"]))]
    assert all(changed)
    if name == "contest":
        assert first["parts"]["critic"] != last["parts"]["critic"]
    if name == "codebook":
        np.testing.assert_allclose(models["whole"].codes[...], [-1, 2], atol=0.1)
        assert last["distance"] < 0.1 * first["distance"]
    if name == "distillation":
        assert last["loss"] < 0.8 * first["loss"]


def test_another_setting_is_refused(tmp_path):
    def loss(model, batch, key):
        return jnp.mean(model(jnp.hstack([batch["x"]] * 2)) ** 2), {}

    batches = Numbers()
    model = net((2, 16, 1), nnx.Rngs(0))
    train(model, Contest(), batches, out=tmp_path / "run", steps=2)
    for rule in (Contest(rate=1e-3), Supervised(loss)):
        with pytest.raises(ValueError, match="the run there has rule"):
            train(model, rule, batches, out=tmp_path / "run", steps=2, resume=True)


def test_another_optimizer_is_named(tmp_path):
    @dataclass(frozen=True)
    class Other(Contest):
        def init(self, model):
            state = super().init(model)
            return state | {"more": jnp.zeros(2)}

    Other.__name__ = "Contest"
    model, batches = net((2, 16, 1), nnx.Rngs(0)), Numbers()
    train(model, Contest(), batches, out=tmp_path / "run", steps=2)
    with pytest.raises(ValueError, match=r"2.safetensors: 'more' is missing; want float32\[2\]"):
        train(model, Other(), batches, out=tmp_path / "run", steps=2, resume=True)


def test_a_model_names_whom_it_learned_from(tmp_path):
    teacher, pupil = small_generator(7), small_generator(0, hidden=6)
    save_model(tmp_path / "teacher.safetensors", teacher)
    rule = Distillation(load_model(tmp_path / "teacher.safetensors"), "teacher")
    kept = arrays(rule.teacher)
    train(pupil, rule, Numbers(), out=tmp_path / "run", steps=STEPS)
    for before, after in zip(kept, arrays(rule.teacher), strict=True):
        np.testing.assert_array_equal(before, after)
    about = {"learned from": rule.learned_from}
    save_model(tmp_path / "pupil.safetensors", pupil, about=about)
    assert model_info(tmp_path / "pupil.safetensors")["about"] == about
    z = np.ones(4, np.float32)
    again = load_model(tmp_path / "pupil.safetensors")
    np.testing.assert_array_equal(synthesize(again, z), synthesize(pupil, z))


def test_a_bad_step_is_undone_in_both_networks(tmp_path):
    class Spoiled(Numbers):
        def __getitem__(self, step):
            batch = super().__getitem__(step)
            return {"x": batch["x"] * np.nan} if step == 5 else batch

    model = net((2, 16, 1), nnx.Rngs(0))
    with pytest.raises(ValueError, match="training diverged in step 5: .*The batch itself is bad"):
        train(model, Contest(), Spoiled(), out=tmp_path / "run", steps=STEPS)
    assert all(np.isfinite(a).all() for a in arrays(model))
    train(model, Contest(), Numbers(), out=tmp_path / "run", steps=STEPS, resume=True)
    whole = net((2, 16, 1), nnx.Rngs(0))
    train(whole, Contest(), Numbers(), out=tmp_path / "whole", steps=STEPS)
    for a, b in zip(arrays(model), arrays(whole), strict=True):
        np.testing.assert_array_equal(a, b)


class Dropping(nnx.Module):
    "A model that holds a random key of its own."

    def __init__(self, seed):
        rngs = nnx.Rngs(seed, dropout=seed)
        self.layer, self.dropout = nnx.Linear(1, 4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.layer(x))


@dataclass(frozen=True)
class Everything:
    "Plain gradient descent on the weights; the model gets all variables back, its key too."

    rate: float = 0.1

    def init(self, model):
        graph, variables = nnx.split(model)
        return dict(graph=graph, model=variables)

    def step(self, state, batch, key):
        graph, weights, rest = nnx.split(nnx.merge(state["graph"], state["model"]), nnx.Param, ...)

        def loss(weights):
            model = nnx.merge(graph, weights, jax.tree.map(lambda w: w, rest))
            value = jnp.mean(model(batch["x"]) ** 2)
            return value, nnx.state(model, nnx.RngState)

        (value, moved), grads = jax.value_and_grad(loss, has_aux=True)(weights)
        weights = jax.tree.map(lambda w, g: w - self.rate * g, weights, grads)
        return state | {"model": nnx.merge_state(weights, moved)}, {"loss": value}


def test_random_keys_in_a_model_are_kept(tmp_path):
    def stop_at(model, step):
        if step == 3:
            raise RuntimeError("stop")

    whole = Dropping(0)
    train(whole, Everything(), Numbers(), out=tmp_path / "whole", steps=6, save_every=0)
    with pytest.raises(RuntimeError, match="stop"):
        options = dict(out=tmp_path / "halves", steps=6, save_every=0)
        train(Dropping(0), Everything(), Numbers(), listen=stop_at, **options)
    halves = Dropping(1)
    train(halves, Everything(), Numbers(), out=tmp_path / "halves", steps=6, resume=True)
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "halves")
    assert int(whole.dropout.rngs.count[...]) == int(halves.dropout.rngs.count[...]) == 6
    keys = [jax.random.key_data(m.dropout.rngs.key[...]) for m in (whole, halves)]
    np.testing.assert_array_equal(*keys)
