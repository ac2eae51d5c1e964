"""What several test files need: the console command, bounds on random examples, a browser."""

import contextlib
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for what tests share with benchmarks

os.environ.setdefault("AUDIOGEN_CACHE", "off")  # no test writes to the user's home

from audiogen.support.cli import cli  # noqa: E402

settings.register_profile(
    "audiogen",
    deadline=None,
    max_examples=50,
    print_blob=True,
    derandomize="CI" in os.environ,
    database=None,
)  # the gate tries the same examples each time; you try new ones
settings.load_profile("audiogen")


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    "Environment variables of a child process: compiled programs are kept, so that the next one starts sooner."
    cache = str(tmp_path_factory.mktemp("compiled"))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        **inherited,
    }


@pytest.fixture(scope="session")
def popen(environment):
    "Start `audiogen` with these arguments."
    command = Path(sys.executable).with_name("audiogen")

    def popen(*arguments, **options):
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        return subprocess.Popen([command, *map(str, arguments)], **{**pipes, **options})

    return popen


@pytest.fixture(scope="session")
def audiogen_alone(popen):
    "Run `audiogen` with these arguments in a process of its own; its status, stdout and stderr."

    def audiogen_alone(*arguments, **options):
        with popen(*arguments, **options) as process:
            out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return audiogen_alone


@pytest.fixture(scope="session")
def audiogen(tmp_path_factory):
    """Run `audiogen` with these arguments in this process; its status, stdout and stderr.

    JAX is imported already, and compiled programs are at hand: most commands take a tenth of the
    time. What belongs to a process, such as signals and imports, needs `audiogen_alone`.
    """
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def audiogen(*arguments, cwd=elsewhere):
        out, err, path = io.StringIO(), io.StringIO(), [*sys.path]
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = cli([*map(str, arguments)])
        sys.path[:] = path
        if status == 130:  # whoever runs the tests pressed Ctrl-C
            raise KeyboardInterrupt
        return status, out.getvalue(), err.getvalue()

    return audiogen


@pytest.fixture
def interruptible():
    "Children get Ctrl-C; those of a background job would ignore it."
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def unexpected(err):
    "What stands on stderr besides the line about the rate and the length of a folder's clips."
    return "".join(line for line in err.splitlines(True) if " end within it): " not in line)


def wait_for(condition, process, *, seconds=300):
    "Wait until the condition holds, or the process ends; kill the process and fail after so long."
    end = time.monotonic() + seconds
    while process.poll() is None and not condition():
        if time.monotonic() > end:
            process.kill()
            raise TimeoutError(f"{process.args}: not so far after {seconds} s")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.001)


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
MISSING = ["Chromium"] * (CHROMIUM is None) + ["playwright"] * (
    importlib.util.find_spec("playwright") is None
)
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")


@pytest.fixture(scope="module")
def chromium():
    "A browser that makes sound without being touched first."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def watched(browser, address, **properties):
    "A page in a new window, and what it complains of or fetches from elsewhere."
    context, complaints = browser.new_context(**properties), []
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else complaints.append(request.url)
        ),
    )
    page.on(
        "response",
        lambda response: (
            complaints.append(f"{response.url}: {response.status}")
            if response.status >= 400
            else None
        ),
    )
    yield page, complaints
    context.close()
