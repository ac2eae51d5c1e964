"""Captions: a bag of words against one layer of attention, after equal training, on sounds that are measured."""

import sys
import time
from pathlib import Path

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

PHRASES = (("fast attack slow decay", (1, 0)), ("slow attack fast decay", (0, 1)))  # long, soft


def flow_only(model, batch, key):
    "The loss of the flow and its reader; the decoder isn't trained."
    path, forget, tell, blur = jax.random.split(key, 4)
    rows = {name: jnp.repeat(values, 4, axis=0) for name, values in batch.items()}
    kept = jax.random.bernoulli(forget, 0.9, (len(rows["label"]), 1))
    given = model.given(*shown(rows, tell)) * kept
    place = rows["place"] + 0.1 * jax.random.normal(blur, rows["place"].shape)
    return flow_loss(model.velocity, place, path, given), {}


def with_reader(trained, reader, seed):
    "An untrained reader and velocity before the decoder of a trained model."
    settings = vars(trained.config) | dict(reader=reader)
    model = CaptionFlow(**settings, rngs=nnx.Rngs(seed))
    for name in ("centre", "directions", "decoder", "base", "grain", "grain_base"):
        setattr(model, name, getattr(trained, name))
    return model


def sounds_for(model, captions, *, guidance, seed=0):
    z = model.sample_latents(jax.random.key(seed), len(captions))
    return np.stack([*render(model, z, caption=list(captions), guidance=guidance)])


def phrase_questions(per_phrase=20):
    "The same words in two orders, about three voices: what is wanted of length and attack."
    captions, voice, wanted = [], [], []
    for name in ("hat", "brass", "organ"):
        for phrase, (long, soft) in PHRASES:
            captions += [f"{name} with {phrase}"] * per_phrase
            voice += [[*CLASS_WORDS].index(name)] * per_phrase
            wanted += [(long, np.nan, soft, np.nan)] * per_phrase
    return captions, np.array(voice), np.array(wanted, float)


def measured(model, sets, ruler, judge, *, guidance=2.0):
    "{row: {trait: share}} of a model."
    found = {}
    for name, questions in sets.items():
        for kind in ("captions", "plain"):
            made = sounds_for(model, getattr(questions, kind), guidance=guidance)
            shares = obeyed(made, questions, ruler)
            features = log_mel_features(made, sample_rate=model.sample_rate)
            shares["class"] = float(
                (np.asarray(judge(features)).argmax(1) == questions.voice).mean()
            )
            found[f"{name}, {'captions' if kind == 'captions' else 'no words'}"] = shares
    captions, voice, wanted = phrase_questions()
    made = sounds_for(model, captions, guidance=guidance)
    much = ruler.much(made, voice, np.full(len(voice), np.nan))
    right = much[:, [0, 2]] == wanted[:, [0, 2]]
    found["two orders"] = {"both": float(right.all(1).mean()), "each": float(right.mean())}
    return found


def print_rows(name, rows):
    for row, shares in rows.items():
        print(f"{name}: {row}: " + " ".join(f"{k} {v:.3f}" for k, v in shares.items()), flush=True)


def question_sets(validation, test):
    sets = {
        "validation combinations": write_questions(validation["new combinations"], per_class=40),
        "test seen": write_questions(test["new sounds"], per_class=40),
        "test combinations": write_questions(test["new combinations"], per_class=40),
        "test synonyms": write_questions(test["new sounds"], per_class=40, unseen=True),
    }
    return sets


def main(path, mode, *numbers):
    trained = load_model(path)
    train_set, validation, test = split_sounds(load_sounds("captioned"))
    ruler = fit_ruler(train_set)
    judge = train_judge(
        train_set.waveforms, train_set.details["voice"], sample_rate=16000, num_classes=9
    )
    sets = question_sets(validation, test)
    if mode == "shipped":
        for name, part in (
            ("test seen", test["new sounds"]),
            ("test combinations", test["new combinations"]),
        ):
            real = part.waveforms[sets[name].rows]
            shares = obeyed(real, sets[name], ruler)
            print_rows("ceiling", {f"{name}, real": shares})
            place = np.asarray(trained.place(real))
            print_rows(
                "ceiling", {f"{name}, decoded": obeyed(decoded(trained, place), sets[name], ruler)}
            )
        for guidance in map(float, numbers or (1, 2, 3)):
            chosen = (
                sets
                if guidance == 2
                else {"validation combinations": sets["validation combinations"]}
            )
            print_rows(
                f"guidance {guidance:g}", measured(trained, chosen, ruler, judge, guidance=guidance)
            )
        return
    steps, seeds = map(int, numbers)
    arrays = caption_targets(trained, train_set)
    del arrays["L"]
    few = {name: sets[name] for name in ("test seen", "test combinations")}
    for seed in range(seeds):
        for reader in ("bag", "attention"):
            model, start = with_reader(trained, reader, seed), time.process_time()
            run = Path(f"/tmp/captions-{reader}-{seed}-{time.time():.0f}")
            train(
                model,
                Supervised(flow_only),
                batch_source(arrays, seed=seed),
                out=run,
                steps=steps,
                seed=seed,
            )
            seconds = time.process_time() - start
            print(f"{reader} seed {seed}: {steps} steps in {seconds:.0f} s of CPU time", flush=True)
            print_rows(f"{reader} seed {seed}", measured(model, few, ruler, judge))


def decoded(model, place):
    "Sounds of places, without the flow."
    from audiogen.flow import sound_places

    seeds, grain = np.zeros(len(place), np.float32), np.full(len(place), 0.7, np.float32)
    run = jax.jit(lambda p, s, g: sound_places(model, p, s, g))
    return np.concatenate(
        [
            np.asarray(run(place[i : i + 20], seeds[i : i + 20], grain[i : i + 20]))
            for i in range(0, len(place), 20)
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
