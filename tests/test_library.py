"""More sounds than the memory holds: the same batches as from memory, whatever is stopped, full, or done twice."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from flax import nnx

from audiogen.generator import load_model
from audiogen.sounds import batch_source, detune, load_folder, make_sounds, split_sounds
from audiogen.spectral import recipe
from audiogen.support import fitting, library
from audiogen.support.clips import StoredClips, in_memory
from audiogen.support.fitting import (
    copy_steps,
    fit,
    prepare_stored,
    some_copies,
    with_copies,
)
from audiogen.support.library import ReadAhead, load_library
from audiogen.support.runs import read_log
from audiogen.waveform import save_audio

SHAPE = dict(sample_rate=16000, duration=0.2)
CLASSES = ("kick", "hat", "brass")
ALONE = dict(batch_size=8, host=0, hosts=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "Forty-five sounds, two of them equal, and a file that is none."
    made = make_sounds(CLASSES, per_class=15, duration=0.2)
    place = tmp_path_factory.mktemp("sounds")
    for i, x in enumerate(made.waveforms):
        label = made.classes[made.labels[i]]
        (place / label).mkdir(exist_ok=True)
        save_audio(place / label / f"{i:02}.wav", x, sample_rate=16000)
    (place / "hat" / "copy.wav").write_bytes((place / "hat" / "20.wav").read_bytes())
    (place / "hat" / "broken.wav").write_bytes(b"RIFF")
    return place


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "libraries"


@pytest.fixture
def stored(folder, cache):
    return load_library(folder, **SHAPE)


@pytest.fixture
def many(stored):
    "The same, taken for a large set: copies are detuned clips, not the variations of a small one."
    return replace(stored, lengths=None)


def libraries(cache):
    "What is in the cache besides the files that were locked."
    return [path for path in cache.iterdir() if ".lock" not in path.name]


def rows(sounds):
    return np.asarray(sounds.waveforms)


def weights(model):
    return [np.asarray(x) for x in jax.tree.leaves(nnx.state(model))]


def losses(out):
    return [record["loss"] for record in read_log(out)]


def test_the_same_set_as_in_memory(folder, stored):
    usual = load_folder(folder, **SHAPE)
    np.testing.assert_allclose(rows(stored), usual.waveforms, atol=0.51 / 32767)
    for name in ("labels", "midi", "group", "lengths"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(usual, name))
    assert (stored.classes, stored.skipped) == (usual.classes, usual.skipped)
    assert len(stored.skipped) == 1 and "broken.wav" in stored.skipped[0]
    assert stored.notes[:-1] == usual.notes  # among them the one on copies
    for ours, theirs in zip(split_sounds(stored)[1:], split_sounds(usual)[1:]):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert type(ours[name].waveforms) is StoredClips
            np.testing.assert_array_equal(ours[name].details["file"], theirs[name].details["file"])


def test_a_large_folder_is_stored_by_itself(folder, cache, monkeypatch):
    assert type(load_folder(folder, **SHAPE).waveforms) is np.ndarray
    assert not cache.exists()
    monkeypatch.setattr(library, "SHARE", 0)
    for shape in (SHAPE, dict(sample_rate=None, duration=None)):
        sounds = load_folder(folder, **shape)
        assert type(sounds.waveforms) is StoredClips
        assert (sounds.sample_rate, sounds.waveforms.shape) == (16000, (46, 3200))


@pytest.mark.parametrize("count", [3, 46])  # with few clips there are more copies of each
def test_copies_by_number(stored, count):
    some = stored[:count]
    everything = detune(in_memory(some), semitones=copy_steps(count))
    numbers = np.random.default_rng(0).permutation(len(everything))[:40]
    chosen = some_copies(some, numbers)
    for name in ("waveforms", "labels", "midi", "group", "lengths"):
        expected = getattr(everything, name)[numbers]
        np.testing.assert_array_equal(getattr(chosen, name), expected)
    np.testing.assert_array_equal(chosen.details["file"], everything.details["file"][numbers])


def test_batches_are_those_of_memory(many):
    model, _, streamed = prepare_stored(recipe, many, seed=3, **ALONE)
    arrays = recipe.targets(model, with_copies(in_memory(many)))
    expected = batch_source(arrays, seed=3, **ALONE)
    for step in (0, 1, 2, 50, 51):
        for name, values in expected[step].items():
            np.testing.assert_allclose(streamed[step][name], values, atol=5e-3)
    assert model.latents.directions[...].any()


@pytest.mark.parametrize("hosts", [1, 2])
def test_an_epoch_holds_each_clip_and_copy_once(many, hosts):
    seen = []

    def note(sounds, numbers):
        seen.extend(numbers)
        return some_copies(sounds, numbers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "some_copies", note)
        shares = [
            prepare_stored(recipe, many, seed=0, batch_size=10, host=host, hosts=hosts)[2]
            for host in range(hosts)
        ]
        seen.clear()
        per_host = [[] for _ in range(hosts)]
        for host, batches in enumerate(shares):
            for step in range(5 * len(many) // 10):
                batches.dataset[step]
            per_host[host], seen[:] = list(seen), []
    assert sorted(np.concatenate(per_host)) == list(range(5 * len(many)))
    assert sum(len({*part}) for part in per_host) == 5 * len(many)  # none on two hosts


def test_targets_that_look_at_other_clips_are_refused(many):
    def loudness_in_the_batch(model, sounds):
        peaks = np.abs(sounds.waveforms).mean(1)
        return recipe.targets(model, sounds) | {"loudness": peaks / peaks.mean()}

    def numbered(model, sounds):
        return recipe.targets(model, sounds) | {"number": np.arange(len(sounds))}

    for targets, name in ((loudness_in_the_batch, "loudness"), (numbered, "number")):
        with pytest.raises(ValueError, match=f"targets '{name}' of a clip depend on the other"):
            prepare_stored(replace(recipe, targets=targets), many, seed=0, **ALONE)


def test_a_fit_like_in_memory(many, tmp_path):
    for name, sounds in {"disk": many, "memory": in_memory(many)}.items():
        fit(recipe, sounds, out=tmp_path / name, steps=20)
    np.testing.assert_allclose(losses(tmp_path / "disk"), losses(tmp_path / "memory"), rtol=1e-3)
    assert losses(tmp_path / "disk")[-1] < losses(tmp_path / "disk")[0]


def test_the_sample_has_all_classes_and_is_bounded(many, monkeypatch):
    monkeypatch.setattr(fitting, "SAMPLE_ROWS", 60)
    monkeypatch.setattr(fitting, "SAMPLE_BYTES", 0)
    uneven = many[np.flatnonzero((many.labels > 0) | (np.arange(len(many)) < 1))]
    numbers = fitting.sample_numbers(uneven, seed=0)
    assert 60 <= len(numbers) <= 60 + 8 * 3
    counts = np.bincount(uneven.labels[numbers % len(uneven)])
    assert counts.min() == 5  # of the class with one clip: the clip and its copies


class Stopped(ReadAhead):
    "A Ctrl-C in step 7."

    def __getitem__(self, step):
        if step == 7:
            signal.raise_signal(signal.SIGINT)
        return super().__getitem__(step)


def test_resumed_to_the_same_bits(many, tmp_path, monkeypatch):
    whole = fit(recipe, many, out=tmp_path / "whole", steps=15)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(fitting, "ReadAhead", Stopped)
            with pytest.raises(KeyboardInterrupt, match="stopped after 8 steps"):
                fit(recipe, many, out=tmp_path / "halves", steps=15)
    finally:
        signal.signal(signal.SIGINT, before)
    halves = fit(recipe, many, out=tmp_path / "halves", steps=15, resume=True)
    for a, b in zip(weights(whole), weights(halves), strict=True):
        np.testing.assert_array_equal(a, b)
    assert losses(tmp_path / "whole") == losses(tmp_path / "halves")


def read_in_process(folder, results):
    sounds = load_library(folder, **SHAPE)
    results.put((len(sounds), float(np.abs(rows(sounds)).sum())))


def test_two_runs_at_once(folder, cache):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    runs = [context.Process(target=read_in_process, args=(folder, results)) for _ in range(2)]
    for run in runs:
        run.start()
    answers = [results.get(timeout=120) for _ in runs]
    for run in runs:
        run.join()
    assert answers[0] == answers[1] and answers[0][0] == 46
    assert len(libraries(cache)) == 1  # one library, nothing temporary


WAITS = """
import sys
from audiogen.support import library
whole = library.store_clips

