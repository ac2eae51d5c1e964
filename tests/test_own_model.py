"""A model that the package has never heard of, in a file of its own, does whatever the package's models do."""

import csv
import json
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import unexpected, wait_for
from flax import nnx

import audiogen as package
from audiogen.explorer import explore, explorer_reply
from audiogen.generator import SimpleAudioGenerator, load_model, save_model, synthesize
from audiogen.support.cli import cli
from audiogen.support.conditions import Condition
from audiogen.support.runs import read_log
from audiogen.waveform import load_audio, save_audio, sine

MODEL = """
from dataclasses import dataclass
import jax.numpy as jnp
from flax import nnx
from audiogen import AudioModel, Condition, Recipe

@dataclass(frozen=True)
class Config:
    classes: tuple
    sample_rate: int
    duration: float
    latent_dim: int = 4

class Murmur(AudioModel):
    encodes = True

    def __init__(self, *, rngs, **settings):
        self.config = Config(**settings)
        classes = len(self.config.classes)
        self.embed = nnx.Embed(classes, 4, rngs=rngs)
        self.inner = nnx.Linear(self.num_samples, 4, rngs=rngs)
        self.outer = nnx.Linear(4, self.num_samples, rngs=rngs)

    @property
    def conditions(self):
        label = Condition("label", "class", "the class", ("sounds",), self.config.classes)
        bright = Condition("brightness", "number", "how bright", ("sounds",), low=0, high=1)
        return label, bright

    def __call__(self, z, label=0, brightness=0.5):
        x = jnp.tanh(self.outer(z + self.embed(jnp.asarray(label))))
        return x * jnp.asarray(brightness)[..., None]

    def encode(self, waveforms, label=0):
        return self.inner(waveforms)

def build(sounds, *, rngs):
    seconds = sounds.waveforms.shape[1] / sounds.sample_rate
    return Murmur(classes=sounds.classes, sample_rate=sounds.sample_rate, duration=seconds, rngs=rngs)

def targets(model, sounds):
    return {"x": sounds.waveforms, "label": sounds.labels}

def loss(model, batch, key):
    made = model(model.encode(batch["x"]), batch["label"], 1.0)
    return jnp.mean((made - batch["x"]) ** 2), {}

recipe = Recipe(build, targets, loss, batch_size=8)
"""

MELODY = (
    b"MThd\0\0\0\6\0\0\0\1\1\xe0"
    + b"MTrk\0\0\0\x0d"
    + bytes.fromhex(
        "00 90 45 64 83 60 80 45 00 00 ff 2f 00"  # an A, for a beat
    )
)


def test_no_line_of_the_package_names_it():
    folder = Path(package.__file__).parent
    assert not [path for path in folder.rglob("*.py") if "murmur" in path.read_text().lower()]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    "A folder with the model's file, and sounds of two classes."
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_model.py").write_text(MODEL)
    (folder / "a.mid").write_bytes(MELODY)
    for number, label in enumerate(("hum", "beep")):
        for i in range(12):
            f0 = 200 * (2 + number) * 2 ** (i / 24)
            x = sine(f0, duration=0.2, sample_rate=16000, amplitude=0.5)
            save_audio(folder / "kit" / label / f"{i}.wav", x, sample_rate=16000)
    return folder


@pytest.fixture
def run(home, monkeypatch, capsys):
    "Run words in that folder: status, stdout, stderr."
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(words):
        capsys.readouterr()
        status = cli(words.split())
        out, err = capsys.readouterr()
        return status, out, re.sub(r".*\r|\s*\d+%\|.*\n?", "", err)

    return run


@pytest.fixture(scope="module")
def trained(home, audiogen_alone):
    "The model, trained by one process."
    words = "train my_model:recipe --data kit --steps 6 --seed 1 --out run"
    status, out, err = audiogen_alone(*words.split(), cwd=home)
    assert status == 0, err
    return home / "run"


def test_training_is_interrupted_and_resumed(home, popen, audiogen_alone, interruptible):
    words = "train my_model:recipe --data kit --steps 300 --seed 1 --out again"
    log = home / "again" / "log.jsonl"
    with popen(*words.split(), cwd=home) as process:
        wait_for(lambda: log.exists() and log.stat().st_size, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "go on with `audiogen train my_model:recipe --out again --resume`" in err
    assert 0 < len(read_log(home / "again")) < 300
    status, _, err = audiogen_alone(*words.split(), "--resume", cwd=home)
    assert status == 0, err
    records = read_log(home / "again")
    assert [record["step"] for record in records] == [*range(300)]
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]


