"""A damaged or hostile model file is refused with one line, or it is a model: never another error, never a crash."""

import json
from dataclasses import asdict

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from audiogen.generator import SimpleAudioGenerator, load_model, save_model
from audiogen.support.commands import model_row
from audiogen.support.store import model_info, shipped_models
from audiogen.training import train

CONFIG = dict(sample_rate=1000, duration=0.016, latent_dim=3, hidden_dims=[4])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    "A small model's file, more than half of which is header."
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, SimpleAudioGenerator(**CONFIG, rngs=nnx.Rngs(0)))
    return path


def save(path, weights, *, model="SimpleAudioGenerator", config=CONFIG):
    "Write a model's file by hand."
    save_file(weights, path, {"audiogen": json.dumps({"model": model, "config": config})})


def check_loading(path):
    "Load a file that may hold anything: one line of error, or the weights that its configuration asks for."
    try:
        model = load_model(path)
    except (ValueError, OSError) as e:
        assert (
            str(path) in str(e) and str(e).isprintable()
        )  # nothing in it that steers a terminal, either
    else:
        wanted = nnx.state(SimpleAudioGenerator(**asdict(model.config), rngs=nnx.Rngs(0)))
        right = jax.tree.map(
            lambda w, want: w.shape == want.shape and np.isfinite(w).all(), nnx.state(model), wanted
        )
        assert jax.tree.all(right)


def check_refusal(path, **message):
    "Load a file that's no model."
    with pytest.raises(ValueError, **message):
        load_model(path)
    check_loading(path)


flips = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4
)


@given(flips, st.booleans())
@example([(0.166015625, 198 ^ 220)], True)  # a control character in the configuration
@settings(max_examples=300)
def test_flipped_bits(path, flips, header_only):
    data = bytearray(path.read_bytes())
    size = 8 + int.from_bytes(data[:8], "little") if header_only else len(data)
    for place, bits in flips:
        data[int(place * size)] ^= bits
    (damaged := path.with_name("flipped.safetensors")).write_bytes(data)
    check_loading(damaged)


def test_cut_short_anywhere(path):
    data, damaged = path.read_bytes(), path.with_name("cut.safetensors")
    for size in range(len(data)):
        damaged.write_bytes(data[:size])
        check_refusal(damaged)


@given(st.binary(min_size=1))
def test_something_appended(path, tail):
    (damaged := path.with_name("longer.safetensors")).write_bytes(path.read_bytes() + tail)
    check_refusal(damaged)


@given(st.binary(max_size=200))
def test_any_bytes(path, data):
    (damaged := path.with_name("any.safetensors")).write_bytes(data)
    check_refusal(damaged)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=2)
)


@given(st.dictionaries(st.sampled_from([*CONFIG, "rngs", "self"]), values, min_size=1, max_size=2))
@example({"hidden_dims": [10**12]})
@example({"duration": 1e300})
@example({"sample_rate": 10**400})
def test_another_configuration(path, changes):
    save(
        damaged := path.with_name("configured.safetensors"),
        load_file(path),
        config=CONFIG | changes,
    )
    check_loading(damaged)


@given(
    st.text()
    | st.sampled_from(
        ["nnx", "Path", "stft", "__class__", "__builtins__", "os.system", "GeneratorConfig"]
    )
)
def test_another_model(path, name):
    assume(name != "SimpleAudioGenerator")
    save(damaged := path.with_name("named.safetensors"), load_file(path), model=name)
    check_refusal(damaged, match="no model of audiogen")


def test_other_weights(path):
    weights, damaged = load_file(path), path.with_name("other.safetensors")
    for name, array in weights.items():
        for other in (array[..., :-1], array * np.nan, array.astype(np.int32), array[None]):
            save(damaged, weights | {name: other})
            check_refusal(damaged, match=name)
    save(damaged, weights | {"two\nlines": np.zeros(1)})
    check_refusal(damaged, match="two")


def test_a_file_that_does_not_say_which_pitches_were_learned(tmp_path):
    info, weights = model_info("conditional"), load_file(shipped_models()["conditional"])
    assert model_row("conditional")[2] == "47–79"
    del info["config"]["learned_pitches"]
    for condition in info["conditions"]:
        del condition["learned"]
    path = tmp_path / "earlier.safetensors"
    save_file(weights, path, {"audiogen": json.dumps(info)})
    assert load_model(path).config.learned_pitches is None
    assert model_row(path)[2] == "12–120"


def test_a_run_in_python_is_a_model_once_that_is_saved(tmp_path):
    model, run = SimpleAudioGenerator(**CONFIG, rngs=nnx.Rngs(0)), tmp_path / "run"

    def loss(model, batch, key):
        return (model(batch["z"]) ** 2).mean(), {}

    train(model, loss, [dict(z=np.ones((2, 3), np.float32))], out=run, steps=1)
    with pytest.raises(ValueError, match="write it by save_model after train"):
        load_model(run)
    save_model(run / "model.safetensors", model)
    np.testing.assert_array_equal(load_model(run)(np.ones(3)), model(np.ones(3)))
