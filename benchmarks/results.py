"""Every shipped model that learned from the sounds made by formula, by the same metrics; for chapter 20."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flax import nnx

from audiogen.generator import load_model, sample_latents, synthesize
from audiogen.metrics import (
    are_copies,
    confidence,
    distance_baselines,
    diversity,
    frechet_distance,
    judge_accuracy,
    log_spectra,
    nearest_distance,
    pairwise_distance,
    pitch_accuracy,
)
from audiogen.stft import multi_resolution_stft_distance
from audiogen.support.clips import SoundSet, choose_classes, together
from audiogen.support.conditions import part_of
from audiogen.support.evaluation import (
    compose,
    match_classes,
    reconstruct,
    some_clips,
    sounds_told,
)
from audiogen.support.fitting import with_copies
from audiogen.support.judge import log_mel_features, train_judge
from audiogen.support.rendering import condition_of, model_classes
from audiogen.support.run_settings import DEFAULTS, load_data
from audiogen.support.store import model_info, shipped_models

from .common import Section, facts

STORE = Path(__file__).resolve().parents[1] / "audiogen" / "results.json"
DATA, SEEDS = "sounds", (1, 2, 3)
PER_CLASS, FEWER = 20, 10  # sounds of a class; where only some classes are known, fewer
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
TEXT = (
    "Each shipped model whose file says that it learned from `sounds`, asked for {count} sounds of each class, at pitches of random training clips where it can be told "
    "one, by seeds {seeds}: smallest to largest value. Distance: {count} test clips of each class, encoded and made again, ± the 95 % interval. "
    "All models of a table get the same classes, the same judge (taught on training and validation clips) and the same test clips. Copies are sought among all training clips and "
    "their detuned copies, of the first seed's sounds. Speed: CPU time on one thread. Of fewer classes there is a table for each model that knows only these."
)
COLUMNS = {  # figure: (heading, format)
    "distance_db": ("distance, dB ↓", ".2f"),
    "class_accuracy": ("class right ↑", ".0%"),
    "pitch_within_50_cents": ("pitch right ↑", ".0%"),
    "frechet": ("Fréchet, dB² ↓", ",.0f"),
    "diversity": ("diversity ↑", ".2f"),
    "copied": ("copied ↓", ".0%"),
    "bits": ("bits a sample ↓", ".2f"),
    "parameters": ("parameters", ",.0f"),
    "minutes": ("training, min", ",.0f"),
    "ms": ("ms a sound ↓", ",.1f"),
    "per_second": ("sounds a second ↑", ",.0f"),
}


def shipped():
    """{name: what its file says} of the models that learned from the data."""
    known = {name: model_info(name) for name in shipped_models()}
    return {name: info for name, info in known.items() if info["about"].get("data") == DATA}


@dataclass
class Yardstick:
    """What all models of some classes are measured with."""

    train: SoundSet
    validation: SoundSet
    test: SoundSet
    learned: SoundSet
    near: np.ndarray  # distances of the test clips to what was learned from
    judge: object
    reference: np.ndarray  # features of the test clips


def load_clips(classes, per_class):
    """Training clips, and some validation and test clips, of some classes."""
    train, validation, test = load_data(DEFAULTS | dict(data=DATA))
    parts = [train, *(next(iter(part.values())) for part in (validation, test))]
    train, *others = (choose_classes(part, tuple(classes)) for part in parts)
    return train, *(some_clips(part, per_class, seed=0) for part in others)


def yardstick(classes, *, per_class=PER_CLASS, copies=True):
    """The clips of some classes, and a judge taught on them."""
    train, validation, test = load_clips(classes, per_class)
    learned = with_copies(train) if copies else train
    near = nearest_distance(test, learned) if copies else np.zeros(0)
    judge = teach(together([train, validation])) if len(classes) > 1 else None
    reference = log_mel_features(test.waveforms, sample_rate=train.sample_rate)
    return Yardstick(train, validation, test, learned, near, judge, reference)


def teach(clips):
    """A judge of the classes of some clips."""
    rate, count = clips.sample_rate, len(clips.classes)
    options = dict(sample_rate=rate, num_classes=count, seed=0)
    return train_judge(clips.waveforms, clips.labels, **options)


def wanted(yard, *, per_class, seed):
    """Labels, and pitches of random training clips, (n,) each."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(yard.train.classes)), per_class)
    midi = [rng.choice(yard.train.midi[yard.train.labels == label]) for label in labels]
    return labels, np.array(midi)


