"""What several test files need: the console command, and bounds on random examples."""
import os, subprocess, sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("audiogen", deadline=None, max_examples=50, print_blob=True,
                          derandomize="CI" in os.environ, database=None)   # the gate tries the same examples each time; you try new ones
settings.load_profile("audiogen")


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    "Environment variables of a child process: compiled programs are kept, so that the next one starts sooner."
    cache = str(tmp_path_factory.mktemp("compiled"))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**inherited, "JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

@pytest.fixture(scope="session")
def popen(environment):
    "Start `audiogen` with these arguments."
    command = Path(sys.executable).with_name("audiogen")
    def popen(*arguments, **options):
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        return subprocess.Popen([command, *map(str, arguments)], **{**pipes, **options})
    return popen

@pytest.fixture(scope="session")
def audiogen(popen):
    "Run `audiogen` with these arguments to its end; its status, stdout and stderr."
    def audiogen(*arguments, **options):
        with popen(*arguments, **options) as process:
            out, err = process.communicate(timeout=300)
        return process.returncode, out, err
    return audiogen