def store_clips(*args, **settings):
    print("reads", flush=True)
    sys.stdin.readline()
    return whole(*args, **settings)

library.store_clips = store_clips
sounds = library.load_library(sys.argv[1], sample_rate=16000, duration=0.2)
print(len(sounds), sounds.waveforms.path.exists())
"""


def reader(folder):
    "A process that reads a folder, once it gets a line."
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", WAITS, folder], **pipes)


def test_the_second_run_waits_for_the_first(folder, cache):
    "It reads nothing itself, and so doesn't delete what the first has just built."
    first = reader(folder)
    assert first.stdout.readline() == "reads\n"
    second = reader(folder)
    warning = next(line for line in second.stderr if "UserWarning" in line)
    assert f"process {first.pid} on" in warning and "waiting for it" in warning
    assert first.communicate("go on\n", timeout=120)[0] == "46 True\n"
    assert second.communicate(timeout=120)[0] == "46 True\n"
    assert len(libraries(cache)) == 1


def test_a_killed_reader_is_not_waited_for(folder, cache):
    first = reader(folder)
    assert first.stdout.readline() == "reads\n"
    first.kill()
    first.communicate()
    with pytest.warns(UserWarning, match="an earlier run was stopped while reading"):
        assert len(load_library(folder, **SHAPE)) == 46


KILLED = """
import os, sys
from audiogen.support import library
whole, read = library.load_clip, []

