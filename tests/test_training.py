"""Training survives what can only be tried in another process: kill -9, a full disk, several devices, several processes."""

import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from audiogen.support.locks import locked_run
from audiogen.support.runs import read_log

STEPS = 10
CHILD = """
import hashlib, json, os, resource, signal, sys, time
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
from audiogen.support.runs import join_hosts
from audiogen.training import train

options = dict(resume=False, kill_at=0, full_at=-1, pause_at=-1, save_every=0) | json.loads(sys.argv[1])
out, events = options["out"], 0

def watch(event, arguments):
    "Count whatever Python does to files of the run, and die at the one that was asked for."
    global events
    if event.split(".")[0] in ("open", "os", "shutil") and any(str(a).startswith(out + "/") for a in arguments):
        events += 1
        if events == options["kill_at"]: os.kill(os.getpid(), signal.SIGKILL)

def limit_files(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

class Batches:
    def __getitem__(self, step):
        if step == options["full_at"]: limit_files(4096)
        if step == options["pause_at"]: print("pauses", flush=True); time.sleep(100)
        x = np.random.default_rng(step).normal(size=(8, 64)).astype(np.float32)
        mine = np.array_split(np.arange(8), jax.process_count())[jax.process_index()]
        return {"x": x[mine]}

def loss(model, batch, key):
    error = jnp.mean((model(batch["x"]) - jnp.flip(batch["x"], 1)) ** 2)
    noise = jax.random.normal(key, (64,))
    return error + 1e-2 * jnp.mean((model(noise) - noise) ** 2), {"error": error}

def run(model, **settings):
    train(model, loss, Batches(), out=out, steps=STEPS, save_every=options["save_every"], **settings)

join_hosts()
sys.addaudithook(watch)
restored = any(path.stem.isdecimal() for path in Path(out).glob("checkpoints/*"))
model = nnx.Linear(64, 64, rngs=nnx.Rngs(int(restored)))                    # what comes from a checkpoint doesn't depend on what it's given
try: run(model, resume=options["resume"], listen=lambda model, step: print("listen", step, flush=True))
except OSError as e:
    print(e)
    options["full_at"] = -1
    limit_files(resource.RLIM_INFINITY)
    run(model, resume=True)
weights = np.concatenate([np.ravel(w) for w in jax.tree.leaves(nnx.state(model))])
print(json.dumps({"digest": hashlib.sha256(weights).hexdigest(), "events": events, "devices": jax.device_count()}))
""".replace("STEPS", str(STEPS))


@pytest.fixture(scope="module")
def start(environment):
    "Start a child that trains."

    def start(out, *, variables=None, **options):
        command = [sys.executable, "-c", CHILD, json.dumps({"out": str(out), **options})]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | (variables or {}),
        )

    return start


def ends(*children):
    "What children say until they have ended well."
    try:
        answers = [child.communicate(timeout=100) for child in children]
    finally:
        for child in children:
            child.kill()  # SIGKILL: one that hangs in a collective ignores SIGTERM
    for child, (_, err) in zip(children, answers):
        assert (child.returncode, err) == (0, ""), err
    return [
        [line for line in out.splitlines() if not line.startswith("[Gloo]")] for out, _ in answers
    ]


def log_of(out):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in read_log(out)]


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    "A run that nothing has interrupted: its log, and what the child said of it."
    out = tmp_path_factory.mktemp("runs") / "whole"
    *heard, facts = ends(start(out))[0]
    assert heard == [f"listen {step}" for step in range(STEPS + 1)]
    assert [record["step"] for record in read_log(out)] == list(range(STEPS))
    return log_of(out), json.loads(facts)


def check_equal(out, answer, whole):
    log, facts = whole
    assert json.loads(answer)["digest"] == facts["digest"]
    assert log_of(out) == log
    steps = {path.name for path in (out / "checkpoints").iterdir()}
    assert steps == {
        f"{STEPS - 1}.safetensors",
        f"{STEPS}.safetensors",
    }  # and nothing half-written beside them


