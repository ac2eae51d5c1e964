"""The codec: books of other kinds after as many steps, and what grain costs: a spread of noise, a judge, or more training."""

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from audiogen.codec import (
    GrainHead,
    MovingBook,
    TokenCodec,
    average_codes,
    codec_targets,
    grain_loss,
    nearest_codes,
    restart_codes,
    straight_through,
)
from audiogen.generator import load_model
from audiogen.metrics import frechet_distance
from audiogen.sounds import batch_source, load_sounds, split_sounds
from audiogen.spectral import Fixed
from audiogen.support.blocks import as_matrix, in_blocks
from audiogen.support.classes import basics_of
from audiogen.support.coded import codec_waveform, random_crops, with_book, with_grain
from audiogen.support.judge import log_mel_features
from audiogen.support.tokens import codes_in_use, grain_db, kept_figures
from audiogen.training import Supervised, train

from .common import SEED, Section

STEPS = 300


# Books of other kinds


class OneCodec(TokenCodec):
    """A codec whose rows of codes have a last axis: one book."""

    def quantised(self, vectors):
        """Codes, and their numbers, (b, token, books)."""
        tokens = self.nearest(vectors)
        return self.book[...][tokens], tokens[..., None]


class GradientCodec(OneCodec):
    """Its book is trained by gradients."""

    def __init__(self, *, rngs, **settings):
        super().__init__(rngs=rngs, **settings)
        self.book = nnx.Param(0.3 * jax.random.normal(rngs.params(), self.book.shape))


class FiniteCodec(OneCodec):
    """Four numbers, each rounded to one of 8, 5, 5, 5 levels: no book at all (Mentzer et al., 2023)."""

    levels = (8, 5, 5, 5)

    def quantised(self, vectors):
        """Rounded numbers from −1 to 1, and the number of their cell."""
        steps = jnp.asarray(self.levels, jnp.float32) - 1
        digits = jnp.round((jnp.tanh(0.8 * vectors) + 1) / 2 * steps)
        places = np.cumprod([1, *self.levels[:-1]])
        return digits / steps * 2 - 1, (digits * places).sum(-1, keepdims=True).astype(jnp.int32)


class TwoLevelCodec(OneCodec):
    """A second book for what the first leaves: 20 bits a token."""

    def __init__(self, *, rngs, **settings):
        super().__init__(rngs=rngs, **settings)
        self.second = Fixed(jnp.zeros_like(self.book[...]))

    def quantised(self, vectors):
        """Sums of two codes, and their numbers."""
        first = self.nearest(vectors)
        codes = self.book[...][first]
        second = nearest_codes(vectors - codes, self.second[...])
        return codes + self.second[...][second], jnp.stack([first, second], axis=-1)


def loss(model, batch, key, *, through=straight_through, learned=0.0):
    """The loss of the chapter for any of these codecs; `learned` weighs the term that moves a trained book."""
    vectors = model.encoder(batch["L"])
    if isinstance(model, FiniteCodec):
        bound = jnp.tanh(0.8 * vectors)
        drawn, far = model.decoder(through(bound, model.quantised(vectors)[0])), 0.0
    else:
        codes = model.quantised(vectors)[0]
        drawn = model.decoder(through(vectors, codes))
        far = 0.25 * jnp.mean(jnp.square(vectors - jax.lax.stop_gradient(codes)))
        far += learned * jnp.mean(jnp.square(jax.lax.stop_gradient(vectors) - codes))
    difference = drawn - batch["L"]
    square, absolute = jnp.mean(jnp.square(difference)), jnp.mean(jnp.abs(difference))
    return square + 0.3 * absolute + far, dict(square=square)


@dataclass(frozen=True)
class Cropped(Supervised):
    """The supervised rule on crops."""

    def step(self, state, batch, key):
        """One more step."""
        model = nnx.merge(
            state["graph"], state["weights"], jax.tree.map(lambda w: w, state["rest"])
        )
        return super().step(state, {"L": random_crops(batch["L"], key, model.config)}, key)


