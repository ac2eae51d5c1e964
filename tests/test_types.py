"""What a type checker in a user's project sees of the package: each public name, and never `Any` or nothing."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import audiogen

ROOT = Path(__file__).resolve().parents[1]
USER = ROOT / "tests" / "typed" / "user.py"


COMMAND_LINE = {  # what it is made of, which nobody calls from Python
    f"audiogen.support.{name}"
    for name in "output recipes run_settings training_command speedrun manifest lab commands parser cli".split()
}


def public_names():
    "The chapters, the chosen names, and every other public name that can be had from `audiogen`."
    of_chapters = {
        name
        for name, module in audiogen._home.items()
        if name in getattr(import_module(module), "__all__", ()) and module not in COMMAND_LINE
    }
    return sorted({*audiogen.__all__, *of_chapters, *audiogen._modules} - {"support"})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A user's project: a program, a list of all names, and a slip of the pen."
    folder = tmp_path_factory.mktemp("project")
    lines = ["# pyright: basic", "import audiogen"]
    lines += [f"_{i} = audiogen.{name}" for i, name in enumerate(public_names())]
    (folder / "names.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "slip.py").write_text("import audiogen\n\naudiogen.sinus\n", encoding="utf-8")
    (folder / "user.py").write_text(USER.read_text("utf-8"), encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def run(*command, cwd):
    "What a checker prints."
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_mypy_knows_what_every_function_returns(project):
    cache = project / ".mypy_cache"
    files = [project / name for name in ("names.py", "slip.py", "user.py")]
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", "--no-pretty"]
    told = run("mypy", *options, "--cache-dir", cache, *files, cwd=ROOT).splitlines()
    assert [line for line in told if "slip.py" not in line] == []
    assert any('"sinus"' in line for line in told)


def test_pyright_knows_what_every_function_takes_and_returns(project):
    command = ["pyright", "--project", project, "--pythonpath", sys.executable, "--outputjson"]
    told = json.loads(run(*command, cwd=project))
    errors = [
        f"{Path(found['file']).name}:{found['range']['start']['line'] + 1}: {found['message']}"
        for found in told["generalDiagnostics"]
    ]
    assert told["summary"]["filesAnalyzed"] == 3
    assert [error for error in errors if not error.startswith("slip.py")] == []
    assert any('"sinus"' in error for error in errors)


def test_load_gives_a_model_for_each_name_of_a_shipped_one():
    assert sorted(audiogen._Shipped.__args__) == sorted(audiogen.models())