def test_killed_at_any_moment(start, whole, tmp_path):
    "Killed between two file operations, again and again, most often while a checkpoint is written."
    out, moments = tmp_path / "run", random.Random(0)
    two_checkpoints = 2 * whole[1]["events"] // (STEPS + 1)
    for attempt in range(5):
        child = start(out, resume=attempt > 0, kill_at=moments.randint(1, two_checkpoints))
        child.communicate(timeout=100)
        assert child.returncode == -signal.SIGKILL
    check_equal(out, ends(start(out, resume=True))[0][-1], whole)


def test_killed_from_outside(start, whole, tmp_path):
    out = tmp_path / "run"
    with start(out) as child:
        while child.stdout.readline() != "listen 3\n":
            assert child.poll() is None
        child.kill()
    assert 3 <= len(read_log(out)) < STEPS or child.returncode == 0
    check_equal(out, ends(start(out, resume=True))[0][-1], whole)


def test_full_disk_in_a_checkpoint(start, whole, tmp_path):
    "Files that can't grow beyond 4 kB stand for a disk that is full."
    out = tmp_path / "run"
    lines = ends(start(out, full_at=3))[0]
    message = [line for line in lines if line.startswith(str(out))]
    assert (
        len(message) == 1
        and "is the disk full? The last checkpoint is whole: make room, then resume" in message[0]
    )
    assert [line for line in lines if line.startswith("listen")] == [
        f"listen {step}" for step in range(4)
    ]
    check_equal(out, lines[-1], whole)


def check_close(out, answer, whole, devices):
    assert json.loads(answer)["devices"] == devices
    for one, many in zip(whole[0], log_of(out), strict=True):
        np.testing.assert_allclose(many["loss"], one["loss"], rtol=1e-5)
        np.testing.assert_allclose(many["gradient_norm"], one["gradient_norm"], rtol=1e-5)


