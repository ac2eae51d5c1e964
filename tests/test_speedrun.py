"""`audiogen speedrun` on a small folder of tones: the lines, the table, the page; and what it refuses."""

import json
import re

import numpy as np
import pytest

from audiogen.support.store import model_info
from audiogen.waveform import save_audio, sine


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    "Ten low and ten high tones of a tenth of a second."
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for label, octave in {"low": 0, "high": 2}.items():
        for n in range(10):
            frequency = 200 * 2 ** (octave + rng.uniform())
            x = 0.5 * sine(frequency, duration=0.1, sample_rate=16000)
            save_audio(folder / label / f"{n}.wav", x, sample_rate=16000)
    return folder


@pytest.fixture(scope="module")
def run(audiogen_alone, tones, tmp_path_factory):
    "A speedrun's folder, and what it printed."
    out = tmp_path_factory.mktemp("speedrun") / "run"
    words = ["speedrun", "--budget", 10, "--data", tones, "--seed", 3, "--out", out]
    status, printed, remarks = audiogen_alone(*words)
    assert status == 0, remarks
    return out, printed, remarks


def test_it_says_each_second_what_it_does(run):
    seconds = [int(found[1]) for found in re.finditer(r"^ *(\d+) s  \w", run[2], re.M)]
    assert len(seconds) >= 12  # ten of training, and what comes before and after
    assert seconds == sorted(seconds)
    steps = [
        int(found[1].replace(",", "")) for found in re.finditer(r"step ([\d,]+), loss", run[2])
    ]
    assert len(steps) >= 5 and steps == sorted(steps)
    assert "building the model and compiling" in run[2] and "measuring" in run[2]


def test_it_leaves_a_run_and_a_page(run):
    folder, printed, _ = run
    about = model_info(folder)["about"]
    assert about["command"].startswith("audiogen train spectral --data")
    assert "--seconds 10" in about["command"]
    figures = json.loads((folder / "evaluation.json").read_text())["new sounds"]
    assert about["metrics"]["new sounds"] == figures
    page = (folder / "index.html").read_text("utf-8")
    assert f"{figures['distance_db']:.2f}" in page and f"{figures['distance_db']:.2f}" in printed
    assert page.count("<audio") == 2 and "low" in page and "high" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # it fetches nothing
    for name in ("model.safetensors", "index.html"):
        assert printed.splitlines().count(str(folder / name)) == 1


def test_a_second_run_leaves_the_first_alone(run, audiogen):
    before = (run[0] / "index.html").read_bytes()
    status, _, remarks = audiogen("speedrun", "--budget", 10, "--out", run[0])
    assert status == 2 and "choose another --out" in remarks and remarks.count("\n") == 1
    assert (run[0] / "index.html").read_bytes() == before


@pytest.mark.parametrize(
    "words, said",
    [
        (["--budget", 2], "--budget is 2; want 10 or more seconds of training"),
        (["--budget", 0], "got 0; want a number above 0"),
        (["--budget", "soon"], "soon"),
        (["fast"], "'fast' is no kind of model; want "),
    ],
)
def test_bad_input_is_one_line(audiogen, tmp_path, words, said):
    status, printed, remarks = audiogen("speedrun", *words, cwd=tmp_path)
    assert (status, printed, remarks.count("\n")) == (2, "", 1)
    assert said in remarks
    assert not [*tmp_path.iterdir()]
