"""The latent flow on sounds: how times are drawn, averaged weights, and few steps with and without reflow."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from audiogen.flow import Velocity, flow_targets, guided, integrate, sound_places
from audiogen.generator import load_model
from audiogen.metrics import diversity, frechet_distance, judged_right
from audiogen.sounds import load_sounds, make_sounds, split_sounds
from audiogen.support.blocks import in_blocks
from audiogen.support.clips import SoundSet
from audiogen.support.judge import log_mel_features, train_judge
from audiogen.support.places import given_features
from audiogen.training import move_average

from .common import Section

CLASSES = 9
STEPS, ROWS, SEEDS, PAIRS, GRAIN, DECAY = 4000, 512, 3, 32768, 0.7, 0.999
TIMES = {
    "even": lambda key, n: jax.random.uniform(key, (n, 1)),
    "logit-normal": lambda key, n: jax.nn.sigmoid(jax.random.normal(key, (n, 1))),
}


def learn(model, loss, data, *, steps, schedule, seed):
    """Train a network on random rows; itself, and one whose weights are a moving average."""
    graph, weights = nnx.split(model)
    rule = optax.adam(schedule)

    def step(state, turn):
        weights, averaged, memory = state
        key, count = turn
        draw, how = jax.random.split(key)
        chosen = jax.random.randint(draw, (ROWS,), 0, len(data["label"]))
        rows = {name: values[chosen] for name, values in data.items()}
        grads = jax.grad(lambda w: loss(nnx.merge(graph, w), rows, how))(weights)
        updates, memory = rule.update(grads, memory)
        weights = optax.apply_updates(weights, updates)
        averaged = move_average(averaged, weights, step=count, decay=DECAY)
        return (weights, averaged, memory), None

    keys = jax.random.split(jax.random.key(seed), steps)
    run = jax.jit(lambda state: jax.lax.scan(step, state, (keys, jnp.arange(steps)))[0])
    state = run((weights, weights, rule.init(weights)))
    weights, averaged, _ = jax.block_until_ready(state)
    return nnx.merge(graph, weights), nnx.merge(graph, averaged)


def told(rows):
    """Classes and pitches as numbers for the network."""
    return given_features(rows["label"], rows["pitch"], CLASSES)


def flow_with(times):
    """Chapter 16's loss, with times drawn by a function."""

    def loss(velocity, rows, key):
        when, how, forget, pitchless, blur = jax.random.split(key, 5)
        n = len(rows["label"])
        any_pitch = jax.random.bernoulli(pitchless, 0.1, (n,))
        given = told(rows | {"pitch": jnp.where(any_pitch, jnp.nan, rows["pitch"])})
        given = given * jax.random.bernoulli(forget, 0.9, (n, 1))
        x = rows["place"] + 0.1 * jax.random.normal(blur, rows["place"].shape)
        t, noise = times(when, n), jax.random.normal(how, x.shape)
        predicted = velocity((1 - t) * noise + t * x, t, given)
        return jnp.square(predicted - (x - noise)).mean()

    return loss


def reflow_loss(velocity, rows, key):
    """A straight line between a noise and the place to which another flow led it."""
    noise, x = rows["noise"], rows["place"]
    t = jax.random.uniform(key, (len(x), 1))
    predicted = velocity((1 - t) * noise + t * x, t, told(rows))
    return jnp.square(predicted - (x - noise)).mean()


def pairs_of(velocity, rows, key, count, dim):
    """Noises, and the places to which a flow leads them: 16 Heun steps, guidance 2."""
    draw, how = jax.random.split(key)
    chosen = jax.random.randint(draw, (count,), 0, len(rows["label"]))
    asked = {name: rows[name][chosen] for name in ("label", "pitch")}
    noise = jax.random.normal(how, (count, dim))
    follow = jax.jit(lambda x: integrate(guided(velocity, told(asked), 2.0), x, steps=16))
    return asked | {"noise": noise, "place": follow(noise)}


class Listener:
    """Sounds for the classes and pitches of validation clips, and what they are worth."""

    def __init__(self, model, quick):
        sounds = load_sounds("sounds")
        training, validation, _ = split_sounds(sounds)
        asked = validation["new sounds"][::3]
        self.model, self.training, self.asked = model, training, asked
        self.rows = {
            "label": jnp.asarray(asked.labels),
            "pitch": jnp.asarray(np.where(asked.midi > 0, asked.midi, np.nan), jnp.float32),
        }
        fresh = [
            make_sounds(training.classes, per_class=20 if quick else 60, seed=seed)
            for seed in (777, 778)
        ]
        first, second = (log_mel_features(part.waveforms, sample_rate=16000) for part in fresh)
        self.judge = train_judge(
            fresh[1].waveforms, fresh[1].labels, sample_rate=16000, num_classes=CLASSES
        )
        few = np.random.default_rng(0).permutation(len(second))[: len(asked)]
        self.reference, self.floor = first, frechet_distance(second[few], first)

    def figures(self, velocity, *, steps, heun=True, guidance=2.0, seed=0):
        """Share judged right, Fréchet distance as a multiple of real clips', diversity."""
        given = told(self.rows)
        towards = guided(velocity, given, guidance)
        if guidance == 1:  # one question in place of two
            towards = lambda x, t: velocity(x, t, given)
        noise = jax.random.normal(jax.random.key(seed), (len(given), self.model.config.latent_dim))
        follow = jax.jit(lambda x: integrate(towards, x, steps=steps, heun=heun))
        made = in_blocks(drawn, self.model, np.asarray(follow(noise)))
        features = log_mel_features(made, sample_rate=16000)
        clips = SoundSet(made, self.asked.labels, self.training.classes, 16000)
        return (
            float(judged_right(self.judge, made, clips.labels).mean()),
            float(frechet_distance(features, self.reference) / self.floor),
            float(diversity(clips, self.training)),
        )


