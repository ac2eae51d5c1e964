"""The prior on the command line, its codec's file, and a resumed run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audiogen.codec import codec_model
from audiogen.generator import load_model, save_model
from audiogen.prior import begin, next_logits, prior_loss, prior_model, prior_targets, write_tokens
from audiogen.support.fitting import Recipe, fit
from audiogen.support.phrases import make_phrases
from audiogen.waveform import load_audio, save_audio

SMALL = dict(width=16, layers=1, heads=2)


def write_codec(path, phrases, seed):
    "A tiny codec with random weights."
    codec = codec_model(phrases, rngs=nnx.Rngs(seed), codes=8, width=8, head=8)
    book = np.random.default_rng(seed).normal(size=(8, 16))
    codec.book[...] = jnp.asarray(book, jnp.float32)
    save_model(path, codec)
    return str(path)


def recipe_for(codec):
    "A recipe of tiny priors for that codec."

    def build(sounds, *, rngs):
        return prior_model(sounds, rngs=rngs, codec=codec, **SMALL)

    return Recipe(build, prior_targets, prior_loss, batch_size=4)


def test_a_run_is_resumed_with_its_own_codec_only(tmp_path):
    phrases = make_phrases(10)
    first, second = (write_codec(tmp_path / f"{n}.safetensors", phrases, n) for n in (1, 2))
    fit(recipe_for(first), phrases, out=tmp_path / "run", steps=2)
    with pytest.raises(ValueError, match="the run there has model.codec"):
        fit(recipe_for(second), phrases, out=tmp_path / "run", steps=2, resume=True)
    again = fit(recipe_for(first), phrases, out=tmp_path / "run", steps=2, resume=True)
    saved = load_model(tmp_path / "run")
    assert saved.config == again.config and saved.config.codec == first
    assert saved(saved.sample_latents(jax.random.key(0), 1), 0.2).shape == (1, 3200)
    (tmp_path / "1.safetensors").unlink()
    with pytest.raises(ValueError, match=r"the codec .*1\.safetensors' isn't there"):
        saved(jnp.zeros((1, 6)))


def test_sounds_without_scores_can_be_learned(tmp_path):
    phrases = make_phrases(10)
    codec = write_codec(tmp_path / "codec.safetensors", phrases, 1)
    plain = type(phrases)(phrases.waveforms, phrases.labels, phrases.classes, phrases.sample_rate)
    model = prior_model(plain, rngs=nnx.Rngs(0), codec=codec, **SMALL)
    assert [c.name for c in model.conditions] == ["label", "seconds"] and model.latent_dim == 5
    loss, parts = prior_loss(model, prior_targets(model, plain), jax.random.key(0))
    log_p = jax.nn.log_softmax(-0.5 * jnp.sum(model.book[...] ** 2, axis=-1))  # a Gaussian at 0
    untrained = -log_p[prior_targets(model, plain)["tokens"].astype(int)].mean() / np.log(2)
    assert parts["bits"] == pytest.approx(float(untrained), abs=1e-3)
    grads = jax.tree.leaves(
        nnx.grad(lambda m: prior_loss(m, prior_targets(m, plain), jax.random.key(0))[0])(model)
    )
    assert all(np.isfinite(g).all() for g in grads)


def test_a_second_of_a_recording_and_how_it_goes_on(audiogen_alone, tmp_path):
    x = make_phrases(5, seed=3).waveforms[0]
    save_audio(tmp_path / "beat.wav", np.repeat(x[:16000], 2), sample_rate=32000)  # another rate
    words = "generate", "--model", "prior", "--prompt", tmp_path / "beat.wav", "--count", 2
    status, out, err = audiogen_alone(*words, "--duration", "1.5", "--out", tmp_path / "made")
    assert status == 0 and "beat.wav: sounds like label drums, tempo" in err
    made = [load_audio(tmp_path / "made" / f"beat-0{n}.wav")[0] for n in (1, 2)]
    assert [len(y) for y in made] == [24000, 24000]
    np.testing.assert_allclose(made[0][:15000], made[1][:15000], atol=1e-4)  # the prompt
    assert np.corrcoef(made[0][:15000], x[:15000])[0, 1] > 0.9
    assert np.abs(made[0][16500:] - made[1][16500:]).max() > 0.01


@pytest.mark.parametrize(
    "samples, options, message",
    [
        (200, [], "the prompt has 200 samples; want 256 or more"),
        (40000, [], "the prompt lasts 2.5 s of 2.05"),
        (8000, ["--model", "vae"], "AudioVAE can't go on from a recording"),
        (8000, ["--tempo", "300"], "tempo is 300; want"),
    ],
)
def test_a_prompt_that_cannot_be_continued(audiogen, tmp_path, samples, options, message):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
    save_audio(tmp_path / "x.wav", noise, sample_rate=16000)
    words = ["generate", "--model", "prior", "--prompt", tmp_path / "x.wav", *options]
    status, _, err = audiogen(*words, "--out", tmp_path / "made")
    assert status == 2 and message in err


def test_a_long_stream_keeps_to_a_cycle():
    "The ring has gone round many times, and the state holds no more than at the beginning."
    model = load_model("prior")
    z = model.sample_latents(jax.random.key(0), 1, "drums", 120.0)
    state = begin(model, z)
    bytes_before = sum(np.asarray(a).nbytes for a in state.values())
    for _ in range(4):
        state, tokens = write_tokens(model, state, 250)
    assert int(state["place"]) == 1000 and np.unique(tokens).size > 20
    assert sum(np.asarray(a).nbytes for a in state.values()) == bytes_before


def test_the_cache_predicts_what_the_whole_network_does():
    "The shipped model over four seconds, for which the ring goes round twice."
    model = load_model("prior")
    tokens = np.random.default_rng(2).integers(0, 1024, (1, 250))
    state = begin(model, model.sample_latents(jax.random.key(0), 1, "drums", 120.0))
    told = model.tell(state["classes"], state["tempo"], jnp.arange(250))

    @jax.jit
    def follow(state):
        def step(state, inputs):
            told, token = inputs
            logits, state = next_logits(model, state, told[:, None])
            return state | dict(token=token, place=state["place"] + 1), logits[0]

        return jax.lax.scan(step, state, (told.swapaxes(0, 1), jnp.asarray(tokens.T)))[1]

    whole = jax.jit(lambda tokens: model.predict(tokens, told))(tokens)[0]
    np.testing.assert_allclose(follow(state), whole, atol=2e-4)
