"""The notebook's number is the layer of its module: modules import lower layers only, and importing them costs little."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import audiogen

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / "audiogen"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for pattern in ("[!_]*.py", "support/[!_]*.py")
    for path in PACKAGE.glob(pattern)
)
# The command line stands above all chapters: it plays and trains what any of them has. These are its parts, in their order.
COMMAND_LINE = [
    f"support.{name}"
    for name in "output recipes run_settings training_command manifest lab commands parser cli".split()
]
CHAPTERS = {path.stem[3:]: int(path.stem[:2]) for path in (REPO / "nbs").glob("[0-9]*.ipynb")}
LAYER = (
    {module: -1 for module in MODULES if module.startswith("support.")}  # beneath all chapters
    | CHAPTERS
    | {module: 100 + i for i, module in enumerate(COMMAND_LINE)}
)


def imported_names(module):
    "The dotted names that a module imports from the package, wherever in it, without `audiogen.`."
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    package = ["audiogen", *module.split(".")[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            start = [*start, node.module] if node.module else start
            names = [".".join([*start, alias.name]) for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("audiogen.") for name in names if "audiogen." in name)


def imported_modules(module):
    "The modules of the package that a module imports."
    names = [*imported_names(module)]
    return {known for known in LAYER for name in names if f"{name}.".startswith(f"{known}.")}


def test_imports_are_found():
    assert {"demo", "support.store", "support.output"} <= imported_modules("support.commands")
    assert {"demo", "generator"} <= imported_modules("explorer")


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_lower_layers_only(module):
    modules = imported_modules(module)
    if LAYER[module] < 0:
        assert {name for name in modules if LAYER[name] >= 0} == set()
    else:
        assert {name for name in modules if LAYER[name] >= LAYER[module]} == set()


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
