"""The notebook's number is the layer of its module: modules import lower layers only, and importing them costs little."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import audiogen

REPO = Path(__file__).resolve().parents[1]
CHAPTERS = {path.stem[3:]: int(path.stem[:2]) for path in (REPO / "nbs").glob("[0-9]*.ipynb")}
# What guards and carries stands beneath the chapters, in this order …
BENEATH = """docs checks locks windows compiled blocks cache streams containers files scripts tables figures conditions pitches
    models strides store states runs midi loudness sf2_writer""".split()
BEHIND = {  # … or right behind the chapter that it needs …
    "players": "waveform",
    "lengths": "waveform",
    "clips": "waveform",
    "copies": "waveform",
    "folders": "waveform",
    "augment": "waveform",
    "attacks": "waveform",
    "lufs": "waveform",
    "library": "waveform",
    "soundfonts": "waveform",
    "rendering": "generator",
    "classes": "generator",
    "linear": "generator",
    "few": "generator",
    "draws": "generator",
    "mel": "stft",
    "pictures": "stft",
    "sliders": "stft",
    "recordings": "stft",
    "pitch": "stft",
    "voices": "stft",
    "captioned": "stft",
    "phrases": "stft",
    "rhythm": "stft",
    "tokens": "stft",
    "token_pictures": "stft",
    "judge": "stft",
    "reports": "stft",
    "coded": "spectral",
    "scoring": "metrics",
    "levels": "metrics",
    "contests": "training",
    "fitting": "training",
    "evaluation": "training",
    "encoding": "training",
    "points": "training",
    "grain": "spectral",
    "places": "spectral",
    "filling": "flow",
    "words": "source_filter",
    "obeyed": "source_filter",
    "learning": "source_filter",
    "prompts": "codec",
    "priors": "codec",
    "loops": "song",
    "slicing": "own_sounds",
}
# … and the command line above all of them: it plays and trains what any chapter has.
ABOVE = """output recipes run_settings training_command slice_command manifest kits lab page commands
    speedrun packing parser cli""".split()
LAYER = (
    CHAPTERS
    | {f"support.{name}": i - len(BENEATH) for i, name in enumerate(BENEATH)}
    | {
        f"support.{name}": CHAPTERS[chapter] + (i + 1) / 100
        for i, (name, chapter) in enumerate(BEHIND.items())
    }
    | {f"support.{name}": 100 + i for i, name in enumerate(ABOVE)}
)
MODULES = sorted(
    path.relative_to(REPO / "audiogen").with_suffix("").as_posix().replace("/", ".")
    for path in (REPO / "audiogen").rglob("[!_]*.py")
)


def imported_modules(tree, module):
    "The modules of the package that one of them imports, wherever in it: 'waveform', 'support.store'."
    folder = ["audiogen", *module.split(".")[:-1]]
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.removeprefix("audiogen.").split(".")
            if name.startswith("audiogen."):
                yield ".".join(parts[: 2 if parts[0] == "support" else 1])


def test_every_module_has_a_place():
    assert {*MODULES} <= LAYER.keys()


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_lower_layers_only(module):
    path = REPO / "audiogen" / f"{module.replace('.', '/')}.py"
    imported = {*imported_modules(ast.parse(path.read_text()), module)} & LAYER.keys()
    assert {name for name in imported if LAYER[name] >= LAYER[module]} == set()


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
