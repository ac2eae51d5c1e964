"""The command `audiogen` as a user has it: the same bytes for a seed, one line for an error, whole files whatever happens."""

import csv
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import unexpected, wait_for
from flax import nnx
from safetensors.numpy import load_file, save_file

from audiogen.generator import SimpleAudioGenerator, save_model
from audiogen.support.cli import cli
from audiogen.support.store import model_info, shipped_models
from audiogen.waveform import save_audio, sine


def is_one_line(err):
    "Is this one line of error, in other words than Python's?"
    return re.fullmatch(r"audiogen: (?!None\b)\S.{5,400}\n", err) and not re.search(
        "Errno|Unable to allocate", err
    )


def contents(folder):
    "{name: bytes} of the visible files in a folder."
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def save_tones(folder, clips):
    "Short tones, {class: how many}, a semitone apart."
    for pitch, (label, count) in zip((200, 900), clips.items()):
        for i in range(count):
            x = sine(
                pitch * 2 ** (i / 12), duration=0.1 + 0.01 * i, sample_rate=8000, amplitude=0.5
            )
            save_audio(folder / label / f"{i}.wav", x, sample_rate=8000)
    return folder


# The same seed, the same bytes


@pytest.fixture(scope="module")
def demo(audiogen_alone, tmp_path_factory):
    "What `audiogen demo` writes."
    folder = tmp_path_factory.mktemp("demo")
    status, out, err = audiogen_alone("demo", "--out", folder)
    assert (status, err) == (0, "")
    made, hints = out.split("What next?\n")
    assert sorted(made.split()) == sorted(map(str, folder.iterdir()))
    assert [line.split("  #")[0].strip() for line in hints.splitlines()] == [
        "audiogen train spectral --data FOLDER",
        "audiogen page --model run",
        "audiogen pack --model run",
    ]
    return contents(folder)


@pytest.fixture(scope="module")
def demo_again(audiogen_alone, demo, tmp_path_factory):
    "What it writes when run again, and how long that takes (s)."
    folder, start = tmp_path_factory.mktemp("again"), time.monotonic()
    assert audiogen_alone("demo", "--out", folder)[0] == 0
    return contents(folder), time.monotonic() - start


def test_demo_writes_the_same_bytes_again(demo, demo_again):
    assert {"index.html", "walk.wav", "sounds.png"} < demo.keys()
    assert demo_again[0] == demo


@pytest.mark.parametrize("command", ["generate", "vary"])
def test_a_seed_stands_for_its_sounds(audiogen, audiogen_alone, tmp_path, command):
    for out, seed, run in ("a", 7, audiogen_alone), ("b", 7, audiogen), ("c", 8, audiogen):
        words = [command, "--seed", seed, "--count", 2, "--out", tmp_path / out]
        assert run(*words)[0] == 0
    a, b, c = (contents(tmp_path / out) for out in "abc")
    assert a == b and a.keys() == c.keys()
    assert len({*a.values(), *c.values()}) == 2 * len(a)


def test_a_word_without_effect_is_one_line(tmp_path, monkeypatch, capsys):
    words = ["generate", "--model", "conditional", "--label", "hat", "--words", "short", "--out"]
    for effect in (True, False):
        monkeypatch.setattr("audiogen.support.words.has_effect", lambda *_, effect=effect: effect)
        assert cli([*words, str(tmp_path / str(effect))]) == 0
        out, err = capsys.readouterr()
        assert out.endswith("manifest.csv\n") and (err == "") == effect
    assert is_one_line(err) and "audiogen: 'short' has no clear effect on hat" in err


# The table beside the sounds


def manifest(folder):
    return (folder / "manifest.csv").read_text().splitlines()


def test_a_table_keeps_its_rows(audiogen, tmp_path):
    words = ["generate", "--duration", 0.05, "--out", tmp_path]
    assert audiogen(*words, "--count", 3, "--seed", 1)[0] == 0
    (tmp_path / "sound-02.wav").unlink()
    assert audiogen(*words, "--count", 1, "--seed", 2, "--force")[0] == 0
    assert manifest(tmp_path) == [
        "file,label,midi,seed",
        "sound-01.wav,sound,,2",
        "sound-02.wav,sound,,1",
        "sound-03.wav,sound,,1",
    ]
    with open(tmp_path / "manifest.csv", "w") as file:
        file.write("note,file,label\nmine,sound-03.wav,hum\nelsewhere,sound-02.wav,hiss\n")
    assert audiogen(*words, "--count", 1, "--seed", 3, "--force")[0] == 0
    assert manifest(tmp_path) == [
        "file,label,midi,seed,note",
        "sound-03.wav,hum,,,mine",
        "sound-02.wav,hiss,,,elsewhere",
        "sound-01.wav,sound,,3,",
    ]


