"""Experiments that the tutorial proposes: a chapter runs from top to bottom with another setting."""

import json
import os
import re
from pathlib import Path

import pytest
from execnb.nbio import dict2nb
from execnb.shell import CaptureShell

NBS = Path(__file__).resolve().parents[1] / "nbs"
SETTINGS = "sample_rate=16000, duration=0.5, latent_dim=32"  # as the chapters write them
CHANGES = {
    "two seconds": "sample_rate=16000, duration=2.0, latent_dim=32",
    "64 latent dimensions": "sample_rate=16000, duration=0.5, latent_dim=64",
    "22,050 Hz": "sample_rate=22050, duration=0.5, latent_dim=32",
    "deeper": f"{SETTINGS}, hidden_dims=(256, 512, 1024)",
}
ALL = {name: [*CHANGES] for name in ("01_generator", "02_variation", "04_demo")}
QUICK = {
    "01_generator": ["22,050 Hz"],
    "04_demo": ["64 latent dimensions"],
}
CHOSEN = ALL if "ALL_SETTINGS" in os.environ else QUICK  # all of them take minutes


def changed(name, old, new):
    "A chapter without the cells that its tests leave out, with one text in place of another."
    notebook = json.loads((NBS / f"{name}.ipynb").read_text("utf-8"))
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if not re.search(r"^#\|\s*(slow|eval:\s*false)", "".join(cell["source"]), re.M)
    ]
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert any(old in source for source in sources)
    for cell, source in zip(notebook["cells"], sources):
        cell["source"] = source.replace(old, new) if cell["cell_type"] == "code" else source
    return dict2nb(notebook)


@pytest.mark.parametrize(
    "name, change", [(name, change) for name, changes in CHOSEN.items() for change in changes]
)
def test_a_chapter_runs_with_another_setting(name, change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CaptureShell(NBS).run_all(changed(name, SETTINGS, CHANGES[change]), exc_stop=True)
