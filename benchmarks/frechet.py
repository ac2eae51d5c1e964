"""The Fréchet distance of each shipped model's sounds to test sounds, by features of a published network and by the book's own."""

import numpy as np
from pyopen_wakeword import OpenWakeWordFeatures

from audiogen.generator import load_model
from audiogen.metrics import confidence, frechet_distance
from audiogen.sounds import load_sounds, split_sounds
from audiogen.support.evaluation import compose, match_classes
from audiogen.support.judge import log_mel_features

from .common import SEED, Section

MODELS = {"sounds": ("spectral", "vae", "conditional"), "fluidr3": ("spectral-instruments",)}
MODELS["fluidr3"] += ("conditional-instruments",)
CHUNK, RATE = 1280, 16000  # samples between two answers of the network, and its sample rate
TEXT = (
    "Fréchet distance to the test sounds (of FluidR3 to new pitches of known instruments), with half of its 95 % interval. "
    "The published network is Google's speech embedding (Apache-2.0; Lin et al., 2020), as pyopen-wakeword brings it: "
    "96 numbers for each window of 775 ms, averaged over the windows that hear a clip. It knows speech, and nothing above "
    "3.8 kHz. The floor is what as many validation sounds get, the ceiling what noise gets."
)


def speech_features(waveforms):
    """Mean embedding of each clip, (n, 96), which is heard between two silences."""
    network, answer = OpenWakeWordFeatures.from_builtin(), []
    pause = np.zeros(10 * CHUNK, np.int16).tobytes()
    list(network.process_streaming(pause))  # it begins with seconds of silence
    for x in waveforms:
        x = np.pad(np.clip(x, -1, 1), (0, -len(x) % CHUNK))
        heard = [*network.process_streaming(np.int16(32767 * x).tobytes())]
        heard += network.process_streaming(pause)
        answer.append(np.mean([np.ravel(e) for e in heard], 0))
    return np.stack(answer)


def own_features(waveforms):
    """The 128 log-mel levels of chapter 06."""
    return log_mel_features(waveforms, sample_rate=RATE)


FEATURES = {"published network": speech_features, "log-mel levels": own_features}


def made(model, train, per_class):
    """New sounds, so many of each class, at pitches of training clips."""
    rng, names = np.random.default_rng(SEED), np.repeat(train.classes, per_class)
    labels = np.repeat(np.arange(len(train.classes)), per_class)
    midi = [rng.choice(train.midi[train.labels == label]) for label in labels]
    return compose(model, [*names], midi, seed=SEED)


def as_many(clips, per_class):
    """So many clips of each class."""
    rng, rows = np.random.default_rng(SEED), []
    for label in np.unique(clips.labels):
        mine = np.flatnonzero(clips.labels == label)
        rows.append(rng.choice(mine, per_class, replace=len(mine) < per_class))
    return clips.waveforms[np.concatenate(rows)]


def cell(ours, target):
    """The distance of two sets of features, with half of its interval."""
    sure = confidence(lambda kept: frechet_distance(ours[kept], target), np.arange(len(ours)))
    return f"{frechet_distance(ours, target):,.4g} ± {sure:,.2g}"


def lines(data, per_class):
    """A row for each kind of sound."""
    parts = split_sounds(load_sounds(data))
    model = load_model(MODELS[data][0])
    name = "new sounds" if data == "sounds" else "pitches"
    train = match_classes(parts[0], model)
    chosen, reference = (match_classes(part[name], model) for part in parts[1:])
    sets = {"floor: validation sounds": as_many(chosen, per_class)}
    sets |= {name: made(load_model(name), train, per_class) for name in MODELS[data]}
    shape = sets[MODELS[data][0]].shape
    sets["ceiling: white noise"] = np.random.default_rng(SEED).uniform(-0.5, 0.5, shape)
    target = {
        kind: features(as_many(reference, 2 * per_class)) for kind, features in FEATURES.items()
    }
    return [
        [data, name, *(cell(features(x), target[kind]) for kind, features in FEATURES.items())]
        for name, x in sets.items()
    ]


def sections(quick):
    """The table."""
    datas = ("sounds",) if quick else ("sounds", "fluidr3")
    rows = [row for data in datas for row in lines(data, 4 if quick else 20)]
    return [
        Section(
            "frechet: sounds as a network hears them", TEXT, ["data", "sounds", *FEATURES], rows
        )
    ]