def test_four_devices(start, whole, tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    check_close(
        tmp_path / "run",
        ends(start(tmp_path / "run", save_every=100, variables=flags))[0][-1],
        whole,
        4,
    )


def test_restored_on_other_numbers_of_devices(start, whole, tmp_path):
    "Killed on four devices, gone on with on one, killed, and ended on four."
    four = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    out, begun = tmp_path / "run", False
    for variables, last in ((four, 3), ({}, 6)):
        with start(out, variables=variables, resume=begun) as child:
            while child.stdout.readline() != f"listen {last}\n":
                assert child.poll() is None
            child.kill()
        begun = True
    check_close(out, ends(start(out, resume=True, variables=four))[0][-1], whole, 4)


def test_a_second_training_in_the_folder_is_refused(start, whole, tmp_path):
    "Nothing is lost, and when the first one is killed, the lock is free."
    out = tmp_path / "run"
    first = start(out, pause_at=4)
    assert "pauses\n" in iter(first.stdout.readline, "")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert any(path.name == "3.safetensors" for path in before)
    for resume in (False, True):
        second = start(out, resume=resume)
        _, err = second.communicate(timeout=100)
        expected = f"ValueError: {out}: process {first.pid} on {platform.node()}, since"
        assert second.returncode == 1 and err.splitlines()[-1].startswith(expected), err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    first.kill()
    first.communicate()
    *_, answer = ends(start(out, resume=True))[0]
    check_equal(out, answer, whole)
    assert (out / ".lock").exists() and not (out / ".lock.json").exists()


def test_the_command_is_refused_in_one_line(audiogen, audiogen_alone, tmp_path):
    out = tmp_path / "run"
    words = ("train", "spectral", "--data", tmp_path / "missing", "--out", out)
    with locked_run(out):
        for more in ((), ("--resume",)):
            status, said, line = audiogen_alone(*words, *more)
            assert (status, said, line.count("\n")) == (2, "", 1)
            assert f"{out}: process {os.getpid()} on" in line
            assert "trains there; wait until it ends, stop it, or choose another folder" in line
    assert not out.exists()
    status, said, line = audiogen(*words)
    assert status == 2 and "no such folder" in line and not out.exists()


def test_two_processes(start, whole, tmp_path):
    "Only the first one writes and listens; both end with the same weights."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    variables = [
        {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(i)}
        for i in range(2)
    ]
    first, second = ends(
        *(start(tmp_path / str(i), save_every=100, variables=v) for i, v in enumerate(variables))
    )
    check_close(tmp_path / "0", first[-1], whole, 2)
    assert first[:-1] == ["listen 0", f"listen {STEPS}"] and len(second) == 1
    assert json.loads(first[-1])["digest"] == json.loads(second[-1])["digest"]
    assert not (tmp_path / "1").exists()


SETTINGS = """
import logging, pathlib, signal, sys, tempfile, threading, warnings
import jax.numpy as jnp, numpy as np
from absl import logging as absl_logging
from flax import nnx
from audiogen.training import train

warnings.simplefilter("error")
def loss(model, batch, key): return jnp.mean(model(batch) ** 2), {}
class Batches:
    def __init__(self, signals=()): self.signals = dict(signals)
    def __getitem__(self, step):
        if step in self.signals: signal.raise_signal(self.signals[step])
        return np.ones((4, 2), np.float32)
def run(batches=Batches(), folder=None):
    folder = folder or pathlib.Path(tempfile.mkdtemp())
    train(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), loss, batches, out=folder, steps=4, save_every=0)
    return sorted(path.stem for path in (folder / "checkpoints").iterdir())
"""


def in_child(environment, code):
    "What a child prints that trains a small model by run(batches, folder)."
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS + code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_signals_are_handled_as_before(environment):
    code = """
for handler in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, lambda *_: None):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, handler)
    run()
    print([signal.getsignal(number) is handler or signal.getsignal(number) == handler for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
"""
    assert in_child(environment, code) == ["[True, True, True]"] * 4


def test_a_handler_of_the_program_gets_its_signal_between_two_steps(environment):
    code = """
folder = pathlib.Path(tempfile.mkdtemp())
def leave(number, frame): raise SystemExit(f"leaving with {sorted(p.stem for p in (folder / 'checkpoints').iterdir())}")
signal.signal(signal.SIGTERM, leave)
try: run(Batches({2: signal.SIGTERM}), folder)
except SystemExit as e: print(e)
got = []
signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
print(run(Batches({1: signal.SIGTERM, 3: signal.SIGTERM})), got == [signal.SIGTERM] * 2)
class Impatient(Batches):
    def __getitem__(self, step):
        if step == 1: signal.raise_signal(signal.SIGTERM)
        return super().__getitem__(step)
got.clear()
print(run(Impatient({1: signal.SIGTERM})), got == [signal.SIGTERM] * 2)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(run(Batches({1: signal.SIGINT})))
"""
    assert in_child(environment, code) == [
        "leaving with ['2', '3']",
        *["['3', '4'] True"] * 2,
        "['3', '4']",
    ]


def test_logging_is_left_as_it_was(environment):
    code = """
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logger = logging.getLogger("absl")
logger.disabled = True
logging.disable(logging.DEBUG)
before = logger.disabled, logger.level, logger.filters[:], logger.handlers[:], logging.root.manager.disable
threads = [threading.Thread(target=run) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(before == (logger.disabled, logger.level, logger.filters, logger.handlers, logging.root.manager.disable))
logger.disabled = False
class Talks(Batches):
    def __getitem__(self, step): absl_logging.warning(step); return super().__getitem__(step)
run(Talks())
"""
    assert in_child(environment, code) == ["True", "0", "0", "0", "1", "2", "3"]


def test_what_one_package_logs_is_dropped(environment):
    code = """
from audiogen.support.checks import quiet
with quiet("<string>"): logging.warning("dropped, and no handler is added")
print(logging.root.handlers, logging.root.filters)
logging.basicConfig(stream=sys.stdout, format="%(pathname)s")
def say(path): logging.root.handle(logging.makeLogRecord({"pathname": path, "levelno": logging.WARNING}))
with quiet("sf2utils"): say("/lib/sf2utils/sample.py"), say("/mine/tune.py")
say("/lib/sf2utils/sample.py")
"""
    assert in_child(environment, code) == ["[] []", "/mine/tune.py", "/lib/sf2utils/sample.py"]