def score(yard, waveforms, labels, midi=None):
    """{figure: number} of sounds that should be of some classes and pitches."""
    rate, x = yard.train.sample_rate, np.asarray(waveforms)
    found = {
        "frechet": frechet_distance(log_mel_features(x, sample_rate=rate), yard.reference),
        "diversity": diversity(SoundSet(x, labels, yard.train.classes, rate), yard.train),
    }
    if yard.judge is not None:
        found["class_accuracy"] = judge_accuracy(yard.judge, x, labels)
    if midi is not None:
        pitch = pitch_accuracy(x, midi, sample_rate=rate)
        found |= {f"pitch_{name}": value for name, value in pitch.items()}
    return {name: float(value) for name, value in found.items()}


def copied(yard, waveforms, labels):
    """{"copied": the share of copies}, where that was asked for; the search takes most of the time."""
    if not len(yard.near):
        return {}
    made = SoundSet(np.asarray(waveforms), labels, yard.train.classes)
    near = nearest_distance(made, yard.learned)
    copies = are_copies(near, labels, yard.near, yard.test.labels)
    return {"copied": float(copies.mean())}


def of_seeds(runs):
    """{figure: its values in all runs} of the runs' dictionaries."""
    return {name: [round(run[name], 5) for run in runs] for name in runs[0]}


def sampled(yard, model, *, per_class=PER_CLASS, seeds=SEEDS):
    """{figure: value of each seed} of a model's own sounds."""
    runs, first = [], {}
    for seed in seeds:
        labels, midi = wanted(yard, per_class=per_class, seed=seed)
        names = [yard.train.classes[label] for label in labels]
        made = compose(model, names, midi, seed=seed)
        first = first or copied(yard, made, labels)
        runs.append(score(yard, made, labels, midi if condition_of(model, "pitch") else None))
    return of_seeds(runs) | first


def remade(yard, model):
    """{figure: number} of the test clips, encoded and made again; nothing of a model that can't."""
    test = match_classes(yard.test, model)
    made = reconstruct(model, test)
    if made is None:
        return {}
    distances = np.asarray(multi_resolution_stft_distance(made, test.waveforms))
    sure = confidence(lambda kept: distances[kept].mean(), test.recordings)
    return {"distance_db": float(distances.mean()), "distance_db/±": float(sure)}


def likelihood(yard, model):
    """{"bits": …} of the test clips, of a model that gives probabilities."""
    parts = (match_classes(part, model) for part in (yard.train, yard.test))
    figures = model.figures(*parts)
    return {name: float(value) for name, value in figures.items() if name.startswith("bits")}


def cpu_seconds(function, *, calls=5, most=5.0):
    """CPU time of a call (s), the median of several; the first isn't counted. After so many seconds no more."""
    function()
    times = []
    while len(times) < calls and sum(times) < most:
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return float(np.median(times))


def speed(model):
    """{"ms" of one sound alone, "per_second": sounds a second, 32 at once}."""
    label = next(iter(model_classes(model)), None)
    told = sounds_told(model, label, np.array(60.0))
    told = {name: np.asarray(value).item() for name, value in told.items()}
    latents, sounds = (part_of(model, kind, told) for kind in ("latents", "sounds"))
    seconds = {}
    for count in (1, 32):
        z = sample_latents(model, count, rngs=nnx.Rngs(0), **latents)
        seconds[count] = cpu_seconds(
            lambda z=z: np.asarray(synthesize(model, z, **sounds)),
        )
    return {"ms": 1000 * seconds[1], "per_second": 32 / seconds[32]}


def model_row(yard, name, *, per_class=PER_CLASS, seeds=SEEDS):
    """Everything about one model."""
    model, info = load_model(name), model_info(name)
    facts = {key: info["about"].get(key) for key in ("minutes", "steps", "hardware")}
    row = dict(name=name, kind=info["model"], parameters=info["parameters"]) | facts
    row |= sampled(yard, model, per_class=per_class, seeds=seeds)
    return row | remade(yard, model) | likelihood(yard, model) | speed(model)


def prototypes(yard):
    """The training clip nearest to the mean of its class, one a class."""
    chosen = []
    for label in range(len(yard.train.classes)):
        clips = yard.train.waveforms[yard.train.labels == label]
        spectra = log_spectra(clips)
        chosen.append(clips[pairwise_distance(spectra, spectra.mean(0, keepdims=True)).argmin()])
    return np.stack(chosen)


