"""The reader's copy of the book: it has all that it refers to, and none of its cells stops a run."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from audiogen.support.lab import copy_notebooks, for_reader, notebooks

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    "A folder with the copies."
    folder = tmp_path_factory.mktemp("book")
    list(copy_notebooks(folder))
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


def place(path):
    "Where a notebook is in the book."
    return path.relative_to(notebooks()[0].parent)


def references(path):
    "The local files that a notebook's text links to or shows, by their places in the book."
    text = "\n".join(
        "".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"src=[\"']?([^\"'\s>]+)", text)
    local = {target.partition("#")[0] for target in targets if not re.match(r"#|\w+:", target)}
    return {os.path.normpath(place(path).parent / target) for target in local}


WANTED = {name for path in notebooks() for name in references(path)}


def test_notebooks_refer_to_each_other():
    assert {"explorer.png", "01_generator.ipynb", "support/cli.ipynb"} <= WANTED


def test_a_copy_has_what_it_refers_to(book):
    assert [name for name in WANTED if not (book / name).is_file()] == []


def test_wheel_and_source_archive_have_what_the_chapters_refer_to(built):
    package, archived = built
    wanted = WANTED | {place(path).as_posix() for path in notebooks()}
    assert [name for name in wanted if not (package / "notebooks" / name).is_file()] == []
    assert wanted - {name.removeprefix("nbs/") for name in archived} == set()
    for folder, pattern in {"support": "*.py", "static": "*"}.items():
        names = {path.name for path in (REPO / "audiogen" / folder).glob(pattern)}
        assert {path.name for path in (package / folder).glob(pattern)} == names


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: place(path).as_posix())
def test_no_cell_of_a_copy_needs_what_is_not_there(book, path):
    "What the tests of the book never run, Run All doesn't run either; all else is there, in order, as it was."
    skipped = lambda cell: (
        cell["cell_type"] == "code"
        and re.search(r"^#\|\s*eval:\s*false", "".join(cell["source"]), re.M)
    )
    originals, copies = cells(path), cells(book / place(path))
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
