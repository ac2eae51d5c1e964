"""What starts quickly imports little: commands that make no sound do without JAX, and the others find it in time."""

import json
import subprocess
import sys

import pytest

SLOW = {
    "jax",
    "flax",
    "numpy",
    "matplotlib",
    "scipy",
    "soundfile",
    "av",
    "grain",
    "orbax",
    "IPython",
}
QUICK = {  # words: exit status
    "--help": 0,
    "train --help": 0,
    "--version": 0,
    "models": 0,
    "": 2,
    "sing": 2,
    "generate --sing": 2,
    "generate --count many": 2,
    "genrate": 2,
    "generate --pitch C4": 2,
    "generate --model conditional --pitch H4": 2,
    "generate --cuont 3": 2,
    "vary --help": 0,
    "morph kick.wav": 2,
    "morph kick.wav snare.wav --count 1": 2,
    "loop --help": 0,
    "loop --kik x...": 2,
    "spectrogram --help": 0,
    "demo --duration nan": 2,
    "train piano": 2,
    "generate --model missing": 2,
    "vary --model missing.safetensors": 2,
    "play song.mid --model missing": 2,
    "demo --model broken.safetensors": 2,
}


def run_and_list(words, folder):
    "Status, stderr and the modules imported, of the whole command in a process of its own."
    code = "import json, sys; from audiogen.__main__ import main; sys.argv[1:] = json.loads(sys.argv[1])\n"
    code += "status = main(); print(); print(json.dumps([status, *sys.modules]))"
    command = [sys.executable, "-c", code, json.dumps(words.split())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    status, *modules = json.loads(done.stdout.splitlines()[-1])
    return status, done.stderr, {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("words", QUICK)
def test_it_imports_nothing_that_takes_long(words, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"RIFF" + bytes(40))
    status, error, modules = run_and_list(words, tmp_path)
    assert (status, len(error.splitlines())) == (QUICK[words], int(status > 0))
    assert modules & SLOW == set()


def test_a_command_that_needs_jax_would_be_noticed(tmp_path):
    status, error, modules = run_and_list("generate --model untrained --duration 1e9", tmp_path)
    assert (status, {"jax", "numpy"} <= modules) == (2, True)


def test_modules_of_support_import_no_chapter():
    code = "import sys, audiogen.support.store, audiogen.support.cache; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("audiogen.")}
    assert ours == {
        "audiogen._modidx",
        "audiogen.support",
        "audiogen.support.store",
        "audiogen.support.cache",
    }
