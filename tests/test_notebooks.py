"""The notebooks as files: what is stored in them is what was exported and cleaned, and fit to be published."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(
    path.relative_to(REPO / "nbs").as_posix()
    for pattern in ("*.ipynb", "support/*.ipynb")
    for path in (REPO / "nbs").glob(pattern)
)
CHAPTERS = [name for name in NOTEBOOKS if name[0].isdigit()]
MACHINE_PATH = re.compile(
    r"(?<![\w+/.])/(?:home|root|tmp|work|Users|var|opt|mnt|usr/lib|usr/local)/\S+"
)


def code_cells(name):
    return [
        cell
        for cell in json.loads((REPO / "nbs" / name).read_text())["cells"]
        if cell["cell_type"] == "code"
    ]


def stored_texts(name):
    "Whatever the outputs of a notebook say in words."
    for output in (output for cell in code_cells(name) for output in cell["outputs"]):
        yield "".join(output.get("text", ""))
        yield from (
            "".join(data)
            for mime, data in output.get("data", {}).items()
            if mime.startswith("text/")
        )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_cell_has_a_name_of_its_own(name):
    ids = [cell["id"] for cell in json.loads((REPO / "nbs" / name).read_text("utf-8"))["cells"]]
    assert sorted({*ids}) == sorted(ids)


@pytest.mark.parametrize("name", CHAPTERS)
def test_outputs_are_stored(name):
    assert any(cell["outputs"] for cell in code_cells(name))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_name_no_place_on_a_machine(name):
    assert [match[0] for text in stored_texts(name) for match in MACHINE_PATH.finditer(text)] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_imports_stand_alone(name):
    "What a cell needs from elsewhere is seen at a glance; the cell that installs the package on Colab is the exception."
    for source in ("".join(cell["source"]) for cell in code_cells(name)):
        if re.search(r"^#\|\s*export|^#\|\s*eval:\s*false|\A[%!]|^ *%pip", source, re.M):
            continue
        tree = ast.parse(source)
        imports = [
            node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        assert not imports or len(imports) == len(tree.body), source


def test_export_and_clean_change_nothing(tmp_path):
    "On a copy, `nbdev_export` and `nbdev_clean` write what is already there."
    for path in ("nbs", "audiogen", "settings.ini", "pyproject.toml", "setup.py", "README.md"):
        source, copy = REPO / path, tmp_path / path
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    for path in (tmp_path / "audiogen").rglob("[!_]*.py"):
        path.unlink()
    for command in ("nbdev_export", "nbdev_clean"):
        subprocess.run([Path(sys.executable).with_name(command)], cwd=tmp_path, check=True)
    for path in (
        REPO / "pyproject.toml",
        *(REPO / "nbs" / name for name in NOTEBOOKS),
        *(REPO / "audiogen").glob("*.py"),
        *(REPO / "audiogen/support").glob("*.py"),
    ):
        assert (tmp_path / path.relative_to(REPO)).read_bytes() == path.read_bytes(), path