def baseline_rows(yard, *, per_class=PER_CLASS):
    """What real clips, copies, one prototype a class, white noise and silence get."""
    rng, shape = np.random.default_rng(0), yard.test.waveforms.shape[1]
    labels = np.repeat(np.arange(len(yard.train.classes)), per_class)
    rows = [rng.choice(np.flatnonzero(yard.train.labels == label)) for label in labels]
    batches = {
        "new real clips (validation)": (yard.validation.waveforms, yard.validation.labels),
        "copies of training clips": (yard.train.waveforms[rows], labels),
        "one prototype a class": (prototypes(yard)[labels], labels),
        "white noise": (rng.uniform(-0.5, 0.5, (len(labels), shape)).astype(np.float32), labels),
    }
    known = {"copies of training clips": 1.0, "one prototype a class": 1.0}  # they are
    for name, batch in batches.items():
        row = dict(name=name) | of_seeds([score(yard, *batch)])
        if name.startswith("new real"):
            row |= copied(yard, *batch)
        yield row | ({"copied": known[name]} if name in known else {})
    distances = distance_baselines(yard.train, yard.test, nearest=yard.near)
    for name in ("nearest clip learned from", "class mean", "silence"):
        yield dict(name=name, distance_db=distances[name])


def classes_of(info):
    """The classes that a model can be asked for, by its file."""
    listed = [c["choices"] for c in info["conditions"] or () if c["kind"] == "class"]
    return tuple(sorted(listed[0])) if listed else ()


def class_sets(known):
    """The sets of classes that some model knows, the largest first, each with the models that know them."""
    sets = {classes_of(info) for info in known.values()} - {()}
    for classes in sorted(sets, key=lambda classes: (-len(classes), classes)):
        yield classes, [name for name, info in known.items() if {*classes} <= {*classes_of(info)}]


def measure_group(classes, able, *, per_class, seeds):
    """All models that know some classes, and the baselines, as plain data."""
    yard, rows = yardstick(classes, per_class=per_class), []
    for name in able:
        rows.append(model_row(yard, name, per_class=per_class, seeds=seeds))
        print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    counts = dict(test_clips=len(yard.test), learned_clips=len(yard.learned), per_class=per_class)
    baselines = [*baseline_rows(yard, per_class=per_class)]
    return dict(classes=classes) | counts | dict(models=rows, baselines=baselines)


def measure_table(quick):
    """All groups, as plain data."""
    groups = []
    for classes, able in class_sets(shipped()):
        per_class = 4 if quick else FEWER if groups else PER_CLASS
        seeds = SEEDS[:1] if quick else SEEDS
        groups.append(measure_group(classes, able, per_class=per_class, seeds=seeds))
    return groups


def lines_of(module, *words):
    """What a module of this folder prints, line by line, in a process of its own, on one thread."""
    environment = os.environ | {"XLA_FLAGS": ONE_THREAD}
    command = [sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"{module} ended with status {process.returncode}")


def stored():
    """What was measured before."""
    return json.loads(STORE.read_text("utf-8")) if STORE.exists() else {}


def store(**parts):
    """Replace parts of what was measured before."""
    text = json.dumps(stored() | parts, indent=1, ensure_ascii=False)
    STORE.write_text(text + "\n", "utf-8")


def shown(value, form):
    """A value, or the smallest and the largest of several, as text."""
    if value is None:
        return "–"
    ends = [format(end, form) for end in (np.min(value), np.max(value))]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def table(group):
    """One group as a section."""
    rows = []
    for row in [*group["models"], *group["baselines"]]:
        cells = [shown(row.get(key), form) for key, (_, form) in COLUMNS.items()]
        if "distance_db/±" in row:
            cells[0] += f" ± {row['distance_db/±']:.2f}"
        rows.append([row["name"], *cells])
    text = TEXT.format(count=group["per_class"], seeds=", ".join(map(str, SEEDS)))
    title = f"results: {len(group['classes'])} classes ({', '.join(group['classes'])})"
    return Section(title, text, ["", *(name for name, _ in COLUMNS.values())], rows)


def sections(quick):
    """The tables; unless quick, they are kept for the chapter, too."""
    (groups,) = lines_of("benchmarks.results", "quick" if quick else "full")
    if not quick:
        store(measured=facts(), groups=groups)
    return [table(group) for group in groups]


if __name__ == "__main__":
    print(json.dumps(measure_table(sys.argv[1] == "quick")))
