"""What holds for every model: no NaN is hushed up, no condition is dropped, it can be copied, and its sounds end well."""

import contextlib
import copy
import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audiogen import (
    conditional,
    song,
    source_filter,
    spectral,
    stft,
    variation,
    waveform,
    wavenet,
)
from audiogen.explorer import explore, explorer_reply
from audiogen.generator import (
    AudioModel,
    SimpleAudioGenerator,
    load_model,
    sample_latents,
    save_model,
    synthesize,
    vary_latent,
)
from audiogen.sounds import detune, make_sounds
from audiogen.support.conditions import Condition, part_of
from audiogen.support.evaluation import evaluate
from audiogen.support.levels import bits_per_sample, mu_law_encode
from audiogen.support.loudness import at_loudness, loudness
from audiogen.support.mel import mel_spectrogram
from audiogen.support.pitch import estimate_f0_hz, first_peak, pitch_error_cents, self_similarity
from audiogen.support.rendering import model_classes
from audiogen.support.store import shipped_models
from audiogen.support.words import (
    WORDS,
    sample_styles,
    traits,
    word_effect,
    word_sounds,
    words_without_effect,
)

CONDITIONAL = ("conditional", "conditional-instruments")
SMALL = dict(sample_rate=8000, duration=0.25, classes=("kick", "organ"))


def small_model(kind):
    "An untrained model, quick to run."
    rngs = nnx.Rngs(0)
    if kind == "spectral":
        return spectral.SpectralGenerator(**SMALL, rngs=rngs)
    if kind == "wavenet":
        return wavenet.WaveNet(**SMALL, rngs=rngs)
    return conditional.ConditionalVAE(**SMALL, pitched=(False, True), rngs=rngs)


# ---- NaN

NAN = jnp.full((2, 2048), jnp.nan).at[1].set(0.1)  # the second waveform is sound
WAVEFORM_FUNCTIONS = {
    "peak": waveform.peak,
    "rms": waveform.rms,
    "dbfs": lambda x: waveform.dbfs(waveform.rms(x)),
    "peak_normalize": waveform.peak_normalize,
    "stft": stft.stft,
    "spectrogram": stft.spectrogram,
    "mel_spectrogram": lambda x: mel_spectrogram(x, 16000),
    "decibels": lambda x: stft.amplitude_to_db(x, ref=1),
    "istft": lambda x: stft.istft(stft.stft(x), length=2048),
    "griffin_lim": lambda x: stft.griffin_lim(
        stft.spectrogram(x), num_iters=2, length=2048, key=jax.random.key(0)
    ),
    "log_stft_distance": lambda x: stft.log_stft_distance(x, NAN[1]),
    "distance to NaN": lambda x: stft.log_stft_distance(NAN[1], x),
    "multi_resolution_stft_distance": lambda x: stft.multi_resolution_stft_distance(x, NAN[1]),
    "cosine_similarity": lambda x: variation.cosine_similarity(x, NAN[1]),
    "crossfade": lambda x: variation.crossfade(x, NAN[1]),
    "log_magnitude": spectral.log_magnitude,
    "to_waveform": lambda x: spectral.to_waveform(spectral.log_magnitude(x), num_samples=2048),
    "self_similarity": lambda x: self_similarity(x, num_lags=100),
    "first_peak": lambda x: first_peak(x + jnp.sin(jnp.arange(2048.0)), start=1)[1],
    "pulse_train": lambda x: source_filter.pulse_train(1000 * x, sample_rate=16000),
    "soft_limit": lambda x: song.soft_limit(np.asarray(x)),
    "comb": lambda x: source_filter.comb(1000 * x[:, 0], 512, 16000),
    "partial_weights": lambda x: source_filter.partial_weights(600 * x[:, 0], 16, 257, 16000),
    "loudness": lambda x: loudness(x, sample_rate=16000),
    "at_loudness": lambda x: at_loudness(x, -12, sample_rate=16000),
}


@pytest.mark.parametrize("name", WAVEFORM_FUNCTIONS)
def test_nan_stays_nan(name):
    nan, sound = np.asarray(WAVEFORM_FUNCTIONS[name](NAN))
    assert np.isnan(nan).all() and np.isfinite(sound).all()


