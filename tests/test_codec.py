"""The codec: its rule learns and can be resumed, its gradients go where they should, and long sounds are as short ones."""

import signal
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audiogen.codec import (
    MovingBook,
    TokenCodec,
    codec_loss,
    codec_model,
    codec_targets,
    recipe,
    remember_tokens,
)
from audiogen.generator import load_model, save_model
from audiogen.sounds import batch_source, load_sounds, split_sounds
from audiogen.support.coded import token_rows, token_sounds
from audiogen.support.evaluation import evaluate
from audiogen.support.phrases import make_phrases
from audiogen.support.runs import read_log
from audiogen.training import Supervised, train

SMALL = dict(width=16, head=32, codes=64, code_dim=4)


@pytest.fixture(scope="module")
def phrases():
    return make_phrases(25, seed=5)


@pytest.fixture(scope="module")
def small(phrases, tmp_path_factory):
    "A small codec, trained for a few steps."
    model = codec_model(phrases, rngs=nnx.Rngs(0), **SMALL)
    arrays = codec_targets(model, phrases)
    folder = tmp_path_factory.mktemp("codec")
    train(model, MovingBook(), batch_source(arrays, batch_size=8), out=folder / "run", steps=30)
    remember_tokens(model, arrays)
    return model


def numbers(model):
    "All that a model consists of, in one row."
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(nnx.state(model))])


class Interrupted:
    "Batches, and a Ctrl-C in one step."

    def __init__(self, batches, step):
        self.batches, self.step = batches, step

    def __getitem__(self, step):
        if step == self.step:
            signal.raise_signal(signal.SIGINT)
        return self.batches[step]


def test_a_stopped_run_ends_as_one_that_ran_through(phrases, tmp_path, interruptible):
    ends = []
    for stop in (None, 5):
        model = codec_model(phrases, rngs=nnx.Rngs(0), **SMALL)
        batches = batch_source(codec_targets(model, phrases), batch_size=8)
        settings = dict(out=tmp_path / str(stop), steps=12, seed=3)
        if stop:
            with pytest.raises(KeyboardInterrupt):
                train(model, MovingBook(), Interrupted(batches, stop), **settings)
            train(model, MovingBook(), batches, **settings, resume=True)
        else:
            train(model, MovingBook(), batches, **settings)
        assert len(read_log(settings["out"])) == 12
        ends.append(numbers(model))
    np.testing.assert_array_equal(*ends)


def test_one_batch_is_learned_by_heart(phrases, tmp_path):
    model = codec_model(phrases, rngs=nnx.Rngs(0), width=48, head=96, codes=256)
    batch = {"L": codec_targets(model, phrases)["L"][:4, :64]}
    rule = MovingBook(Supervised(codec_loss, learning_rate=5e-3, ema_decay=0.9))
    train(model, rule, [batch] * 250, out=tmp_path, steps=250)
    log = [record["parts"]["decibels"] for record in read_log(tmp_path)]
    assert log[-1] < 2.5 < 8 < log[0]


def test_gradients_pass_the_codes_but_never_reach_the_book(small, phrases):
    L = jnp.asarray(codec_targets(small, phrases)["L"][:2, :64], jnp.float32)
    grads = nnx.grad(lambda model: codec_loss(model, {"L": L})[0])(small)
    assert "book" not in grads and "remembered" not in grads
    largest = {name: max(map(np.max, map(np.abs, jax.tree.leaves(grads[name])))) for name in grads}
    assert min(largest.values()) > 1e-5  # encoder and decoder


def test_a_token_reaches_eight_tokens_and_no_further(small):
    def drawn(codes):
        return small.decode_codes(codes)[0, 80].sum()  # a frame of token 40

    codes = small.book[...][np.arange(100)[None] % 64]
    reached = np.flatnonzero(np.abs(jax.grad(drawn)(codes))[0].max(-1))
    assert reached.min() >= 32 and reached.max() <= 48


def test_long_sounds_have_the_tokens_of_the_whole(small, phrases):
    x = phrases.waveforms[:12].reshape(1, -1)  # 24.6 s: three blocks
    tokens = small.tokens(x)
    assert np.mean(tokens == token_rows(small, x)) > 0.999  # but for ties
    assert small.sounds(tokens).shape == x.shape


def test_short_rows_are_decoded_in_one_piece(small):
    tokens = np.arange(60)[None] % 64
    np.testing.assert_allclose(small.sounds(tokens), token_sounds(small, tokens), atol=0.05)


def test_encode_and_call_are_the_way_through_the_tokens(small, phrases):
    x = phrases.waveforms[:3]
    tokens = small.tokens(x)
    z = small.encode(x)
    assert z.shape == (3, small.latent_dim)
    back = small.nearest(z.reshape(3, -1, 4) * small.unit())
    codes = np.asarray(small.book[...])
    np.testing.assert_allclose(codes[back], codes[tokens], atol=1e-5)


def test_new_sounds_are_splices_of_learned_ones(small):
    known = np.concatenate([*small.known_latents().values()])
    for z in np.asarray(small.sample_latents(jax.random.key(0), 6)):
        same = (np.abs(known - z).reshape(len(known), -1, 4).max(-1) < 1e-4).sum(1)
        assert same.max() >= 64  # of 128 tokens, at least half come from one of them


def test_of_phrases_no_copies_are_made(phrases):
    from audiogen.support.fitting import with_copies

    assert with_copies(phrases) is phrases
    assert len(with_copies(replace(phrases, details={}))) > len(phrases)


def test_sounds_of_another_rate_are_refused(small, phrases):
    other = replace(phrases, sample_rate=8000)
    with pytest.raises(ValueError, match="16000|16,000"):
        evaluate(small, other, {"new sounds": other}, {"new sounds": other})


def test_no_grain_is_the_codecs_own_sound(small):
    from audiogen.codec import GrainHead
    from audiogen.support.coded import with_grain

    head, tokens = GrainHead(small, rngs=nnx.Rngs(0)), np.arange(50)[None] % 64
    own = with_grain(head, tokens, key=jax.random.key(0), amount=0.0)
    np.testing.assert_allclose(own, token_sounds(small, tokens), atol=0.05)
    with pytest.raises(ValueError, match="want 0 to 63"):
        with_grain(head, tokens + 20, key=jax.random.key(0))


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_codec_has_the_same_book(small, tmp_path, half):
    path = tmp_path / "codec.safetensors"
    save_model(path, small, half=half)
    again = load_model(path)
    assert isinstance(again, TokenCodec) and again.config == small.config
    np.testing.assert_allclose(again.book[...], small.book[...], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(again.remembered[...], small.remembered[...])


def test_a_codec_learns_from_single_hits_too(tmp_path):
    sounds = load_sounds("drums", per_class=4)
    model = codec_model(sounds, rngs=nnx.Rngs(0), **SMALL)
    assert model.config.num_tokens == 32
    arrays = codec_targets(model, sounds)
    assert arrays["L"].shape[1:] == (64, 257)  # 8,000 samples are filled up to 32 tokens
    train(model, recipe.rule, batch_source(arrays, batch_size=4), out=tmp_path, steps=2)
    remember_tokens(model, arrays)
    assert model.generate(2, rngs=nnx.Rngs(0), label="hat").shape == (2, 8000)


def test_phrases_are_split_by_kit_and_timbre():
    train_part, validation, test = split_sounds(load_sounds("phrases", per_class=60))
    groups = [set(part.group) for part in (train_part, *validation.values(), *test.values())]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    for part in (train_part, *validation.values(), *test.values()):
        assert {*part.labels} == {0, 1, 2, 3}
