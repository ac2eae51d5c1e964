"""The reader's copy of the book: it has all that it refers to, and none of its cells stops a run."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from argparse import Namespace
from pathlib import Path

import pytest

from audiogen.cli import for_reader, lab_command, notebooks

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    "A folder with the copies."
    folder = tmp_path_factory.mktemp("book")
    list(lab_command(Namespace(folder=folder, only_copy=True)))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    "The folder that is packed into a wheel, and the names in a source archive."
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("settings.ini", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(REPO / name, source)
    for name in ("audiogen", "nbs"):
        shutil.copytree(REPO / name, source / name)
    for command in ("build_py", "--build-lib", built), ("sdist", "--dist-dir", built):
        subprocess.run(
            [sys.executable, "setup.py", "-q", *command],
            cwd=source,
            check=True,
            capture_output=True,
        )
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        return built / "audiogen", {name.partition("/")[2] for name in archive.getnames()}


def cells(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def references(path):
    "The local files that a notebook's text links to or shows."
    text = "\n".join(
        "".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"src=[\"']?([^\"'\s>]+)", text)
    return {target.partition("#")[0] for target in targets if not re.match(r"#|\w+:", target)}


def test_a_copy_has_what_it_refers_to(book):
    wanted = {name for path in book.glob("*.ipynb") for name in references(path)}
    assert {"explorer.png", "01_generator.ipynb"} <= wanted
    assert wanted - {path.name for path in book.iterdir()} == set()


def test_wheel_and_source_archive_have_what_the_chapters_refer_to(built):
    package, archived = built
    wanted = {name for path in notebooks() for name in references(path)} | {
        path.name for path in notebooks()
    }
    assert wanted - {path.name for path in (package / "notebooks").iterdir()} == set()
    assert wanted - {name.removeprefix("nbs/") for name in archived} == set()
    support = sorted((REPO / "audiogen/support").glob("*.py"))
    assert sorted(path.name for path in (package / "support").glob("*.py")) == [
        path.name for path in support
    ]
    assert {path.name for path in (package / "static").iterdir()} == {
        path.name for path in (REPO / "audiogen/static").iterdir()
    }


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)
def test_no_cell_of_a_copy_needs_what_is_not_there(book, path):
    "What the tests of the book never run, Run All doesn't run either; all else is there, in order, as it was."
    skipped = lambda cell: (
        cell["cell_type"] == "code"
        and re.search(r"^#\|\s*eval:\s*false", "".join(cell["source"]), re.M)
    )
    originals, copies = cells(path), cells(book / path.name)
    assert [cell["cell_type"] for cell in copies] == [
        "raw" if skipped(cell) else cell["cell_type"] for cell in originals
    ]
    assert not any(skipped(cell) for cell in copies)
    for original, copy in zip(originals, copies):
        unmarked = lambda cell: [
            line
            for line in "".join(cell["source"]).splitlines()
            if not line.startswith(("#|", "# Run All leaves", "# This takes"))
        ]
        assert unmarked(original) == unmarked(copy)
    assert for_reader(for_reader(path.read_text("utf-8"))) == for_reader(path.read_text("utf-8"))