@pytest.mark.parametrize(
    "function",
    [waveform.peak, waveform.rms, lambda x: loudness(x, sample_rate=16000)],
)
def test_one_nan_is_enough(function):
    nan, sound = np.asarray(function(NAN.at[0].set(0.1).at[0, 700].set(jnp.nan)))
    assert np.isnan(nan) and np.isfinite(sound)


def test_nan_has_no_code():
    with pytest.raises(ValueError, match="NaN"):
        mu_law_encode(NAN)


@pytest.mark.parametrize("kind", ["spectral", "conditional", "wavenet"])
def test_a_latent_vector_of_nan_makes_no_sound(kind):
    model = small_model(kind)
    z = jnp.zeros((2, model.latent_dim)).at[0].set(jnp.nan)
    nan, sound = np.asarray(synthesize(model, z))
    assert np.isnan(nan).all() and np.isfinite(sound).all()


def test_a_style_of_nan_has_no_traits():
    model = small_model("conditional")
    nan, sound = np.asarray(
        traits(model, jnp.zeros((2, 12)).at[0].set(jnp.nan), jnp.ones(2, int), jnp.full(2, 60.0))
    )
    assert np.isnan(nan).all() and np.isfinite(sound).all()


@pytest.mark.parametrize("name", shipped_models())
def test_no_model_needs_nan(name):
    with jax.debug_nans(True):
        model = load_model(name)
        assert np.isfinite(synthesize(model, sample_latents(model, 1, rngs=nnx.Rngs(0)))).all()


def test_no_command_needs_nan(audiogen_alone, environment, tmp_path):
    status, out, err = audiogen_alone(
        "generate",
        "--model",
        "conditional",
        "--count",
        "1",
        "--out",
        tmp_path,
        env=environment | {"JAX_DEBUG_NANS": "1"},
    )
    assert (status, err) == (0, "") and "manifest.csv" in out


# ---- conditions


def test_a_class_that_is_asked_of_a_conditional_model_counts():
    model = load_model("conditional")
    kicks, organs = (
        np.asarray(sample_latents(model, 64, rngs=nnx.Rngs(0), label=label))
        for label in ("kick", "organ")
    )
    np.testing.assert_allclose(kicks.mean(0), model.latents.known[0].mean(0), atol=0.5)
    assert np.abs(kicks.mean(0) - organs.mean(0)).max() > 1


@pytest.mark.parametrize(
    "conditions, message",
    [
        (dict(label="kick", pitch=60), "kick has no pitch; leave it out, or take .* organ"),
        (dict(label="kick", words="noisy"), "kick has no pitch, and 'noisy'"),
        (dict(label="organ", words="short long"), "'short' and 'long'"),
        (dict(colour="red"), "can't be told colour; it can be told label, pitch"),
    ],
)
def test_a_condition_that_cannot_count_is_refused(conditions, message):
    with pytest.raises(ValueError, match=message):
        load_model("conditional").generate(rngs=nnx.Rngs(0), **conditions)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, z: synthesize(m, z, words="short"), "words chooses a latent vector"),
        (lambda m, z: m.generate_with_variation(z, words="short", rngs=nnx.Rngs(0)), "words"),
        (lambda m, z: sample_latents(m, 1, rngs=nnx.Rngs(0), loudness=-9), "loudness changes how"),
    ],
)
def test_a_condition_is_refused_where_it_does_not_act(call, message):
    with pytest.raises(ValueError, match=message):
        call(load_model("conditional"), np.zeros(12))


@pytest.mark.parametrize("name", ["untrained", *shipped_models()])
def test_every_model_answers_to_the_same_calls(name):
    model = untrained_or(name)
    classes = [c.choices for c in model.conditions if c.kind == "class"]
    label = classes[0][:2][-1] if classes else None
    told = {} if label is None else {"label": label}
    z = sample_latents(model, 2, rngs=nnx.Rngs(0), **part_of(model, "latents", told))
    made = model.generate(2, rngs=nnx.Rngs(0), label=label)
    sounding = part_of(model, "sounds", told)
    np.testing.assert_array_equal(made, synthesize(model, z, **sounding))
    assert made.shape == (2, model.num_samples) and np.abs(made).max() <= 1
    uncompiled = np.asarray(model(z, **sounding))
    assert np.std(uncompiled - made) < 0.05 * np.std(made)
    near = model.generate_with_variation(z[0], 0.0, 2, rngs=nnx.Rngs(1), **sounding)
    np.testing.assert_array_equal(near, synthesize(model, np.stack([z[0]] * 2), **sounding))
    with pytest.raises(ValueError, match="can't be told mood"):
        model.generate(rngs=nnx.Rngs(0), mood="blue")


