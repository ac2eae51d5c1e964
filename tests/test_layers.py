"""The notebook's number is the layer of its module: modules import lower layers only, and importing them costs little."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import audiogen

REPO = Path(__file__).resolve().parents[1]
LAYER = {path.stem[3:]: int(path.stem[:2]) for path in (REPO / "nbs").glob("[0-9]*.ipynb")}
LAYER["cli"] = (
    max(LAYER.values()) + 1
)  # whatever its number: it plays and trains what any chapter has
MODULES = sorted(path.stem for path in (REPO / "audiogen").glob("[!_]*.py"))
SUPPORT = sorted(path.stem for path in (REPO / "audiogen/support").glob("[!_]*.py"))
BETWEEN = {"learning": 10}  # what stands between two chapters, behind this one


def imported_chapters(path):
    "The chapters that a module's file imports, wherever in it."
    names = imported_names(ast.parse(path.read_text()))
    found = (re.match(r"(?:audiogen)?\.+(\w+)", name) for name in names)
    return {match[1] for match in found if match} & LAYER.keys()


def imported_names(tree):
    "The dotted names that a program imports, wherever in it."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (
                f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names
            )


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_lower_layers_only(module):
    chapters = imported_chapters(REPO / f"audiogen/{module}.py")
    assert {name for name in chapters if LAYER[name] >= LAYER[module]} == set()


@pytest.mark.parametrize("module", SUPPORT)
def test_support_imports_no_chapters(module):
    chapters = imported_chapters(REPO / f"audiogen/support/{module}.py")
    assert {name for name in chapters if LAYER[name] > BETWEEN.get(module, -1)} == set()


def test_every_public_name_resolves():
    assert "SimpleAudioGenerator" in audiogen.__all__
    for name in dir(audiogen):
        getattr(audiogen, name)


def modules_after(statement):
    "The modules loaded by a statement in a fresh process, where any use of a JAX back end fails."
    command = [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"]
    environment = {**os.environ, "JAX_PLATFORMS": "none_such"}
    return set(
        subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout.split()
    )


def test_importing_the_package_is_cheap():
    assert not {"jax", "flax", "numpy", "matplotlib", "ipywidgets", "IPython"} & modules_after(
        "import audiogen"
    )


def test_importing_the_modules_is_cheap():
    assert not {"matplotlib.pyplot", "ipywidgets"} & modules_after(
        f"import {', '.join(f'audiogen.{module}' for module in MODULES)}"
    )


def test_use_of_a_backend_would_be_noticed():
    with pytest.raises(subprocess.CalledProcessError):
        modules_after("import jax.numpy; jax.numpy.zeros(1)")
