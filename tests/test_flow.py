"""The flow on the command line and in the explorer: from one sound to another, and what is refused."""

import numpy as np
import pytest

from audiogen.explorer import explore, explorer_reply
from audiogen.generator import load_model
from audiogen.support.files import recording
from audiogen.waveform import load_audio


def test_a_recording_becomes_another_class(audiogen_alone, tmp_path):
    words = ["vary", recording("snare"), "--model", "flow", "--label", "organ", "--pitch", "A3"]
    made = {}
    for strength in ("0.05", "0.9"):
        out = tmp_path / strength
        status, _, err = audiogen_alone(
            *words, "--strength", strength, "--count", "1", "--out", out
        )
        assert status == 0, err
        made[strength] = load_audio(out / "snare-00.wav")[0]
    assert np.abs(made["0.05"] - made["0.9"]).max() > 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--guidance", "9"], "guidance is 9; want 0 to 8"),
        (["--steps", "0"], "steps is 0; want 1 to 200"),
        (["--time", "-0.1"], "time is -0.1; want 0 to 1"),
        (["--strength", "0.5"], "--strength"),  # it is about recordings
        (["--caption", "short bright pluck"], "--caption"),
        (["--label", "gong"], "no class is called 'gong'"),
    ],
)
def test_what_a_flow_cannot_be_told(audiogen, tmp_path, words, message):
    status, _, err = audiogen("generate", "--model", "flow", *words, "--out", tmp_path)
    assert status == 2 and err.count("\n") == 1 and message in err


def test_a_slider_moves_along_the_way_from_noise_to_sound():
    flow = load_model("flow")
    spec = explore(flow).spec
    assert ("time", 0, 1) in [(n["name"], n["low"], n["high"]) for n in spec["numbers"]]
    assert spec["settings"]["time"] == 1
    made = []
    for label, time in (("pluck", 0), ("brass", 0), ("pluck", 0.5), ("pluck", 1)):
        settings = spec["settings"] | dict(label=label, time=time)
        request = {"kind": "sound", "id": 1, "settings": settings}
        reply, (sound,) = explorer_reply(flow, request)
        made.append(np.frombuffer(sound, "<f4"))
        assert f", time={time}" in reply["python"]
    noise, other, halfway, sound = made
    np.testing.assert_allclose(noise, other, atol=1e-4)  # noise knows no class
    assert np.abs(halfway - noise).max() > 0.1
    assert np.abs(sound - halfway).max() > 0.1
