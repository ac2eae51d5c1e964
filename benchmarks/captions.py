"""Captions: a bag of words against one layer of attention, and what the shipped model obeys."""

import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audiogen.captions import CaptionFlow, caption_targets, shown
from audiogen.flow import flow_loss
from audiogen.generator import load_model
from audiogen.sounds import batch_source, load_sounds, split_sounds
from audiogen.support.captioned import CLASS_WORDS
from audiogen.support.judge import log_mel_features, train_judge
from audiogen.support.obeyed import fit_ruler, obeyed, write_questions
from audiogen.support.rendering import render
from audiogen.training import Supervised, train

from .common import Section

STEPS, SEEDS, GUIDANCE = 1500, 2, 2.0
ORDERS = {"fast attack slow decay": (1, 0), "slow attack fast decay": (0, 1)}  # long, soft
SPACE = ("centre", "directions", "decoder", "base", "grain", "grain_base")


def flow_only(model, batch, key):
    """The loss of the flow and its reader; the decoder isn't trained."""
    path, forget, tell, blur = jax.random.split(key, 4)
    rows = {name: jnp.repeat(values, 4, axis=0) for name, values in batch.items()}
    kept = jax.random.bernoulli(forget, 0.9, (len(rows["label"]), 1))
    given = model.given(*shown(rows, tell)) * kept
    place = rows["place"] + 0.1 * jax.random.normal(blur, rows["place"].shape)
    return flow_loss(model.velocity, place, path, given), {}


def with_reader(trained, reader, seed):
    """An untrained reader and velocity, in the space of a trained model."""
    settings = vars(trained.config) | dict(reader=reader)
    model = CaptionFlow(**settings, rngs=nnx.Rngs(seed))
    for name in SPACE:
        setattr(model, name, getattr(trained, name))
    return model


def sounds_for(model, captions):
    """A sound of each caption."""
    z = model.sample_latents(jax.random.key(0), len(captions))
    return np.stack([*render(model, z, caption=list(captions), guidance=GUIDANCE)])


def orders_right(model, ruler, count):
    """Share of sounds that are as long and as soft as the order of the words says."""
    captions, voices, wanted = [], [], []
    for name in ("hat", "brass", "organ"):
        for words, traits in ORDERS.items():
            captions += [f"{name} with {words}"] * count
            voices += [[*CLASS_WORDS].index(name)] * count
            wanted += [traits] * count
    made = sounds_for(model, captions)
    much = ruler.much(made, np.array(voices), np.full(len(voices), np.nan))
    return float((much[:, [0, 2]] == np.array(wanted)).all(1).mean())


class Questions:
    """Captions of test clips, and how to see whether a sound does what they say."""

    def __init__(self, per_class):
        self.training, _, test = split_sounds(load_sounds("captioned"))
        self.per_class, self.ruler = per_class, fit_ruler(self.training)
        voices = self.training.details["voice"].astype(int)
        sounds = self.training.waveforms
        self.judge = train_judge(sounds, voices, sample_rate=16000, num_classes=len(CLASS_WORDS))
        seen, held_out = test["new sounds"], test["new combinations"]
        self.sets = {
            "seen combinations": write_questions(seen, per_class=per_class),
            "held-out combinations": write_questions(held_out, per_class=per_class),
            "synonyms new to their class": write_questions(seen, per_class=per_class, unseen=True),
        }

    def shares(self, model):
        """{questions: {trait: share right}}, by the sounds that a model makes."""
        found = {}
        for name, questions in self.sets.items():
            made = sounds_for(model, questions.captions)
            features = log_mel_features(made, sample_rate=model.sample_rate)
            judged = np.asarray(self.judge(features)).argmax(1)
            right = float((judged == questions.voice).mean())
            found[name] = obeyed(made, questions, self.ruler) | {"class": right}
        return found


def reader_table(questions, shipped, quick):
    """Both readers after equal training."""
    arrays = caption_targets(shipped, questions.training)
    del arrays["L"]
    lines = []
    for reader in ("bag", "attention"):
        for seed in range(1 if quick else SEEDS):
            model, start = with_reader(shipped, reader, seed), time.process_time()
            batches, steps = batch_source(arrays, seed=seed), 20 if quick else STEPS
            with tempfile.TemporaryDirectory() as out:
                train(model, Supervised(flow_only), batches, out=out, steps=steps, seed=seed)
            seconds, shares = time.process_time() - start, questions.shares(model)
            both = [f"{shares[name]['both']:.0%}" for name in questions.sets]
            order = orders_right(model, questions.ruler, questions.per_class)
            lines.append([reader, seed, *both, f"{order:.0%}", f"{seconds:.0f}"])
            print(lines[-1], flush=True)
    text = (
        f"{STEPS} steps each in the space of the shipped model, whose decoder stays; guidance "
        f"{GUIDANCE:g}; {questions.per_class} captions a class. Length and brightness both right. "
        "Order: both length and attack are right for captions whose words are the same in two "
        "orders; by chance 25 %."
    )
    columns = ["reader", "seed", *questions.sets, "order", "CPU s"]
    return Section("captions: a bag against attention", text, columns, lines)


def shipped_table(questions, shipped):
    """Everything the shipped model is asked."""
    shares = questions.shares(shipped)
    traits = [*next(iter(shares.values()))]
    lines = [[name, *(f"{found[t]:.0%}" for t in traits)] for name, found in shares.items()]
    text = f"Test clips, one seed, guidance {GUIDANCE:g}; {questions.per_class} captions a class."
    return Section("captions: the shipped model", text, ["captions", *traits], lines)


def sections(quick):
    """Both tables."""
    questions, shipped = Questions(2 if quick else 20), load_model("captions")
    return [reader_table(questions, shipped, quick), shipped_table(questions, shipped)]