def test_generate_takes_its_words(run, trained):
    words = "generate --module my_model --model run --label beep --brightness 0.7 --count 2"
    status, out, err = run(words)
    assert (status, err) == (0, "")
    with open("sounds/manifest.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["label"], row["brightness"]) for row in rows] == [("beep", "0.7")] * 2
    assert "file,label,midi,seed,brightness" in Path("sounds/manifest.csv").read_text()
    loud, rate = load_audio("sounds/beep-01.wav")
    assert run(words.replace("0.7", "0.35 --force"))[0] == 0
    soft, _ = load_audio("sounds/beep-01.wav")
    np.testing.assert_allclose(soft, loud / 2, atol=1e-4)
    assert rate == 16000


@pytest.mark.parametrize(
    "words",
    [
        "vary --count 2 --label hum --out near",
        "vary kit/hum/3.wav --count 2 --brightness 0.5 --out near",
        "morph kit/hum/3.wav kit/beep/3.wav --count 3 --out between",
        "loop --hum x...x... --beep x. --out loop.wav",
        "demo --out shown",
        "evaluate --out judged",
    ],
)
def test_other_commands_take_it(run, trained, words):
    command, *rest = words.split()
    status, out, err = run(f"{command} --module my_model --model run {' '.join(rest)}")
    assert (status, unexpected(err)) == (0, "")
    if command == "evaluate":
        figures = json.loads(Path("judged/evaluation.json").read_text())["new sounds"]
        assert figures["distance_db"] > 0 and figures["generated_clips"] == 40
        assert "distance of reconstructions" in out
        before = Path("judged/evaluation.md").read_bytes()
        for more, said in ("", "evaluation.md: is there already"), ("--force", "no such folder"):
            words = f"evaluate --module my_model --model run --out judged --data missing {more}"
            status, out, err = run(words)
            assert status == 2 and said in err
        assert Path("judged/evaluation.md").read_bytes() == before


def test_help_shows_its_options(run, trained):
    status, out, err = run("generate --module my_model --model run --help")
    assert (status, err) == (0, "")
    assert "--brightness NUMBER" in out and "how bright: 0 to 1" in out
    assert "--label CLASS" in out and "beep, hum" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    {
        "generate --module my_model --model run --cutoff 3": "unrecognized arguments: --cutoff 3",
        "generate --module my_model --model run --pitch 60": "run can't be told --pitch",
        "generate --module my_model --model run --brightness 3": "brightness is 3; want 0 to 1",
        "generate --module my_model --model run --label gong": "no class is called 'gong'",
        "play a.mid --module my_model --model run --label hum": "Murmur can't play notes with a pi",
        "generate --module nowhere_at_all --model run": "no module nowhere_at_all in ",
        "generate --module my_model.py --model run": "no module my_model.py in ",
        "generate --module my/model --model run": "'my/model' is no module",
        "generate --module": "--module: expected one argument",
    }.items(),
)
def test_what_it_cannot_be_told_is_one_line(run, trained, words, reason):
    status, out, err = run(words)
    assert (status, out, err.count("\n")) == (2, "", 1) and reason in err, err


def test_without_its_module_the_message_says_what_to_do(audiogen_alone, trained, tmp_path):
    status, out, err = audiogen_alone("generate", "--model", trained, cwd=tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "its model is 'Murmur'" in err and "--module NAME" in err
    assert not [*tmp_path.iterdir()]


def test_it_is_saved_loaded_and_explored(run, trained, tmp_path):
    model = load_model(trained)
    z = np.ones((1, model.latent_dim), np.float32)
    told = dict(label="hum", brightness=0.25)
    x = synthesize(model, z, **told)
    save_model(tmp_path / "copy.safetensors", model)
    again = load_model(tmp_path / "copy.safetensors")
    assert again.config == model.config
    np.testing.assert_array_equal(synthesize(again, z, **told), x)
    widget = explore(model)
    numbers = {number["name"]: number for number in widget.spec["numbers"]}
    assert (numbers["brightness"]["low"], numbers["brightness"]["high"]) == (0, 1)
    assert widget.spec["settings"]["brightness"] == 0.5
    settings = widget.spec["settings"] | dict(brightness=0.8, label="beep", seed_a=3)
    request = {"kind": "sound", "id": 1, "settings": settings}
    for source in ("model", f"load_model({str(trained)!r})"):
        reply, (sound,) = explorer_reply(model, request, source=source)
        names = {"model": model}
        exec(reply["python"], names)
        np.testing.assert_array_equal(np.frombuffer(sound, "<f4"), names["x"])
        assert ("import my_model" in reply["python"]) == (source != "model")


# A reader's own mistakes


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    latent_dim: int = 4\n", "", "Murmur has no latent_dim"),
        ("(frozen=True)", "", "want a dataclass with @dataclass(frozen=True)"),
        ("return x * jnp.asarray(brightness)[..., None]", "return x[:, :7]", "__call__ returned"),
        ("jnp.mean((made - batch", "((made - batch", "want a scalar, such as the mean"),
        (", {}", "", "want a scalar and a dictionary of its parts"),
        ("Recipe(build, targets, loss", "Recipe(None, targets, loss", "build is None; want a fun"),
        ("Recipe(build, targets, loss", "Recipe(rule=loss", "missing 2 required positional arg"),
        ("recipe = Recipe", "recipes = Recipe", "recipe in {name} is None; want a Recipe"),
        ("low=0, high=1", "low=0", "brightness has no limits; want both"),
        ("import jax.numpy as jnp", "import jax.nump as jnp", "No module named 'jax.nump'"),
        ("def build(", "def build((", "SyntaxError"),
    ],
)
def test_a_mistake_is_one_line(run, home, old, new, reason):
    assert old in MODEL
    name = f"mistaken_{abs(hash((old, new)))}"
    (home / f"{name}.py").write_text(MODEL.replace(old, new))
    status, out, err = run(f"train {name}:recipe --data kit --steps 2 --out {name}")
    assert (status, out, unexpected(err).count("\n")) == (2, "", 1), err
    assert reason.replace("{name}", name) in err, err


def test_a_word_of_the_command_is_no_condition(run, home):
    class Counting(SimpleAudioGenerator):
        conditions = (Condition("count", "number", "how many", ("sounds",), low=0, high=1),)

    save_model(home / "counting.safetensors", Counting(duration=0.1, rngs=nnx.Rngs(0)))
    status, _, err = run("generate --model counting.safetensors")
    assert (status, err.count("\n")) == (2, 1) and "can't be told count, a word of" in err