@pytest.mark.parametrize(
    "table", [b"name,label\na.wav,hum\n", b"file,label\na.wav,hum,more\n", b"\xff\xfe\x00", b""]
)
def test_what_is_no_table_stays(audiogen, tmp_path, table):
    (tmp_path / "manifest.csv").write_bytes(table)
    status, _, err = audiogen("generate", "--count", 1, "--out", tmp_path)
    assert status == 2 and is_one_line(err) and "choose another --out" in err
    assert contents(tmp_path) == {"manifest.csv": table}


# Bad input


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    "A folder of things that aren't what they seem."
    folder, rate = tmp_path_factory.mktemp("bad"), 16000
    tone = sine(440, duration=10, sample_rate=rate, amplitude=0.5)
    for suffix in "wav", "flac", "ogg", "mp3":
        save_audio(path := folder / f"cut.{suffix}", tone, sample_rate=rate)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    for name, value in ("nan", np.nan), ("infinite", -np.inf):
        soundfile.write(
            folder / f"{name}.wav",
            np.where(np.arange(1000) == 500, value, 0),
            rate,
            subtype="FLOAT",
        )
    soundfile.write(folder / "no-samples.wav", np.zeros(0), rate)
    save_audio(folder / "good.wav", tone, sample_rate=rate)
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "text").write_text("neither a sound nor a model\n")
    save_tones(folder / "beeps", {"low": 10, "high": 10})
    save_tones(folder / "single", {"low": 1})
    shutil.copytree(folder / "single" / "low", folder / "same" / "low")
    for i in range(9):
        shutil.copy(
            next((folder / "single" / "low").iterdir()), folder / "same" / "low" / f"copy-{i}.wav"
        )
    save_audio(folder / "silence" / "silent.wav", np.zeros(8000), sample_rate=rate)
    (folder / "others.csv").write_text("file,label\nnot-there.wav,low\n")

    save_model(
        model := folder / "good.safetensors", SimpleAudioGenerator(duration=0.01, rngs=nnx.Rngs(0))
    )
    header = b'{"w":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4000000000000000000]}}'

    def save(name, weights, model="SimpleAudioGenerator", config='{"duration": 0.01}'):
        save_file(weights, folder / name, {"model": model, "config": config})

    weights = load_file(model)
    (folder / "cut.safetensors").write_bytes(model.read_bytes()[:-1000])
    (folder / "header-lies.safetensors").write_bytes(
        struct.pack("<Q", 2**63) + model.read_bytes()[8:]
    )
    (folder / "sizes-lie.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    save("other.safetensors", weights, model="WaveNet")
    save("huge.safetensors", weights, config='{"hidden_dims": [1000000000, 1000000000]}')
    save("nan.safetensors", {name: w * np.nan for name, w in weights.items()})
    return folder


BAD_ARGUMENTS = {
    "": ["", "nonsense", "--bogus"],
    "spectrogram": [
        "",
        "missing",
        "empty",
        "text",
        "folder",
        "nan.wav",
        "infinite.wav",
        "no-samples.wav",
        "cut.wav",
        "cut.flac",
        "cut.ogg",
        "cut.mp3",
        "good.safetensors",
    ],
    "generate --model": [
        "missing",
        "empty",
        "text",
        "folder",
        "good.wav",
        "cut.safetensors",
        "header-lies.safetensors",
        "sizes-lie.safetensors",
        "other.safetensors",
        "huge.safetensors",
        "nan.safetensors",
    ],
    "demo": [
        "extra",
        "--bogus",
        "--dur 1",
        "--seed x",
        "--seed 1.5",
        "--seed 99999999999999999999999",
        "--out good.wav",
        "--out good.wav/deeper",
    ],
    "demo --duration": ["x", "0", "-1", "nan", "inf", "1e9", "1e300"],
    "generate --count": ["0", "-3", "1.5", "1000000000000", "99999999999999999999999"],
    "vary --scale": ["-1", "nan", "inf", "1e39", "1e300"],
    "generate --label": ["no-such-class"],
    "generate --model conditional": ["--pitch H4", "--pitch C4,", "--pitch C10", "--join text"],
    "generate --model conditional --label kick": ["--pitch C2,E2"],
    "generate": ["--pitch C4", "--cuont 3", "--join text.txt"],
    "vary": ["missing", "empty", "text", "folder", "nan.wav", "silence/silent.wav"],
    "vary good.wav": ["--model wavenet", "--model untrained", "--label kick", "good.wav"],
    "vary good.wav --model conditional": ["--words dark", "--label kick --pitch C2"],
    "morph": ["", "good.wav", "good.wav missing", "good.wav good.wav --count 1"],
    "loop": [
        "",
        "--kick x.y.",
        "--kick ....",
        "--piano x...",
        "--kick x --bpm 5",
        "--kick x --bpm nan",
        "--kick x --bars 0",
        "--kick x --bars 100000",
        "--kick x --seconds 0",
        "--kick x --seconds nan",
        "--kick x --seconds 1e6",
        "--kick x --seconds 8 --bars 2",
        "--kick ........x --seconds 0.1",
        "--kick x --out good.wav",
        "--kick x --out loop.txt",
        "--kick x --model untrained",
    ],
    "train": ["", "nonsense"],
    "train spectral --data": [
        "missing",
        "folder",
        "silence",
        "single",
        "same",
        "beeps --labels text",
        "beeps --labels others.csv",
        "drums --labels others.csv",
        "beeps --soundfont text",
        "fluidr3 --soundfont missing",
    ],
    "train spectral --data beeps": [
        "--steps 0",
        "--seconds nan",
        "--seconds 3 --steps 3",
        "--batch-size 0",
        "--out good.wav",
    ],
    "evaluate": ["--model missing", "--model untrained", "--model good.safetensors"],
    "spectrogram good.wav": [
        "--window 0",
        "--window -5",
        "--window 1000000000000",
        "--window 99999999999999999999999",
        "--hop 0",
        "--hop -1",
        "--hop 513",
        "--range 0",
        "--range -10",
        "--range nan",
        "--range inf",
        "--range 1e300",
        "--out good.wav",
    ],
}

BAD_COMMANDS = [
    f"{command} {bad}".strip() for command, arguments in BAD_ARGUMENTS.items() for bad in arguments
]


def stamps(folder):
    "{path: when a file was written} of all that is in a folder."
    return {path: path.is_file() and path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("command", BAD_COMMANDS)
def test_bad_input_gets_one_line_and_writes_nothing(audiogen, bad, command):
    before = stamps(bad)
    status, _, err = audiogen(*command.split(), cwd=bad)
    assert status == 2 and is_one_line(err), err
    assert stamps(bad) == before


def test_good_files_among_bad_ones_are_drawn(audiogen, bad, tmp_path):
    status, _, err = audiogen(
        "spectrogram", "missing", "good.wav", "text", "good.wav", "--out", tmp_path, cwd=bad
    )
    lines = err.splitlines(keepends=True)
    assert status == 2 and len(lines) == 2 and all(map(is_one_line, lines)), err
    assert contents(tmp_path).keys() == {"good.png", "good-2.png"}


# Training


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    return save_tones(tmp_path_factory.mktemp("tones"), {"low": 10, "high": 10})


@pytest.fixture(scope="module")
def train(tones):
    "The words that train a small model."
    return [
        "train",
        "spectral",
        "--data",
        tones,
        "--steps",
        60,
        "--batch-size",
        8,
        "--seed",
        7,
        "--out",
    ]


@pytest.fixture(scope="module")
def trained(audiogen_alone, train, tmp_path_factory):
    "The folder of a training run, and what it printed."
    folder = tmp_path_factory.mktemp("trained") / "run"
    status, out, err = audiogen_alone(*train, folder)
    assert (status, unexpected(err)) == (0, "")
    return folder, out


def model_content(run):
    "What a model's file holds, whatever the order."
    return {
        name: w.tobytes() for name, w in load_file(run / "model.safetensors").items()
    } | model_info(run)


def test_training_leaves_a_folder_that_says_it_all(trained):
    folder, out = trained
    assert {
        "model.safetensors",
        "command.json",
        "run.json",
        "log.jsonl",
        "loss.png",
        "evaluation.json",
        "evaluation.md",
        "sounds",
    } <= contents_of(folder)
    assert all(os.path.exists(line) for line in out.splitlines() if line.startswith(str(folder)))
    assert len((folder / "log.jsonl").read_text().splitlines()) == 60
    info = model_info(folder)
    assert sorted(info["config"]["classes"]) == ["high", "low"]
    figures = json.loads((folder / "evaluation.json").read_text())
    nearest = figures.pop("nearest recordings")
    assert len(nearest) == 40 and all(row["nearest"].endswith(".wav") for row in nearest)
    assert info["about"]["metrics"] == figures
    assert info["about"]["steps"] == 60 and str(folder.parent) not in json.dumps(info)
    for sound in (folder / "sounds").iterdir():
        assert np.isfinite(soundfile.read(sound)[0]).all()


def contents_of(folder):
    return {path.name for path in folder.iterdir()}


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(
    popen, audiogen_alone, train, trained, tmp_path
):
    with popen(*train, tmp_path / "run") as process:
        wait_for(
            lambda: (log := tmp_path / "run" / "log.jsonl").exists() and log.stat().st_size > 0,
            process,
        )
        process.kill()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert is_one_line(audiogen_alone(*train, tmp_path / "run")[2])  # nothing is overwritten
    status, _, err = audiogen_alone("train", "spectral", "--out", tmp_path / "run", "--resume")
    assert (status, unexpected(err)) == (0, "")
    assert model_content(tmp_path / "run") == model_content(trained[0])


def test_resuming_what_never_began_begins_it(audiogen, train, trained, tmp_path):
    status, _, err = audiogen(*train, out := tmp_path / "run", "--resume")
    assert (status, unexpected(err)) == (
        0,
        f"audiogen: {out}: no run there to resume; beginning one\n",
    )
    assert model_content(out) == model_content(trained[0])


def test_a_run_that_was_killed_before_its_first_checkpoint_has_its_settings(
    popen, audiogen_alone, train, trained, tmp_path
):
    with popen(*train, out := tmp_path / "run") as process:
        wait_for((out / "run.json").exists, process)
        process.kill()
    assert (out / "command.json").read_bytes() == (trained[0] / "command.json").read_bytes()
    status, _, err = audiogen_alone("train", "spectral", "--out", out, "--resume")
    assert (status, unexpected(err)) == (0, "")
    assert model_content(out) == model_content(trained[0])


def test_settings_without_a_run_are_resumed(audiogen, trained, tmp_path):
    shutil.copy(trained[0] / "command.json", tmp_path)  # killed between the two files
    status, _, err = audiogen("train", "spectral", "--out", tmp_path, "--resume")
    assert (status, unexpected(err)) == (
        0,
        f"audiogen: {tmp_path}: no run there to resume; beginning one\n",
    )
    assert model_content(tmp_path) == model_content(trained[0])


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_run_of_a_program_is_left_to_it(audiogen, tmp_path, resume):
    (tmp_path / "run.json").write_text("{}")
    status, _, err = audiogen("train", "spectral", "--out", tmp_path, *resume)
    fix = "begun by train() in Python; resume it there, or choose another --out"
    assert (status, err) == (2, f"audiogen: {tmp_path}: holds a run {fix}\n")
    assert contents(tmp_path) == {"run.json": b"{}"}


def test_a_run_that_was_killed_early_is_in_the_way(audiogen, train, tmp_path):
    for name in "run.json", "command.json":
        (tmp_path / name).write_text("{}")
    status, _, err = audiogen(*train, tmp_path)
    assert (
        status == 2
        and is_one_line(err)
        and f"`audiogen train spectral --out {tmp_path} --resume`" in err
    )


def test_a_finished_run_stays_as_it_is(audiogen, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    status, _, err = audiogen("train", "spectral", "--out", tmp_path / "run", "--resume")
    assert (status, unexpected(err)) == (0, "")
    assert model_content(tmp_path / "run") == model_content(trained[0])


def test_a_run_is_a_model(audiogen, trained, tmp_path):
    for out in "ab":
        assert (
            audiogen(
                "generate",
                "--model",
                trained[0],
                "--label",
                "high",
                "--count",
                2,
                "--out",
                tmp_path / out,
            )[0]
            == 0
        )
    assert contents(tmp_path / "a") == contents(tmp_path / "b") and contents_of(tmp_path / "a") == {
        "high-01.wav",
        "high-02.wav",
        "manifest.csv",
    }
    status, _, err = audiogen(
        "generate", "--model", trained[0], "--label", "middle", "--out", tmp_path
    )
    assert status == 2 and is_one_line(err) and "high" in err and "low" in err


OWN_RECIPE = """
from dataclasses import replace
from audiogen.spectral import recipe

def build(sounds, *, rngs):
    return recipe.build(sounds, rngs=rngs, hidden_dims=(16,), latent_dim=4)

small = replace(recipe, build=build, batch_size=8)
"""


def test_a_recipe_of_ones_own(audiogen_alone, tones, tmp_path):
    (tmp_path / "mine.py").write_text(OWN_RECIPE)
    words = ["train", "mine:small", "--data", tones, "--steps", 3, "--out", "run"]
    status, _, err = audiogen_alone(*words, cwd=tmp_path)
    assert (status, unexpected(err)) == (0, "")
    info = model_info(tmp_path / "run")
    assert info["config"]["latent_dim"] == 4
    assert info["about"]["command"].startswith("audiogen train mine:small ")
    assert json.loads((tmp_path / "run" / "command.json").read_text())["batch_size"] == 8
    status, _, err = audiogen_alone("train", "mine:none", "--out", "x", cwd=tmp_path)
    assert status == 2 and "none in mine is None; want a Recipe" in err
    assert not (tmp_path / "x").exists()


def test_what_fit_leaves_is_a_model_too(audiogen, tmp_path):
    from audiogen.sounds import make_sounds
    from audiogen.spectral import recipe
    from audiogen.support.fitting import fit

    sounds = make_sounds(("kick", "hat"), per_class=16, sample_rate=8000, duration=0.1)
    fit(recipe, sounds, out=tmp_path / "run", steps=2)
    words = "--model", tmp_path / "run", "--label", "hat", "--out", tmp_path / "out"
    status, _, err = audiogen("generate", *words)
    assert (status, err) == (0, "")
    assert "hat-04.wav" in contents_of(tmp_path / "out")
    status, _, err = audiogen("train", "spectral", "--out", tmp_path / "run", "--resume")
    assert status == 2 and "begun by train() in Python" in err


def test_evaluation_says_what_training_said(audiogen_alone, trained, tmp_path):
    status, out, err = audiogen_alone(
        "evaluate", "--model", trained[0], "--seed", 7, "--out", tmp_path
    )
    written = (tmp_path / "evaluation.md").read_text()
    assert (status, unexpected(err)) == (0, "") and written.partition("\n\n**The nearest")[0] in out
    for name in "evaluation.json", "evaluation.md":
        assert (tmp_path / name).read_bytes() == (trained[0] / name).read_bytes()


def test_a_wavenet_of_one_class(audiogen, tones, tmp_path):
    words = [
        "train",
        "wavenet",
        "--data",
        tones,
        "--classes",
        "low",
        "--steps",
        80,
        "--seed",
        7,
        "--out",
        tmp_path / "run",
    ]
    status, _, err = audiogen(*words)
    assert (status, unexpected(err)) == (0, "")
    info = model_info(tmp_path / "run")
    figures = info["about"]["metrics"]["new sounds"]
    assert (
        info["config"]["classes"] == ["low"]
        and "--classes low --steps 80" in info["about"]["command"]
    )
    assert 0 < figures["bits"] < 8
    assert (
        audiogen(
            "generate", "--model", tmp_path / "run", "--count", 2, "--out", tmp_path / "sounds"
        )[0]
        == 0
    )
    assert contents_of(tmp_path / "sounds") == {"sound-01.wav", "sound-02.wav", "manifest.csv"}
    status, _, err = audiogen(
        "train", "wavenet", "--data", tones, "--classes", "low,middle", "--out", tmp_path / "other"
    )
    assert status == 2 and is_one_line(err) and "no class 'middle'; want some of high, low" in err


def test_models_are_listed(audiogen):
    status, out, err = audiogen("models")
    assert (status, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines()[2:]] == list(shipped_models())


def test_heavy_chapters_are_imported_when_needed():
    code = "import sys, audiogen.support.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {
        "audiogen.sounds",
        "audiogen.metrics",
        "audiogen.training",
        "audiogen.spectral",
        "grain",
    } & {*loaded}


def test_training_imports_no_chapter_on_data():
    code = "import sys, audiogen.support.fitting; print(*(name for name in sys.modules if name.startswith('audiogen.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    chapters = {name for name in loaded if not name.startswith(("audiogen.support", "audiogen._"))}
    assert chapters == {"audiogen.training", "audiogen.generator", "audiogen.waveform"}


# Kills, signals, full disks, closed pipes


def files_after_kill(popen, folder, names, seconds):
    "Kill a demo at a random moment of its life, or of its writing, over files that hold b'old'; what they hold then."
    rng = random.Random(folder.name)
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"old")
    inode = {name: (folder / name).stat().st_ino for name in names}
    with popen("demo", "--out", folder, "--force") as process:
        if written := rng.choice([None, *names]):
            wait_for(lambda: (folder / written).stat().st_ino != inode[written], process)
        try:
            process.wait(timeout=rng.uniform(0, 0.005 if written else seconds))
        except subprocess.TimeoutExpired:
            process.kill()
    return contents(folder)


def test_a_kill_leaves_whole_files(popen, demo, demo_again, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda n: files_after_kill(popen, tmp_path / f"{n}", [*demo], demo_again[1]),
                range(8),
            )
        )
    for files in found:
        assert files.keys() == demo.keys()
        assert all(content in (b"old", demo[name]) for name, content in files.items())
    assert any(
        0 < [*files.values()].count(b"old") < len(demo) for files in found
    )  # some were killed in the act