def drawn(model, place):
    """The sounds of places, with grain."""
    seeds = place[:, 0] * 1000
    return sound_places(model, place, seeds, jnp.full(len(place), GRAIN))


def summary(figures):
    """The mean and the range of several seeds, as cells."""
    forms = ("{:.1%}", "{:.2f}", "{:.2f}")
    cells = []
    for form, values in zip(forms, zip(*figures)):
        mean, low, high = (form.format(f(values)) for f in (np.mean, np.min, np.max))
        cells.append(f"{mean} ({low}–{high})")
    return cells


def sections(quick):
    """Two tables."""
    model = load_model("flow")
    listener, c = Listener(model, quick), model.config
    arrays = flow_targets(model, listener.training)
    rows = {name: jnp.asarray(arrays[name]) for name in ("place", "label", "pitch")}
    steps, seeds = (50, 1) if quick else (STEPS, SEEDS)
    falling, even = optax.cosine_decay_schedule(2e-3, steps), optax.constant_schedule(2e-3)
    new = lambda seed: Velocity(c.latent_dim, len(c.classes) + 12, c.width, rngs=nnx.Rngs(seed))
    times, found, flows = {}, {}, []
    for seed in range(seeds):
        for name, schedule in (("falling rate", falling), ("constant rate", even)):
            start = time.process_time()
            pair = learn(
                new(seed), flow_with(TIMES["even"]), rows, steps=steps, schedule=schedule, seed=seed
            )
            times.setdefault(name, []).append(time.process_time() - start)
            for kind, net in zip(("", ", averaged weights"), pair):
                found.setdefault(name + kind, []).append(listener.figures(net, steps=8, seed=seed))
            if schedule is falling:
                flows.append(pair[0])
        other, _ = learn(
            new(seed),
            flow_with(TIMES["logit-normal"]),
            rows,
            steps=steps,
            schedule=falling,
            seed=seed,
        )
        name = "falling rate, logit-normal times"
        found.setdefault(name, []).append(listener.figures(other, steps=8, seed=seed))
        for name in found:
            print(name, *summary(found[name]), flush=True)
    few = {}
    for seed, flow in enumerate(flows):
        start = time.process_time()
        pairs = pairs_of(flow, rows, jax.random.key(seed), 2000 if quick else PAIRS, c.latent_dim)
        again, _ = learn(new(seed), reflow_loss, pairs, steps=steps, schedule=falling, seed=seed)
        times.setdefault("reflow", []).append(time.process_time() - start)
        for count in (1, 2, 4, 8):
            euler = dict(steps=count, heun=False, seed=seed)
            for name, net, guidance, cost in (
                ("flow, guidance 2", flow, 2.0, 2),
                ("reflow", again, 1.0, 1),
            ):
                key = (name, count, cost * count)
                few.setdefault(key, []).append(listener.figures(net, guidance=guidance, **euler))
        few.setdefault(("flow, guidance 2, Heun", 8, 32), []).append(
            listener.figures(flow, steps=8, seed=seed)
        )
    shared = (
        f"Velocity networks alone, in the space and with the decoder of the shipped flow: {STEPS} "
        f"steps of {ROWS} rows, Adam. {len(listener.asked.labels)} sounds for the classes and "
        f"pitches of validation clips, grain {GRAIN}. The Fréchet distance is to {len(listener.reference)} "
        f"fresh clips, divided by that of as many other fresh clips; mean of {SEEDS} seeds (lowest–highest). "
    )
    columns = ["class right", "Fréchet / real", "diversity"]
    cost = ", ".join(f"{name} {np.mean(value):.0f} s" for name, value in times.items())
    return [
        Section(
            "flow: times and averaged weights",
            shared
            + f"Guidance 2, 8 Heun steps. Averages forget by {DECAY} a step. CPU time: {cost}.",
            ["training", *columns],
            [[name, *summary(figures)] for name, figures in found.items()],
        ),
        Section(
            "flow: few steps, with and without reflow",
            shared
            + f"Euler unless it says Heun. Reflow learns {PAIRS:,} straight lines from noises to the "
            "places to which the flow leads them with guidance 2, so it needs no guidance itself.",
            ["network", "steps", "questions", *columns],
            [[*key, *summary(figures)] for key, figures in sorted(few.items())],
        ),
    ]