@dataclass(frozen=True)
class Begun(MovingBook):
    """Moving averages that begin with random codes, as a book does that isn't restarted."""

    def init(self, model):
        """The state before the first step."""
        state = super().init(model)
        codes = 0.3 * jax.random.normal(jax.random.key(SEED), model.book.shape)
        book = dict(codes=codes, counts=jnp.ones(len(codes)), sums=codes)
        return state | dict(book=book, model=with_book(state, codes))


@dataclass(frozen=True)
class TwoBooks(MovingBook):
    """The rule of the codec, for two books."""

    def init(self, model):
        """The state before the first step."""
        state = super().init(model)
        second = {name: jnp.zeros_like(x) for name, x in state["book"].items()}
        return state | dict(second=second, model=with_both(state, state["book"], second))

    def step(self, state, batch, key):
        """One more step, and then the second book's."""
        rest = jax.tree.map(lambda w: w, state["rest"])
        rest["book"][...] = state["book"]["codes"]
        rest["second"][...] = state["second"]["codes"]
        model = nnx.merge(state["graph"], state["weights"], rest)
        L = random_crops(batch["L"], jax.random.split(key)[0], model.config)
        vectors = as_matrix(model.encoder(L))
        left = vectors - model.book[...][model.nearest(vectors)]
        state, metrics = super().step(state | dict(rest=rest), batch, key)
        second = average_codes(state["second"], left, decay=self.decay)
        second = restart_codes(second, left, jax.random.fold_in(key, 1), least=self.least)
        both = with_both(state, state["book"], second)
        return state | dict(second=second, model=both), metrics


def with_both(state, book, second):
    """What a codec of two books gets."""
    rest = jax.tree.map(lambda w: w, state["rest"])
    books = {"book": rest["book"], "second": rest["second"]}
    books["book"][...], books["second"][...] = book["codes"], second["codes"]
    return nnx.merge_state(state.get("average", state["model"]), nnx.State(books))


def plain(through=straight_through, **settings):
    """The supervised rule inside another, or on crops."""
    return Supervised(partial(loss, through=through, **settings), ema_decay=0.99)


KINDS = {
    "moving averages, restarts (the chapter's)": (OneCodec, MovingBook(plain()), {}),
    "moving averages alone": (OneCodec, Begun(plain(), least=-1.0), {}),
    "by gradient": (GradientCodec, Cropped(partial(loss, learned=1.0), ema_decay=0.99), {}),
    "no straight-through": (OneCodec, MovingBook(plain(lambda vectors, codes: codes)), {}),
    "FSQ 8·5·5·5": (FiniteCodec, Cropped(loss, ema_decay=0.99), dict(code_dim=4, codes=1000)),
    "two levels of 1,024": (TwoLevelCodec, TwoBooks(plain()), {}),
}


def quantised_block(model, L):
    """Log-magnitudes through the codes, and the numbers of these."""
    vectors = model.encoder(L.astype(jnp.float32))
    codes, tokens = model.quantised(vectors)
    return codec_waveform(model, model.decoder(codes)), tokens


def book_table(quick):
    """The table of books."""
    training, validation = some_phrases(quick)
    lines, steps = [], 5 if quick else STEPS
    for name, (kind, rule, settings) in KINDS.items():
        model = kind(rngs=nnx.Rngs(SEED), **basics_of(training), **settings)
        seconds = trained(model, rule, codec_targets(model, training), steps)
        L = codec_targets(model, validation)["L"]
        made = in_blocks(lambda m, x: quantised_block(m, x)[0], model, L, size=16)
        tokens = in_blocks(lambda m, x: quantised_block(m, x)[1], model, L, size=16)
        kept = kept_figures(made, validation)
        use = [codes_in_use(level, model.config.codes) for level in np.moveaxis(tokens, -1, 0)]
        bits = sum(62.5 * np.log2(model.config.codes) for _ in use)
        codes = " and ".join(f"{used:,}" for used, _ in use)
        perplexity = " and ".join(f"{found:.0f}" for _, found in use)
        distance, notes = kept["decoded_db"], kept["notes_within_50_cents"]
        lines.append([name, f"{bits:.0f}", f"{distance:.2f}", f"{notes:.0%}", codes, perplexity])
        lines[-1].append(f"{seconds:.0f}")
        print(lines[-1], flush=True)
    text = (
        f"{steps} steps each on phrases, batches of 16 crops of 32 tokens, seed {SEED}; "
        f"{len(validation)} validation phrases. Seconds are those of the processor, without compiling."
    )
    columns = [
        "book",
        "bit/s",
        "distance (dB)",
        "notes within 50 cents",
        "codes used",
        "perplexity",
    ]
    return Section("codec: books", text, [*columns, "core-s"], lines)