def listed(folder):
    "The names of the files that a folder's table lists."
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return {row["file"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_one_line(popen, interruptible, tmp_path, name):
    with popen("generate", "--count", 5000, "--duration", 0.05, "--out", tmp_path) as process:
        wait_for((tmp_path / "sound-03.wav").exists, process)
        process.send_signal(number := getattr(signal, name))
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "audiogen: interrupted\n")
    sounds = contents_of(tmp_path) - {"manifest.csv"}
    assert {(tmp_path / sound).stat().st_size for sound in sounds} == {44 + 2 * 800}
    assert listed(tmp_path) == sounds


@pytest.fixture
def by_shell(environment):
    'Start `audiogen` with these arguments by a line for the shell, in which it is called "$@".'

    def by_shell(line, *arguments):
        command = [
            "sh",
            "-c",
            line,
            "sh",
            Path(sys.executable).with_name("audiogen"),
            *map(str, arguments),
        ]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    return by_shell


def test_nohup_is_heeded(by_shell, tmp_path):
    with by_shell(
        "trap '' HUP; exec \"$@\"", "generate", "--count", 40, "--duration", 0.05, "--out", tmp_path
    ) as process:
        wait_for((tmp_path / "sound-01.wav").exists, process)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate()
    assert (process.returncode, err, len(listed(tmp_path))) == (0, "", 40)


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_run_says_how_to_go_on(popen, interruptible, train, tmp_path, name, status):
    out = tmp_path / "a  run"  # to be copied as it is
    with popen(*[5000 if word == 60 else word for word in train], out) as process:
        wait_for(lambda: (log := out / "log.jsonl").exists() and log.stat().st_size > 0, process)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate()
    steps = len((out / "log.jsonl").read_text().splitlines())
    advice = f"stopped after {steps:,} steps; go on with `audiogen train spectral --out '{out}' --resume`"
    last = err.splitlines()[-1]  # before it stand lines about the data and the time
    assert (process.returncode, last) == (status, f"audiogen: interrupted: {advice}")
    assert f"{steps}.safetensors" in contents_of(out / "checkpoints")  # nothing is lost


JUPYTER = """
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
def asked(number, frame):
    time.sleep(0.5)                                                 # whoever is asked takes a while to answer
    (folder / "asked").touch()
    os._exit(3)
def terminated(number, frame):
    (folder / "terminated").touch()
    os._exit(0)
signal.signal(signal.SIGINT, asked)
signal.signal(signal.SIGTERM, terminated)
(folder / "ready").touch()
while True: signal.pause()
"""


@pytest.fixture
def lab(popen, environment, interruptible, tmp_path):
    "A process of `audiogen lab` in a group of its own, with a program in JupyterLab's place that has started."
    package = tmp_path / "packages" / "jupyterlab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(JUPYTER)
    path = os.pathsep.join(filter(None, (str(package.parent), environment.get("PYTHONPATH"))))
    with popen(
        "lab", tmp_path / "book", env=environment | {"PYTHONPATH": path}, start_new_session=True
    ) as process:
        try:
            wait_for((tmp_path / "book" / "ready").exists, process)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_jupyterlab_answers_ctrl_c_itself(lab, tmp_path):
    os.killpg(lab.pid, signal.SIGINT)
    _, err = lab.communicate(timeout=60)
    assert (lab.returncode, err) == (3, "")
    assert (tmp_path / "book" / "asked").exists()


def test_jupyterlab_is_stopped_with_the_command(lab, tmp_path):
    lab.terminate()
    _, err = lab.communicate(timeout=60)
    assert (lab.returncode, err) == (143, "audiogen: interrupted\n")
    assert (tmp_path / "book" / "terminated").exists()


def test_an_interrupt_during_the_imports_is_one_line():
    code = (
        "import builtins, sys; from audiogen import __main__ as m; real = builtins.__import__\n"
        "def importing(name, *a, **k):\n    if name == 'audiogen.support.cli': raise KeyboardInterrupt\n    return real(name, *a, **k)\n"
        "builtins.__import__ = importing; raise SystemExit(m.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "audiogen: interrupted\n")


def test_an_interrupt_lets_an_import_finish(tmp_path):
    (tmp_path / "half.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGINT)\nprint('whole')"
    )
    code = (
        "import signal, sys; from audiogen import __main__ as m; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "def run():\n    import half\n    while True: pass\n"
        "m.run = run; raise SystemExit(m.main())"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (
        130,
        "whole\n",
        "audiogen: interrupted\n",
    )


def test_an_interrupt_that_python_must_ignore_is_not_lost():
    code = (
        "import importlib, signal; from audiogen.__main__ import main; cli = importlib.import_module('audiogen.support.cli')\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Dying:\n    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "def busy(*words):\n    Dying()\n    while True: pass\n"
        "cli.run_command = busy; raise SystemExit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "audiogen: interrupted\n")


@pytest.fixture
def full_disk(tmp_path):
    "A folder on a disk of 24 kB, if this user may mount one."
    command = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", tmp_path]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield tmp_path if mounted else None
    if mounted:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("command", ["demo", "generate", "vary", "spectrogram good.wav"])
def test_a_full_disk_is_one_line(popen, environment, full_disk, bad, tmp_path, command):
    environment = {**environment, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    with popen(*command.split(), "--out", tmp_path, cwd=bad, env=environment) as process:
        if not full_disk:
            resource.prlimit(
                process.pid, resource.RLIMIT_FSIZE, (15_000, 15_000)
            )  # bytes in one file
        _, err = process.communicate()
    assert process.returncode == 2 and is_one_line(err), err
    sounds = contents_of(tmp_path) - {"manifest.csv"}
    for path in (tmp_path / sound for sound in sounds):
        assert path.suffix == ".wav" and path.stat().st_size == 44 + 2 * soundfile.info(path).frames
    assert command != "generate" or not sounds or listed(tmp_path) == sounds


@pytest.mark.parametrize("command", ["generate --count 1", "spectrogram good.wav", "--help"])
def test_a_closed_pipe_is_no_traceback(popen, bad, tmp_path, command):
    with popen(*command.split(), *["--out", tmp_path] * (command != "--help"), cwd=bad) as process:
        process.stdout.close()  # as in `audiogen … | true`
        err = process.stderr.read()
    assert err == "" or is_one_line(err), err


@pytest.mark.parametrize("command, files", [("generate", 21), ("vary", 22)])
def test_the_work_goes_on_when_nobody_reads(popen, tmp_path, command, files):
    with popen(command, "--count", 20, "--duration", 0.05, "--out", tmp_path) as process:
        first = process.stdout.readline()  # as in `audiogen … | head -1`
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, "")
    assert first.startswith(str(tmp_path)) and len(contents_of(tmp_path)) == files


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_obstacle(by_shell, tmp_path, closed):
    for count, expected in (2, 0), (0, 2):
        with by_shell(
            f'exec "$@" {closed}',
            "generate",
            "--count",
            count,
            "--duration",
            0.05,
            "--out",
            tmp_path,
        ) as process:
            out, err = process.communicate()
        assert process.returncode == expected
        assert bool(out) == (expected == 0 and " >&-" not in f" {closed}")
        if expected == 0 or "2>&-" in closed:
            assert err == ""
        else:
            assert is_one_line(err), err
    assert listed(tmp_path) == {"sound-01.wav", "sound-02.wav"}


def test_what_a_library_says_before_it_aborts_is_seen(popen, environment, tmp_path):
    with popen("demo", "--out", tmp_path, env=environment | {"XLA_FLAGS": "--nonsense"}) as process:
        _, err = process.communicate()
    assert process.returncode != 0 and "--nonsense" in err


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU")
@pytest.mark.parametrize(
    "command",
    ["generate", "train spectral --data drums --steps 2"],
)
def test_a_missing_device_is_one_line(popen, environment, tmp_path, command):
    with popen(
        *command.split(), "--out", tmp_path / "out", env=environment | {"JAX_PLATFORMS": "cuda"}
    ) as process:
        _, err = process.communicate()
    assert process.returncode == 2 and is_one_line(err), err
    assert "JAX_PLATFORMS is 'cuda'" in err and "set it to cpu" in err
    assert not (tmp_path / "out").exists()


WITHOUT_WARNINGS = """
import sys
from audiogen.support.cli import cli
print([cli(command.split()) for command in sys.argv[1:]])
"""


def test_no_warning_is_given(environment, bad, tmp_path):
    "Neither by the imports nor by these commands, for which a warning would be an error."
    shutil.copytree(bad / "beeps", tmp_path / "beeps")
    shutil.copy(bad / "good.wav", tmp_path)
    commands = [
        "models",
        "demo",
        "generate --model conditional",
        "vary",
        "spectrogram good.wav",
        "loop --kick x...x...",
        "morph beeps/low/0.wav beeps/high/0.wav --count 2",
        "lab --only-copy book",
        "train spectral --data beeps --steps 2 --batch-size 8",
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_WARNINGS, *commands],
        cwd=tmp_path,
        env=environment | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, unexpected(done.stderr)) == (0, "")
    assert done.stdout.splitlines()[-1] == str([0] * len(commands))


STATE = """
import contextlib, gc, io, logging, os, signal, sys, tempfile, threading, warnings
import audiogen
from audiogen.support.cli import cli
for name in dir(audiogen): getattr(audiogen, name)

def state():
    "What belongs to the process as a whole."
    files = {number: os.fstat(number)[:3] for number in range(3)}
    signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
    loggers = {name: (log.level, log.disabled, log.propagate, log.handlers[:], log.filters[:])
               for name, log in [("", logging.root), *logging.root.manager.loggerDict.items()] if hasattr(log, "level")}
    return dict(files=files, signals=signals, loggers=loggers, disabled=logging.root.manager.disable, environment=dict(os.environ),
                collects=gc.isenabled(), frozen=gc.get_freeze_count(), hooks=(sys.unraisablehook, sys.excepthook, threading.excepthook),
                warnings=warnings.filters[:], streams=(sys.stdin, sys.stdout, sys.stderr), errors=(sys.stdout.errors, sys.stderr.errors),
                folder=os.getcwd(), mask=(os.umask(0), os.umask(0o22))[0])

class Torn(io.StringIO):
    def __init__(self, error): super().__init__(); self.error = error
    def flush(self): raise self.error

train = f"train spectral --data {sys.argv[1]} --steps 3 --batch-size 8 --out run".split()
generate = "generate --count 2 --duration 0.05 --out sounds --force".split()
os.chdir(tempfile.mkdtemp())
cases = {"first": (train, None, 0), "success": (generate, None, 0), "trained": ([*train, "--resume"], None, 0), "help": (["--help"], None, 0),
         "error": (["generate", "--model", "missing"], None, 2), "closed": (generate, BrokenPipeError(32, "Broken pipe"), 0),
         "full": (generate, OSError(28, "No space left on device"), 2), "interrupt": (generate, KeyboardInterrupt(), 130)}
os.umask(0o22)
for name, (words, error, status) in cases.items():
    before = state()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(Torn(error) if error else io.StringIO()):
        found = cli(words)
    after = state()
    if name != "first": print(name, found == status, [key for key in before if before[key] != after[key]])
"""


def test_the_function_leaves_the_process_alone(tones, environment):
    done = subprocess.run(
        [sys.executable, "-c", STATE, tones], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{name} True []"
        for name in ("success", "trained", "help", "error", "closed", "full", "interrupt")
    ]


def test_an_error_without_anybody_to_tell(tmp_path):
    code = "import sys; from audiogen.support.cli import cli; sys.stderr = None; print(cli(['generate', '--model', 'missing']), sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2 None\n", "")


def test_a_full_standard_output_is_one_line(audiogen_alone, tmp_path):
    with open("/dev/full", "w") as full:
        status, _, err = audiogen_alone("generate", "--count", 1, "--out", tmp_path, stdout=full)
    assert status == 2 and is_one_line(err), err