@pytest.mark.parametrize("name", shipped_models())
def test_every_class_of_every_model_sounds_in_the_explorer(name):
    model = load_model(name)
    spec = explore(model).spec
    for label in spec["classes"] or [None]:
        settings = spec["settings"] | ({"label": label} if label else {})
        message, sounds = explorer_reply(model, {"kind": "sound", "id": 1, "settings": settings})
        assert message["kind"] == "sound", message
        assert np.abs(np.frombuffer(sounds[0], "<f4")).max() > 0.01


def test_one_value_for_each_sound():
    model, z = load_model("conditional"), np.zeros((3, 12), np.float32)
    labels, pitches, levels = ["organ", "kick", "pluck"], [60.5, np.nan, 55], [-12.0, -20.0, -30.0]
    x = synthesize(model, z, label=labels, pitch=pitches, loudness=levels)
    found = loudness(x, sample_rate=model.sample_rate)
    np.testing.assert_allclose(found, levels, atol=0.1)
    f0_hz = estimate_f0_hz(x[::2], sample_rate=model.sample_rate)
    cents = pitch_error_cents(f0_hz, np.array([60.5, 55]))
    assert np.abs(cents).max() < 20
    organ = synthesize(model, z, label="organ", pitch=60.5, loudness=-12)
    np.testing.assert_array_equal(x[0], organ[0])


def test_a_sound_without_a_pitch_is_as_long_as_it_is_told():
    model, z = load_model("conditional"), np.zeros((1, 12), np.float32)
    own, longer, shorter = (
        np.asarray(synthesize(model, z, label="kick", seconds=seconds))[0]
        for seconds in (None, 0.7, 0.1)
    )
    np.testing.assert_allclose(longer, np.pad(own, (0, 3200)), atol=1e-5)
    np.testing.assert_allclose(shorter[:1400], own[:1400], atol=1e-5)
    assert shorter.shape == (1600,) and abs(shorter[-1]) < 0.01


@pytest.mark.parametrize(
    "name, label",
    [(name, label) for name in CONDITIONAL for label in model_classes(load_model(name))],
)
def test_words_change_sounds_as_asked_or_are_declared_weak(name, label):
    "Measured on sounds other than those that the declaration comes from."
    model = load_model(name)
    weak = words_without_effect(model, label)
    strong = [word for word in WORDS if word not in weak]
    assert strong and (model.config.pitched[model.config.classes.index(label)] or "pure" in weak)
    found = word_sounds(model, label, ["", *strong], key=jax.random.key(1))
    effects = {word: word_effect(word, found[""], found[word]) for word in strong}
    assert all(share > 0.5 and moved > 0 for share, moved in effects.values()), effects


def test_words_without_effect_are_declared_when_asked_for():
    model = load_model("conditional")
    weak = {label: words_without_effect(model, label) for label in ("kick", "brass")}
    asked = [(label, word) for label in weak for word in ("short", "bright", "soft", "sharp")]
    for label, word in asked:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.generate(rngs=nnx.Rngs(0), label=label, words=word)
        start = f"{word!r} has no clear effect on {label}: of 32 sounds, "
        assert [str(each.message).startswith(start) for each in said] == [True] * (
            word in weak[label]
        )


def test_an_untrained_model_is_told_words_and_warns_that_they_change_nothing():
    model = small_model("conditional")
    for label in SMALL["classes"]:
        with pytest.warns(UserWarning, match=f"'short' has no clear effect on {label}"):
            assert np.isfinite(model.generate(rngs=nnx.Rngs(0), label=label, words="short")).all()


def test_of_the_styles_that_a_word_chooses_from_the_first_is_the_one_without():
    model, c, midi = load_model("conditional"), np.array([6, 7]), np.array([60.0, 55.0])
    key = jax.random.key(2)
    plain, first = (
        sample_styles(model, key, c, midi, **choice)
        for choice in ({}, dict(words="short", candidates=1))
    )
    np.testing.assert_allclose(plain, first, atol=1e-6)
    chosen = sample_styles(model, key, c, midi, words="short")
    lengths = [traits(model, z, c, midi)[:, 0] for z in (chosen, plain)]
    assert (lengths[0] <= lengths[1] + 1e-6).all()