def load_clip(*args, **settings):
    read.append(args)
    if len(read) == 20:
        os._exit(9)  # as if killed
    return whole(*args, **settings)

library.load_clip = load_clip
library.load_library(sys.argv[1], sample_rate=16000, duration=0.2)
"""


def test_a_killed_run_leaves_no_library_and_the_next_begins_anew(folder, cache):
    killed = subprocess.run([sys.executable, "-c", KILLED, folder], stderr=subprocess.DEVNULL)
    assert killed.returncode == 9
    assert [path.suffix for path in libraries(cache)] == [".part"]
    with pytest.warns(UserWarning, match="an earlier run was stopped while reading"):
        assert len(load_library(folder, **SHAPE)) == 46
    assert [path.suffix for path in libraries(cache)] == [""]


def test_ctrl_c_leaves_nothing(folder, cache, monkeypatch):
    def stop(x):
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "to_stored", stop)
    with pytest.raises(KeyboardInterrupt):
        load_library(folder, **SHAPE)
    assert libraries(cache) == []


class FullFile:
    "A file on a disk that has room for ten clips."

    def __init__(self, *args):
        self.file, self.room = open(*args), 10

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)


def test_a_disk_that_fills_up(folder, cache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(library, "open", FullFile, raising=False)
        with pytest.raises(OSError) as caught:
            load_library(folder, **SHAPE)
    line = str(caught.value)
    assert line.startswith(f"{cache}: couldn't be written (No space left on device)")
    assert "nothing was left there; make room" in line and "\n" not in line
    assert libraries(cache) == []
    assert len(load_library(folder, **SHAPE)) == 46  # once there's room


def test_a_disk_that_is_too_small_is_noticed_before(folder, cache, monkeypatch):
    usage = type("Usage", (), dict(free=1000))
    monkeypatch.setattr(library.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(library, "store_clips", None)
    with pytest.raises(ValueError, match="need 0.0 GB, the disk has 0.0 GB left; make room"):
        load_library(folder, **SHAPE)


def test_a_changed_file_is_read_anew(folder, cache):
    first = load_library(folder, **SHAPE)
    assert load_library(folder, **SHAPE).waveforms.path == first.waveforms.path
    os.utime(folder / "hat" / "20.wav", (time.time() + 5,) * 2)
    assert load_library(folder, **SHAPE).waveforms.path != first.waveforms.path
    assert load_library(folder, sample_rate=8000, duration=0.2).waveforms.shape == (46, 1600)


def test_nothing_is_kept_when_the_cache_is_off(folder, tmp_path):
    code = "import sys; from audiogen.support.library import load_library as load\n"
    code += "clips = load(sys.argv[1], sample_rate=16000, duration=0.2).waveforms\n"
    code += "assert abs(clips[3]).max() > 0.5; print(clips.path)"
    environment = os.environ | dict(AUDIOGEN_CACHE="off", TMPDIR=str(tmp_path))
    command = [sys.executable, "-c", code, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_memory_does_not_grow_with_the_folder(tmp_path, cache):
    "Reading four times as many files, and drawing batches from them, takes as much memory."
    peaks = []
    for count in (200, 800):
        files = tmp_path / str(count)
        files.mkdir()
        for i, x in enumerate(np.random.default_rng(0).uniform(-1, 1, (count, 8000))):
            soundfile.write(files / f"{i}.wav", x, 8000)
        tracemalloc.start()
        sounds = load_library(files, sample_rate=8000, duration=1.0)
        for start in range(0, count, 20):
            some_copies(sounds, np.arange(start, start + 20))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 600 * 8000 * 4 / 8  # of what the other clips would take


def test_the_command_line_trains_from_the_disk(folder, cache, tmp_path, monkeypatch, capsys):
    from audiogen.__main__ import main

    monkeypatch.setattr(library, "SHARE", 0)
    words = ["audiogen", "train", "spectral", "--data", str(folder), "--steps", "5"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path / "run")])
    assert main() == 0
    said = capsys.readouterr()
    assert "46 clips" in said.err and "are read from" in said.err
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert load_model(tmp_path / "run").sample_rate == 16000


def test_a_set_with_some_clips_left_out_stays_on_the_disk(stored):
    kicks = stored[stored.labels == 2]
    assert type(replace(kicks, midi=None).waveforms) is StoredClips
    np.testing.assert_array_equal(rows(kicks), rows(stored)[stored.labels == 2])