def some_phrases(quick):
    """Training phrases, and a hundred for validation."""
    sounds = load_sounds("phrases", per_class=20 if quick else None)
    training, validation, _ = split_sounds(sounds)
    validation = validation["new sounds"]
    return training, validation[np.arange(len(validation)) % max(1, len(validation) // 100) == 0]


def trained(model, rule, arrays, steps):
    """Train a model; how many seconds of the processor that took."""
    batches = batch_source({"L": arrays["L"]}, batch_size=16, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        train(nnx.clone(model), rule, batches, out=Path(folder) / "run", steps=1, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        train(model, rule, batches, out=Path(folder) / "run", steps=steps, seed=SEED)
        return time.process_time() - start


# Grain: a spread, a judge, or more training


class PatchJudge(nnx.Module):
    """Says of each patch of 8 frames × 16 bins how real it looks."""

    def __init__(self, *, rngs):
        self.bands = nnx.Param(jnp.zeros((16, 128)))
        sizes = (128, 128, 128)
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in zip(sizes, sizes[1:])])
        self.out = nnx.Linear(128, 1, rngs=rngs)

    def __call__(self, L):
        """Log-magnitudes (b, frame, bin) -> verdicts, and what the layers made of the patches."""
        x = (L[..., :256] + 4) / 2
        x = x.reshape(len(L), -1, 8, 16, 16).swapaxes(2, 3).reshape(len(L), -1, 16, 128)
        x, seen = x + self.bands[...], []
        for layer in self.layers:
            x = nnx.leaky_relu(layer(x), 0.2)
            seen.append(x)
        return self.out(x), seen


def drawn(model, L):
    """The decoder's picture of the tokens of log-magnitudes; no gradient reaches the encoder."""
    codes = model.book[...][model.nearest(model.encoder(L))]
    return model.decoder(jax.lax.stop_gradient(codes))


def far(picture, L):
    """The loss of the chapter between two pictures."""
    return jnp.mean(jnp.square(picture - L)) + 0.3 * jnp.mean(jnp.abs(picture - L))


def decoder_loss(model, batch, key):
    """Plain training of the decoder alone."""
    return far(drawn(model, batch["L"]), batch["L"]), {}


class Contest:
    """The rule of decoder and judge: hinge losses, and features that should agree."""

    def init(self, model):
        """The state before the first step."""
        graph, weights, rest = nnx.split(model, nnx.Param, ...)
        judge_graph, judge = nnx.split(PatchJudge(rngs=nnx.Rngs(SEED)))
        ours, theirs = self.optimizers()
        memories = dict(ours=ours.init(weights), theirs=theirs.init(judge))
        graphs = dict(graph=graph, judge_graph=judge_graph)
        return dict(model=weights, rest=rest, judge=judge) | graphs | memories

    def optimizers(self):
        """Adam for the decoder, and a faster one for the judge."""
        adam = partial(optax.adam, b1=0.5, b2=0.9)
        return [optax.chain(optax.clip_by_global_norm(5.0), adam(rate)) for rate in (3e-4, 6e-4)]

    def step(self, state, batch, key):
        """One step of each."""
        rest = jax.tree.map(lambda w: w, state["rest"])
        model = nnx.merge(state["graph"], state["model"], rest)
        L = random_crops(batch["L"], key, model.config)
        judge = nnx.merge(state["judge_graph"], state["judge"])

        def decoders(weights):
            rest = jax.tree.map(lambda w: w, state["rest"])
            picture = drawn(nnx.merge(state["graph"], weights, rest), L)
            verdict, seen = judge(picture)
            pairs = zip(seen, judge(L)[1])
            agree = sum(jnp.mean(jnp.abs(a - b)) for a, b in pairs) / len(seen)
            return 2 * far(picture, L) - jnp.mean(verdict) + 2 * agree, picture

        def judges(weights):
            fresh = nnx.merge(state["judge_graph"], weights)
            real, made = fresh(L)[0], fresh(jax.lax.stop_gradient(picture))[0]
            return jnp.mean(nnx.relu(1 - real)) + jnp.mean(nnx.relu(1 + made))

        (value, picture), grads = jax.value_and_grad(decoders, has_aux=True)(state["model"])
        verdict, judged = jax.value_and_grad(judges)(state["judge"])
        ours, theirs = self.optimizers()
        moves, memory = ours.update(grads, state["ours"])
        judge_moves, judge_memory = theirs.update(judged, state["theirs"])
        new = dict(
            model=optax.apply_updates(state["model"], moves),
            judge=optax.apply_updates(state["judge"], judge_moves),
            ours=memory,
            theirs=judge_memory,
        )
        return state | new, dict(loss=value, parts=dict(judge=verdict))


def grain_figures(made, real):
    """Distance, onsets of drums, grain and Fréchet distance."""
    kept = kept_figures(made, real)
    drums = real.labels == real.classes.index("drums")
    features = [log_mel_features(x, sample_rate=real.sample_rate) for x in (made, real.waveforms)]
    grain = grain_db(made[drums], real.waveforms[drums])
    return [
        f"{kept['decoded_db']:.2f}",
        f"{kept['onset_f_drums']:.2f}",
        f"{grain:.2f}",
        f"{frechet_distance(*features):.0f}",
    ]


def grain_table(quick):
    """The table of grain."""
    training, validation = some_phrases(quick)
    codec, steps = load_model("codec"), 5 if quick else STEPS
    arrays = codec_targets(codec, training)
    tokens = codec.tokens(validation.waveforms)
    real = grain_db(
        *[validation.waveforms[validation.labels == validation.classes.index("drums")]] * 2
    )
    lines = [["real phrases", "–", "–", f"{real:.2f}", "–", "–"]]

    def tell(name, made, seconds):
        lines.append([name, *grain_figures(made, validation), f"{seconds:.0f}"])
        print(lines[-1], flush=True)

    tell("as shipped", codec.sounds(tokens), 0)
    longer = nnx.clone(codec)
    seconds = trained(longer, Cropped(decoder_loss, learning_rate=5e-4), arrays, steps)
    tell("trained longer, decoder alone", longer.sounds(tokens), seconds)
    head = GrainHead(nnx.clone(codec), rngs=nnx.Rngs(SEED))
    seconds = trained(head, Cropped(grain_loss), arrays, steps)
    for amount in (0.5, 0.75, 1.0):
        made = with_grain(head, tokens, key=jax.random.key(SEED), amount=amount)
        tell(f"a spread, {amount:g} of it", made, seconds)
    judged = nnx.clone(codec)
    seconds = trained(judged, Contest(), arrays, steps)
    tell("against a judge", judged.sounds(tokens), seconds)
    text = (
        f"{steps} further steps each from the shipped weights, seed {SEED}; "
        f"{len(validation)} validation phrases. Encoder and book stay as they are. "
        "Grain is the mean step between neighbouring bins above 2 kHz in loud frames of drums."
    )
    columns = ["decoder", "distance (dB)", "drum onsets, F", "grain (dB)", "Fréchet", "core-s"]
    return Section("codec: grain", text, columns, lines)


def sections(quick):
    """All tables."""
    return [book_table(quick), grain_table(quick)]