def test_words_in_a_song_reach_the_classes_that_they_fit():
    notes = [song.Note(0, 0.1, "kick"), song.Note(0, 0.1, "organ", 60.0)]
    plain, pure = (
        np.concatenate([*song.play_notes(load_model("conditional"), notes, words=words)])
        for words in ("", "pure")
    )
    assert np.abs(plain - pure).max() > 1e-3


@pytest.mark.filterwarnings("error")
def test_a_song_is_played_in_a_style_of_its_first_pitch():
    model = load_model("conditional")
    classes, remembered = model.known_midi.shape
    model.known_midi[...] = jnp.tile(jnp.linspace(75, 90, remembered), (classes, 1))
    c = model.config.classes.index("pluck")
    notes = [song.Note(0, 0.1, "pluck", 80.0), song.Note(0.1, 0.1, "pluck", 88.0)]
    for words in ("", "bright"):
        key = jax.random.fold_in(jax.random.key(3), c)
        style = sample_styles(model, key, np.array([c]), np.array([80.0]), words=words)
        keys = [jax.random.fold_in(jax.random.key(3), i) for i in range(len(notes))]
        sounds = [song.sound_note(model, style, *pair) for pair in zip(notes, keys)]
        played = np.concatenate([*song.play_notes(model, notes, seed=3, words=words)])
        wanted = song.soft_limit(0.5 * sounds[1])  # the first has ended by then
        np.testing.assert_allclose(played[-1600:], wanted[-1600:], atol=1e-6)


def test_a_song_warns_once_a_class_of_pitches_that_it_never_learned():
    notes = [song.Note(0, 0.1, "pluck", midi) for midi in (60.0, 90.0, 31.0, 90.0)]
    with pytest.warns(UserWarning) as caught:
        list(song.play_notes(load_model("conditional"), notes))
    assert ["at 90 it plays" in str(warning.message) for warning in caught] == [True]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "label, midi, message",
    [
        ("organ", 300.0, "pitch is 300"),
        ("kick", 60.0, "kick has no pitch"),
        ("bagpipe", 60.0, "no class is called 'bagpipe'"),
    ],
)
def test_a_song_with_a_bad_note_is_refused_before_it_begins(label, midi, message):
    notes = [song.Note(0, 0.1, "organ", 60.0), song.Note(3, 0.1, label, midi)]
    with pytest.raises(ValueError, match=message):
        next(song.play_notes(load_model("conditional"), notes))


def test_a_model_of_drums_plays_drums():
    model = load_model("spectral")
    notes = song.score("kick", "0, 1") + song.score("hat", "0.5")
    played = np.concatenate([*song.play_notes(model, notes, seed=2)])
    for note in notes:
        z = song.song_style(model, note, 2, "")
        wanted = song.soft_limit(0.5 * np.asarray(synthesize(model, z)[0]))
        start = round(note.start * model.sample_rate)
        np.testing.assert_allclose(played[start : start + len(wanted)], wanted, atol=1e-5)
    named = np.asarray(model.sample_latents(jax.random.key(0), 64, "kick")).mean(0)
    other = np.asarray(model.sample_latents(jax.random.key(0), 64, "hat")).mean(0)
    kick = np.asarray(song.song_style(model, notes[0], 2, ""))[0]
    assert np.square(kick - named).sum() < np.square(kick - other).sum()


class Siren(AudioModel):
    "Sines of a pitch, always half a second; a class or a length it can't be told."

    conditions = (Condition("pitch", "pitch", "the pitch", ("sounds",), low=12, high=120),)
    sample_rate, duration, latent_dim = 8000, 0.5, 1

    def __call__(self, z, pitch=69.0):
        hz = 440 * 2 ** ((jnp.asarray(pitch, jnp.float32) - 69) / 12)
        t = jnp.arange(4000) / 8000
        return 0.5 * jnp.sin(2 * jnp.pi * hz[..., None] * t) + 0 * z


def test_a_model_of_one_class_plays_melodies():
    notes = song.score("", "0 69, 0.5 81, 1 69", seconds=0.2)
    played = np.concatenate([*song.play_notes(Siren(), [*notes, song.Note(1.5, 9, "", 60)])])
    f0_hz = estimate_f0_hz(
        np.stack([played[i : i + 1500] for i in (0, 4000, 12000)]), sample_rate=8000
    )
    np.testing.assert_allclose(f0_hz, [440, 880, 261.63], rtol=0.01)
    assert not played[2000:4000].any() and len(played) == 16000  # let go; no longer than it can be


