"""What a user types first: `import audiogen`, `audiogen.load(…)`, a name with a slip in it."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

import audiogen
from audiogen.generator import SimpleAudioGenerator, save_model
from audiogen.waveform import save_audio, sine


def test_the_chosen_names_are_few_and_there():
    assert 70 <= len(audiogen.__all__) <= 120
    assert len({*audiogen.__all__}) == len(audiogen.__all__)
    assert {"load", "models", "SimpleAudioGenerator", "VOICES", "train"} <= {*dir(audiogen)}
    for name in audiogen.__all__:
        getattr(audiogen, name)


def test_chosen_names_are_public_in_their_chapter():
    for chapter, names in audiogen._chosen.items():
        module = import_module(f"audiogen.{chapter}")
        assert {*names.split()} <= {*module.__all__}, chapter


def test_other_public_names_stay_in_reach():
    assert audiogen.num_frames is audiogen.stft.num_frames
    assert audiogen.shipped_models is audiogen.support.store.shipped_models
    assert "mel_filters" not in dir(audiogen)


def test_a_star_import_gives_the_chosen_names():
    code = "from audiogen import *; print(len(models()), load.__name__, VOICES['kick'][0].__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    count = len(audiogen.models())
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{count} load kick\n", "")


@pytest.mark.parametrize(
    "slip, meant",
    [
        ("load_audo", "load_audio"),
        ("voices", "VOICES"),
        ("SimpleAudioGenerater", "SimpleAudioGenerator"),
        ("Wavenett", "WaveNet"),
        ("mel_filter", "mel_filters"),  # not among the chosen names
        ("wavform", "waveform"),  # a module
    ],
)
def test_a_misspelt_name_gets_a_hint(slip, meant):
    with pytest.raises(AttributeError) as error:
        getattr(audiogen, slip)
    want = f"module 'audiogen' has no attribute {slip!r}; did you mean {meant}?"
    assert str(error.value) == want


@pytest.mark.parametrize("name", ["qqqqq", "_privat", "__path_"])
def test_a_name_like_no_other_gets_none(name):
    with pytest.raises(AttributeError) as error:
        getattr(audiogen, name)
    assert str(error.value) == f"module 'audiogen' has no attribute {name!r}"


def test_models_are_the_shipped_ones():
    assert {"spectral", "vae", "conditional", "wavenet"} <= {*audiogen.models()}
    assert audiogen.models() == list(audiogen.shipped_models())


@pytest.fixture
def files(tmp_path):
    "A run's folder, a model's file under two names, a sound."
    model = SimpleAudioGenerator(duration=0.05, latent_dim=4, hidden_dims=(8,), rngs=nnx.Rngs(0))
    (tmp_path / "run").mkdir()
    for name in ("run/model.safetensors", "mine.safetensors", "mine"):
        save_model(tmp_path / name, model)
    x = 0.5 * sine(440.0, duration=0.1, sample_rate=8000)
    save_audio(tmp_path / "kick.wav", x, sample_rate=8000)
    return tmp_path


@pytest.mark.parametrize("name", ["run", "run/model.safetensors", "mine.safetensors", "mine"])
def test_load_gives_a_model(files, name):
    model = audiogen.load(files / name)
    assert (type(model), model.latent_dim) == (SimpleAudioGenerator, 4)
    assert type(audiogen.load(str(files / name))) is SimpleAudioGenerator


def test_load_gives_a_shipped_model():
    assert isinstance(audiogen.load("vae"), audiogen.AudioVAE)


def test_load_gives_a_sound(files):
    waveform, sample_rate = audiogen.load(files / "kick.wav")
    assert (waveform.shape, sample_rate) == ((800,), 8000)
    np.testing.assert_allclose(np.abs(waveform).max(), 0.5, atol=0.01)


@pytest.mark.parametrize(
    "name, error, words",
    [
        ("kik", FileNotFoundError, "no such file, and no shipped model"),
        ("kik.wav", FileNotFoundError, "kik.wav"),
        ("kik.safetensors", FileNotFoundError, "kik.safetensors: no such file"),
        ("empty", ValueError, "no model.safetensors in this folder"),
        ("notes.txt", ValueError, "notes.txt"),
        ("broken.safetensors", ValueError, "not a model's file"),
    ],
)
def test_load_says_what_is_wrong(tmp_path, monkeypatch, name, error, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("a shopping list")
    (tmp_path / "broken.safetensors").write_bytes(b"\x20" + bytes(30))
    with pytest.raises(error, match=words):
        audiogen.load(name)


def test_the_readme_makes_a_kick_and_reads_it_again(tmp_path, monkeypatch):
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(block, names)
    assert names["sample_rate"] == 16000
    kick = names["kick"]
    assert kick.shape == (8000,)
    power = np.abs(np.fft.rfft(kick)) ** 2  # 2 Hz a bin
    assert power[:200].sum() > 0.8 * power.sum()  # of white noise, a twentieth lies below 400 Hz
    assert np.square(kick[:2000]).sum() > 3 * np.square(kick[-2000:]).sum()
    assert (tmp_path / "kick.png").stat().st_size > 10_000
