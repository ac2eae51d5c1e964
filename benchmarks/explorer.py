"""From a move in the explorer to its sound, in JupyterLab and on a page, in Chromium; also its picture for the book."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

import audiogen

from .common import Section, median_ms

TEXT = (
    "Time from a key pressed in the pad of `audiogen.explorer.explore` to the start of the new sound's AudioBufferSource, in JupyterLab in "
    "headless Chromium (message to the kernel, latent vector, synthesis, message back), and on a page without a kernel, where the "
    "decoder runs in JavaScript. Then the same for a key of the keyboard whose sound was computed ahead. The browser's own output "
    "latency comes on top."
)
CODE = "from audiogen.explorer import explore\nexplore({model!r})"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<div class="audiogen-page" data-model="conditional"></div><script type="module" src="static/page.js"></script></html>"""
WATCH = """
window.delays = []
window.pressed = NaN
addEventListener("keydown", event => { window.pressed = event.timeStamp }, true)
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when = 0) {
    window.played = [...this.buffer.getChannelData(0)]
    delays.push(performance.now() - pressed + 1000 * Math.max(0, when - this.context.currentTime))
    start.call(this, when)
}
"""


def one_cell(code):
    """A notebook's text."""
    cell = dict(
        cell_type="code", id="0", metadata={}, source=code, execution_count=None, outputs=[]
    )
    kernel = dict(display_name="python3", language="python", name="python3")
    return json.dumps(
        dict(cells=[cell], metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5)
    )


@contextmanager
def lab(notebooks):
    """JupyterLab, with its settings in a folder of its own, and notebooks, {name: text}; a function from a name to its address."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in notebooks.items():
            Path(folder, name).write_text(text, "utf-8")
        own = {
            f"JUPYTER_{name}_DIR": f"{folder}/{name.lower()}"
            for name in ("CONFIG", "DATA", "RUNTIME")
        }
        own |= {
            "JUPYTERLAB_SETTINGS_DIR": f"{folder}/settings",
            "JUPYTERLAB_WORKSPACES_DIR": f"{folder}/workspaces",
            "IPYTHONDIR": f"{folder}/ipython",
        }
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            "--port=0",
            "--expose-app-in-browser",
            "--IdentityProvider.token=explorer",
            f"--ServerApp.root_dir={folder}",
            "--allow-root",
        ]
        with open(f"{folder}/log", "w") as log:
            server = subprocess.Popen(
                command,
                env={**os.environ, **own},
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield address(server, Path(folder))
        finally:
            os.killpg(server.pid, signal.SIGINT)
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def address(server, folder, patience=60):
    """Where notebooks are, once the server listens."""
    for _ in range(10 * patience):
        if server.poll() is not None:
            raise RuntimeError((folder / "log").read_text()[-2000:])
        for path in (folder / "runtime").glob("jpserver-*.json"):
            url = json.loads(path.read_text() or "{}").get("url")
            try:
                urllib.request.urlopen(f"{url}api/status?token=explorer").read()
                return lambda name: f"{url}lab/tree/{name}?token=explorer&reset"
            except (urllib.error.URLError, ValueError):
                pass
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab isn't up after {patience} s")


def chromium():
    """The browser's path, None if there is no such browser."""
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@contextmanager
def window(**properties):
    """A page of a browser that makes sound without being touched first, and what its console complains of."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page, complaints = (
            browser.new_page(**{"viewport": {"width": 1280, "height": 1000}, **properties}),
            [],
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.add_init_script(WATCH)
        yield page, complaints
        browser.close()


def run_all(page, url):
    """Open a notebook and run its cells."""
    page.goto(url)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=60_000,
    )
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")


@contextmanager
def explorer(model="spectral", **properties):
    """A page of JupyterLab in which the explorer has answered, and what its console complained of."""
    with (
        lab({"explorer.ipynb": one_cell(CODE.format(model=model))}) as url,
        window(**properties) as (page, complaints),
    ):
        run_all(page, url("explorer.ipynb"))
        page.wait_for_function(
            "document.querySelector('.audiogen-explorer .code')?.value", timeout=120_000
        )
        yield page, complaints


@contextmanager
def serve(folder):
    """The address of a folder, on this machine only."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def docs_page():
    """The same explorer on a page of its own, with the decoder in JavaScript, and what its console complained of."""
    package = Path(audiogen.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(package / "static", f"{folder}/static")
        shutil.copy(package / "weights/conditional.safetensors", f"{folder}/static")
        Path(folder, "index.html").write_text(PAGE, "utf-8")
        with serve(folder) as address, window() as (page, complaints):
            page.goto(address)
            page.wait_for_function("document.querySelector('.code')?.value")
            yield page, complaints


def delays(page, moves):
    """Seconds from key to sound, for each move."""
    pad = page.locator(".pad")
    for i in range(moves + 3):
        pad.press("ArrowRight" if i % 2 else "ArrowUp")
        page.wait_for_function(f"delays.length > {i}")
        page.wait_for_timeout(200)
    return np.array(page.evaluate("delays"))[3:] / 1000


def key_delays(page, presses):
    """Seconds from a piano key, whose sound was computed ahead, to its sound, for each press."""
    page.locator(".audiogen-explorer .title b").click()
    page.wait_for_timeout(5000)  # until the sounds of the keys around are there
    page.evaluate("delays.length = 0")
    for i in range(presses):
        page.keyboard.press("asdfghjk"[i % 8])
        page.wait_for_function(f"delays.length > {i}")
        page.wait_for_timeout(200)
    return np.array(page.evaluate("delays")) / 1000


MEASURED = [
    ("pad, JupyterLab", explorer, delays, "≤ 50"),
    ("pad, docs page", docs_page, delays, "≤ 15"),
    ("key, JupyterLab", partial(explorer, "conditional"), key_delays, "≤ 15"),
    ("key, docs page", docs_page, key_delays, "≤ 15"),
]


def sections(quick):
    """The table."""
    rows = []
    for place, opened, measure, aim in MEASURED:
        with opened() as (page, complaints):
            times = measure(page, 10 if quick else 30)
        assert complaints == [], complaints
        low, high = np.quantile(times, [0.05, 0.95])
        middle = f"**{median_ms(times)}**"
        rows.append([place, len(times), middle, f"{1000 * low:.3g}–{1000 * high:.3g}", aim])
    columns = ["what and where", "moves", "median, ms", "5–95 %, ms", "aim"]
    return [Section("explorer: moved to sounding", TEXT, columns, rows)]


def picture(path):
    """Write the explorer's picture."""
    size = {"width": 1200, "height": 1000}
    with explorer("conditional", device_scale_factor=1.5, viewport=size) as (page, _):
        page.get_by_label("Class", exact=True).select_option("brass")
        page.get_by_text("All controls").click()  # as a reader sees it first
        page.add_style_tag(content=".Toastify { display: none }")  # JupyterLab's own messages
        page.locator(".audiogen-explorer .pad").press("Shift+ArrowRight")
        page.locator(".audiogen-explorer .pad").press("Shift+ArrowUp")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(1500)
        page.locator(".audiogen-explorer").screenshot(path=path)


if __name__ == "__main__":
    picture(*sys.argv[1:])