@pytest.mark.parametrize(
    "model, note, said, message",
    [
        ("spectral", ("organ", 60.0), "", "Spec.* play notes with a pitch, such as organ at 0 s"),
        ("spectral", ("kick", 0.0), "short", "can't be told words"),
        ("spectral", ("gong", 0.0), "", "no class is called 'gong'"),
        (
            "vae",
            ("brass", 60.0),
            "",
            "these models can: .*conditional-instruments, conditional, flow$",
        ),
        ("untrained", ("kick", 0.0), "", "notes with a class, .* can: .*spectral.*wavenet$"),
        (
            "siren",
            ("kick", 60.0),
            "",
            "Siren can't play notes with a class, .* can: .*conditional-",
        ),
        ("siren", ("", 0.0), "", "the model has a pitch, and a note of it has none"),
        ("siren", ("", 130.0), "", "pitch is 130; want 12 to 120"),
    ],
)
def test_what_a_model_cannot_be_told_it_cannot_play(model, note, said, message):
    model = Siren() if model == "siren" else untrained_or(model)
    label, midi = note
    with pytest.raises(ValueError, match=message):
        next(song.play_notes(model, [song.Note(0, 0.1, label, midi)], words=said))


def test_who_cannot_be_told_what_a_note_has_is_no_player():
    for model in (Siren(), *map(load_model, ("spectral", "conditional"))):
        song.check_player(model, "it")
    with pytest.raises(
        ValueError, match="untrained: can't play notes.* such as .*conditional-inst"
    ):
        song.check_player(untrained_or("untrained"), "untrained")


# ---- fitted, and compiled once


@contextlib.contextmanager
def counting_compilations():
    "Yield a list of what is compiled in the block."
    compiled = []

    def note(event, seconds, **details):
        if event.endswith("backend_compile_duration"):
            compiled.append(details.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        jax.jit(lambda x: x + 1)(np.float32(0))
        assert len(compiled) == 1  # JAX still tells of it
        compiled.clear()
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_a_model_that_was_never_fitted_refuses_to_encode():
    model = spectral.SpectralGenerator(**SMALL, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="not fitted"):
        model.encode(np.zeros((2, 2000), np.float32))


@pytest.mark.parametrize("kind", ["spectral", "vae", "conditional", "wavenet"])
def test_the_second_model_of_a_shape_compiles_nothing(kind):
    from audiogen.support.recipes import load_recipe

    sounds = make_sounds(SMALL["classes"], per_class=40, seed=0, sample_rate=8000, duration=0.25)
    recipe = load_recipe(kind)

    def work(seed):
        model = recipe.build(sounds, rngs=nnx.Rngs(seed))
        arrays = recipe.targets(model, sounds)
        if recipe.finish:
            recipe.finish(model, arrays)
        if kind == "wavenet":
            return bits_per_sample(model, sounds.waveforms[:2], sounds.labels[:2])
        if kind == "conditional":
            return conditional.resynthesize(model, sounds.waveforms, sounds.labels, sounds.midi)
        return model.encode(sounds.waveforms)

    first = work(0)
    with counting_compilations() as compiled:
        second = work(1)
    assert compiled == [] and first.shape == second.shape
    if kind in ("vae", "conditional"):
        assert np.abs(first - second).max() > 1e-3  # other weights, another answer


@pytest.mark.parametrize(
    "name, told",
    [
        ("spectral", {}),
        ("vae", dict(label="kick")),
        ("conditional", dict(label="organ", pitch=60)),
        ("conditional", dict(label="organ", words="short")),
        ("wavenet", {}),
    ],
)
def test_latent_vectors_are_drawn_by_a_few_programs(name, told):
    model = load_model(name)
    sample_latents(model, 22, rngs=nnx.Rngs(0), **told)  # what doesn't depend on the number
    with counting_compilations() as compiled:
        z = sample_latents(model, 23, rngs=nnx.Rngs(0), **told)
    assert z.shape == (23, model.latent_dim)
    assert len(compiled) <= 5, compiled


def test_a_model_is_loaded_without_a_compiler():
    with counting_compilations() as compiled:
        load_model("spectral-instruments")
    assert compiled == []


# ---- how sounds end


def levels(x, sample_rate):
    "Levels of pieces of 15 ms, the last of which is the end, (n, pieces), dBFS."
    size = round(0.015 * sample_rate)
    x = np.asarray(x)[:, x.shape[-1] % size :]
    return 10 * np.log10(np.square(x.reshape(len(x), -1, size)).mean(-1) + 1e-10)


def rise(x, size):
    "How far the last piece is above the loudest of the eight pieces before the last two (dB)."
    x = np.asarray(x, float)
    energy = np.cumsum(np.pad(np.square(x), ((0, 0), (1, 0))), 1)
    power = (energy[:, size:] - energy[:, :-size]) / size + 1e-10  # wherever they begin
    before = power[:, x.shape[1] - 10 * size : x.shape[1] - 3 * size + 1].max(1)
    return 10 * np.log10(power[:, -1] / before)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_no_note_of_any_pitch_ends_in_a_thump(name):
    model = load_model(name)
    for c, label in enumerate(model.config.classes):
        for midi in range(24, 109, 4) if model.config.pitched[c] else [0]:
            z = sample_styles(
                model, jax.random.key(midi), np.full(12, c), np.full(12, midi, np.float32)
            )
            x = synthesize(model, z, label=label, pitch=midi or None)
            found = levels(x, model.sample_rate)
            assert rise(x, model.config.window_size // 2).max() < 0.5, (label, midi)
            assert np.median(found.max(1)) > -30, (label, midi)  # and they are there at all


@pytest.mark.parametrize(
    "name", [name for name in shipped_models() if name not in (*CONDITIONAL, "prior")]
)  # music may be cut where a drum is struck
def test_no_sound_ends_louder_than_it_was(name):
    model = load_model(name)
    for label in model.config.classes:
        count, told = 4 if "wavenet" in name else 12, {"label": label}
        z = sample_latents(model, count, rngs=nnx.Rngs(1), **part_of(model, "latents", told))
        x = synthesize(model, z, **part_of(model, "sounds", told))
        found = levels(x, model.sample_rate)
        assert (found[:, -1] - found[:, :-1].max(1)).max() < 1, label


def test_a_pitch_that_was_not_learned_is_pointed_out(audiogen, tmp_path):
    model = load_model("conditional")
    message = (
        "pluck learned pitches 49 to 78, and 2 semitones beyond;"
        " at 31 it plays with the timbre learned at 47"
    )
    with pytest.warns(UserWarning, match=message):
        model.generate(rngs=nnx.Rngs(0), label="pluck", pitch=31)
    status, _, err = audiogen(
        "generate",
        "--model",
        "conditional",
        "--label",
        "pluck",
        "--pitch",
        "31",
        "--count",
        "1",
        "--out",
        tmp_path,
    )
    assert status == 0 and err == f"audiogen: {message}\n"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pitch", [48, 60, 78])
def test_a_pitch_that_was_learned_is_not(pitch):
    load_model("conditional").generate(rngs=nnx.Rngs(0), label="pluck", pitch=pitch)


@pytest.mark.parametrize(
    "name", [name for name in shipped_models() if not name.startswith("wavenet-")]
)
def test_far_away_sounds_are_finite(name):
    model = load_model(name)
    for i, scale in enumerate((5, 100, 1e6)):
        z = vary_latent(
            model,
            sample_latents(model, 1, rngs=nnx.Rngs(i))[0],
            scale=scale,
            count=2 if "wavenet" in name else 8,
            rngs=nnx.Rngs(i),
        )
        x = np.asarray(synthesize(model, z))
        assert np.isfinite(x).all() and np.abs(x).max() <= 1 + 1e-6


# ---- copies


def make(model, z):
    return np.asarray(synthesize(model, z))


def untrained_or(name):
    return (
        SimpleAudioGenerator(duration=0.1, rngs=nnx.Rngs(0))
        if name == "untrained"
        else load_model(name)
    )


@pytest.mark.parametrize("name", ["untrained", *shipped_models()])
def test_a_model_can_be_pickled_and_copied(name):
    model = untrained_or(name)
    z = sample_latents(model, 1, rngs=nnx.Rngs(0))
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert make(again, z).tobytes() == make(model, z).tobytes()


def test_models_reach_another_process():
    models = [
        untrained_or(name)
        for name in ("untrained", "spectral", "vae", "conditional", "wavenet-minute")
    ]
    latents = [np.asarray(sample_latents(model, 1, rngs=nnx.Rngs(0))) for model in models]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = [*pool.map(make, models, latents)]
    for model, z, x in zip(models, latents, there):
        assert x.tobytes() == make(model, z).tobytes()


def test_a_model_can_be_read_by_whoever_may_read_other_files(tmp_path):
    (tmp_path / "other").touch()
    save_model(tmp_path / "m.safetensors", SimpleAudioGenerator(duration=0.5, rngs=nnx.Rngs(0)))
    modes = [(tmp_path / name).stat().st_mode for name in ("m.safetensors", "other")]
    assert modes[0] == modes[1]


def test_what_cannot_be_saved_is_said(tmp_path):
    with pytest.raises(ValueError, match="no config"):
        save_model(tmp_path / "m.safetensors", nnx.Linear(1, 1, rngs=nnx.Rngs(0)))


def test_a_model_that_predicts_is_no_wavenet_for_that():
    class Forecaster(SimpleAudioGenerator):
        def predict(self, x):
            return x

    sounds = make_sounds(("kick",), per_class=6, seed=0)
    figures = evaluate(
        Forecaster(duration=0.5, rngs=nnx.Rngs(0)), sounds, {}, {"new": sounds}, per_class=2
    )
    assert "bits" not in figures["new"]


# ---- lists and arrays

TAKE_LISTS = WAVEFORM_FUNCTIONS | {
    "first_peak": lambda x: first_peak(x, start=1)[1],
    "pulse_train": lambda f0_hz: source_filter.pulse_train(f0_hz, sample_rate=16000),
}
for no_waveform in ("decibels", "comb", "partial_weights", "soft_limit"):
    del TAKE_LISTS[no_waveform]


@pytest.mark.parametrize("name", TAKE_LISTS)
def test_lists_and_numpy_arrays_are_waveforms(name):
    x = (0.1 + 0.05 * np.sin(np.arange(4096).reshape(2, 2048))).astype(np.float32)
    function = TAKE_LISTS[name]
    want = np.asarray(function(jnp.asarray(x)))
    for same in (x, x.tolist()):
        np.testing.assert_allclose(function(same), want, rtol=1e-4, atol=1e-5)


def test_a_window_may_be_an_array():
    x, w = np.random.default_rng(0).normal(size=2000).astype(np.float32), np.hamming(513)[:-1]
    for window in (w, w.tolist(), jnp.asarray(w, jnp.float32)):
        np.testing.assert_allclose(
            stft.stft(x, window=window), stft.stft(x, window="hamming"), atol=1e-3
        )
        np.testing.assert_allclose(
            stft.istft(stft.stft(x, window=window), window=window, length=2000), x, atol=1e-4
        )
        np.testing.assert_allclose(
            stft.spectrogram(x, window=window), stft.spectrogram(x, window="hamming"), atol=1e-3
        )
        np.testing.assert_allclose(
            mel_spectrogram(x, 16000, window=window),
            mel_spectrogram(x, 16000, window="hamming"),
            rtol=1e-3,
        )
        assert stft.full_scale(512, window) == pytest.approx(stft.full_scale(512, "hamming"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "window",
    [
        np.hanning(500),
        np.ones((2, 256)),
        np.full(512, np.nan),
        np.ones(512, complex),
        [[1], [2, 3]],
        7,
        None,
        {"hann"},
    ],
)
def test_a_window_of_another_length_is_none(window):
    message = "window is .*want (512 finite ones|a name .* or a number for each sample)"
    with pytest.raises(ValueError, match=message):
        stft.stft(np.zeros(1000, np.float32), window=window)


@pytest.mark.parametrize("window", ["hann", object()])
def test_a_function_without_a_window_takes_none(window):
    with pytest.raises(TypeError, match="window"):
        stft.amplitude_to_db(np.ones(3), ref=1, window=window)


def test_a_few_sounds_and_their_copies_make_a_latent_space_that_can_be_saved(tmp_path):
    "More directions than sounds: the rest have no length, and must not be blown up beyond 16 bits."
    sounds = make_sounds(("kick", "hat"), per_class=1)
    copies = detune(sounds[np.arange(40) % 2])
    model = spectral.spectral_model(copies, rngs=nnx.Rngs(0))
    save_model(tmp_path / "x.safetensors", model, half=True)
    z = model.encode(sounds.waveforms)
    np.testing.assert_allclose(
        load_model(tmp_path / "x.safetensors").encode(sounds.waveforms), z, atol=0.02
    )
