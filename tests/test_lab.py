"""The chapters, their sliders and the explorer in JupyterLab, with a kernel behind them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.support.lab import TAKES, for_reader
from benchmarks.explorer import CODE, chromium, delays, one_cell, run_all, window
from benchmarks.explorer import lab as jupyterlab

MISSING = ["Chromium"] * (chromium() is None) + [
    name for name in ("playwright", "jupyterlab") if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")

NOTEBOOKS = {
    path.name: path
    for path in sorted((Path(__file__).resolve().parents[1] / "nbs").glob("0[04]_*.ipynb"))
}  # the first chapter, and the one with sliders; nbdev_test runs all of them in a kernel
OUTPUTS = """() => {
    const cells = [...jupyterapp.shell.currentWidget.content.model.cells].map(cell => cell.toJSON()).filter(cell => cell.cell_type === "code" && cell.source.join?.("").trim() !== "")
    return { waiting: cells.filter(cell => cell.execution_count === null).length, errors: cells.flatMap(cell => cell.outputs).filter(output => output.output_type === "error").map(output => output.evalue) }
}"""

FOLDS = """() => jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type !== "markdown")
    .map(cell => [cell.model.sharedModel.source.includes("#| code-fold: true\\n"), cell.inputHidden])"""


def without_outputs(path):
    "A reader's copy as text, but for the cells that take long."
    notebook = json.loads(for_reader(path.read_text("utf-8")))
    notebook["cells"] = [cell for cell in notebook["cells"] if TAKES not in "".join(cell["source"])]
    for cell in notebook["cells"]:
        cell |= {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
    return json.dumps(notebook)


SLIDERS = "from audiogen.demo import sliders\nfrom audiogen.generator import load_model\nsliders(load_model('spectral'))"


def cells(*sources):
    "The text of a notebook of code cells."
    notebook = json.loads(one_cell(""))
    notebook["cells"] = [
        notebook["cells"][0] | {"id": str(i), "source": source} for i, source in enumerate(sources)
    ]
    return json.dumps(notebook)


@pytest.fixture(scope="module")
def jupyter():
    "A page, a function from a notebook's name to its address, and what the console complained of."
    notebooks = {
        "sliders.ipynb": one_cell(SLIDERS),
        "explorer.ipynb": one_cell(CODE.format(model="spectral")),
        "keys.ipynb": cells("'above'", CODE.format(model="conditional"), SLIDERS, "'below'"),
    }
    with (
        jupyterlab(
            notebooks | {name: without_outputs(path) for name, path in NOTEBOOKS.items()}
        ) as url,
        window() as (page, complaints),
    ):
        yield page, url, complaints


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_runs(jupyter, name):
    page, url, _ = jupyter
    run_all(page, url(name))
    assert page.evaluate(OUTPUTS) == {"waiting": 0, "errors": []}
    folds = page.evaluate(FOLDS)
    assert any(folded for folded, hidden in folds)
    assert all(folded == hidden for folded, hidden in folds)
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")


def test_sliders_answer_in_sound_and_picture(jupyter):
    page, url, _ = jupyter
    run_all(page, url("sliders.ipynb"))
    page.wait_for_selector(".widget-audio, .jupyter-widgets audio", timeout=120_000)
    state = "[document.querySelector('.jupyter-widgets audio, audio.jupyter-widgets').src, document.querySelector('img.widget-image').src]"
    before = page.evaluate(state)
    page.locator(".noUi-handle").first.press("ArrowRight")
    page.wait_for_function(
        f"before => {state}.every((source, i) => source !== before[i])", arg=before
    )
    assert page.evaluate(OUTPUTS)["errors"] == []


@pytest.fixture(scope="module")
def lab(jupyter):
    "A page in which the explorer has answered."
    page, url, complaints = jupyter
    complaints.clear()
    run_all(page, url("explorer.ipynb"))
    page.wait_for_function(
        "document.querySelector('.audiogen-explorer .code')?.value", timeout=120_000
    )
    yield page
    assert complaints == []


def test_what_sounds_is_what_the_line_of_python_makes(lab):
    lab.get_by_label("Class", exact=True).select_option("brass")
    lab.wait_for_function("document.querySelector('.code').value.includes(\"label='brass'\")")
    line = lab.locator(".code").input_value()
    delays(lab, 3)  # several moves, each with its sound
    assert lab.locator(".code").input_value() != line
    exec(lab.locator(".code").input_value(), scope := {})
    assert np.allclose(
        lab.evaluate("played"), scope["x"], atol=1e-4
    )  # another process, compiled anew


def test_a_fault_in_python_is_a_line_on_the_page(lab):
    seed = lab.get_by_label("Seed of Sound A")
    lab.evaluate(
        "document.querySelector('.audiogen-explorer [aria-label=Class]').append(new Option('harp', 'harp'))"
    )
    lab.get_by_label("Class", exact=True).select_option("harp")
    lab.wait_for_function(
        "document.querySelector('.status.wrong')?.textContent.includes('want one of kick')"
    )
    lab.get_by_label("Class", exact=True).select_option("kick")
    seed.fill("7")
    lab.wait_for_function("document.querySelector('.code').value.includes('seed_a=7')")
    assert lab.locator(".status").text_content() == ""


def test_a_drag_plays_another_sound_and_it_can_be_saved(lab, tmp_path):
    lab.locator(".pad").scroll_into_view_if_needed()
    state = "[window.played ?? null, document.querySelector('.audiogen-explorer canvas:not(.dots)').toDataURL()]"
    box, before = lab.locator(".pad").bounding_box(), lab.evaluate(state)
    lab.mouse.move(box["x"] + 20, box["y"] + 20)
    lab.mouse.down()
    lab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3, steps=5)
    lab.mouse.up()
    lab.wait_for_function(
        "document.querySelector('.code').value.includes('offsets=[0, 1]')"
    )  # where the drag ended
    with lab.expect_download() as download:
        lab.get_by_role("button", name="Save WAV").click()
    download.value.save_as(tmp_path / "saved.wav")
    x, rate = soundfile.read(tmp_path / "saved.wav")
    exec(lab.locator(".code").input_value(), scope := {})
    assert rate == 16000 and np.allclose(x, scope["x"], atol=2e-4)
    assert all(a != b for a, b in zip(before, lab.evaluate(state)))


NOTEBOOK = """() => { const { model, mode, activeCellIndex } = jupyterapp.shell.currentWidget.content
    return { mode, active: activeCellIndex, cells: [...model.cells].map(cell => [cell.type, cell.sharedModel.source]) } }"""


@pytest.fixture(scope="module")
def keyboard(jupyter):
    "A page with explorer and sliders between two cells."
    page, url, complaints = jupyter
    complaints.clear()
    run_all(page, url("keys.ipynb"))
    page.wait_for_function(
        "document.querySelector('.audiogen-explorer .code')?.value && document.querySelector('.noUi-handle')",
        timeout=120_000,
    )
    yield page
    assert complaints == []


def press_commands(page):
    "Keys that in JupyterLab insert, cut, delete, retype and copy cells, and undo."
    for key in ("a", "b", "x", "d", "d", "m", "y", "c", "v", "z", "Shift+m"):
        page.keyboard.press(key)


CLICKS = [
    ".title b",
    "canvas.spectrum",
    "canvas.wave",
    ".pad",
    "button.main",
    ".time",
    "button.key >> nth=0",
    ".status",
    ".rows",
    "[aria-label='A → B']",
    "footer .code",
]


@pytest.mark.parametrize("place", CLICKS)
@pytest.mark.parametrize("modifier", [[], ["Shift"]])
def test_keys_stay_in_the_explorer(keyboard, place, modifier):
    "In JupyterLab's command mode, A adds a cell and D D deletes one."
    keyboard.locator(f".audiogen-explorer {place}").scroll_into_view_if_needed()
    keyboard.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    before = keyboard.evaluate(NOTEBOOK)
    keyboard.locator(f".audiogen-explorer {place}").click(modifiers=modifier)
    keyboard.wait_for_function(
        "document.querySelector('.audiogen-explorer').contains(document.activeElement)"
    )
    press_commands(keyboard)
    assert keyboard.evaluate(NOTEBOOK) == before


def test_keys_play_after_a_choice_and_after_words(keyboard):
    before = keyboard.evaluate(NOTEBOOK)
    for choose in (
        lambda: keyboard.get_by_label("Class", exact=True).select_option("organ"),
        lambda: [keyboard.get_by_label("Words").fill("bright"), keyboard.keyboard.press("Enter")],
        lambda: [
            keyboard.get_by_label("Seed of Sound A").fill("5"),
            keyboard.keyboard.press("Enter"),
        ],
    ):
        choose()
        for key, pitch in ("k", 72), ("a", 60):
            keyboard.keyboard.press(key)
            keyboard.wait_for_function(
                f"document.querySelector('.code').value.includes('pitch={pitch}')"
            )
        press_commands(keyboard)
    assert keyboard.evaluate(NOTEBOOK) == before
    for part in ("label='organ'", "words='bright'", "seed_a=5"):  # when the last answer has come
        keyboard.wait_for_function(
            "part => document.querySelector('.code').value.includes(part)", arg=part
        )


MESSAGES = """() => { window.messages = { send: [], recv: [] }
    jupyterapp.shell.currentWidget.sessionContext.session.kernel.anyMessage.connect((_, { msg, direction }) => {
        const { kind } = msg.content.data?.content ?? {}
        if (kind) messages[direction].push(kind) }) }"""


def test_a_key_whose_sound_came_ahead_needs_no_message(keyboard):
    keyboard.evaluate(MESSAGES)
    keyboard.get_by_label("Class", exact=True).select_option("pluck")
    keyboard.locator(".audiogen-explorer .pad").hover()
    keyboard.wait_for_function("messages.recv.filter(kind => kind === 'note').length >= 24")
    assert set(keyboard.evaluate("messages.recv")) == {"sound", "note"}
    before = keyboard.evaluate("messages.send.filter(kind => kind === 'sound').length")
    keyboard.keyboard.press("d")
    keyboard.wait_for_function("document.querySelector('.code').value.includes('pitch=64')")
    assert before == keyboard.evaluate("messages.send.filter(kind => kind === 'sound').length")
    exec(keyboard.locator(".code").input_value(), scope := {})
    assert np.allclose(keyboard.evaluate("played"), scope["x"], atol=1e-4)
    names = keyboard.locator(".audiogen-explorer .legend li").all_text_contents()
    assert names[:3] == ["kick", "snare", "hat"]  # dots in the pad


def test_keys_stay_in_the_sliders(keyboard):
    handle, readout = (
        keyboard.locator(f".widget-slider {part}").first
        for part in (".noUi-handle", ".widget-readout")
    )
    handle.scroll_into_view_if_needed()
    keyboard.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 2")
    before, value = keyboard.evaluate(NOTEBOOK), readout.text_content()
    box = handle.bounding_box()
    keyboard.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    keyboard.mouse.down()
    keyboard.mouse.move(box["x"] + 80, box["y"] + 5, steps=4)
    keyboard.mouse.up()
    keyboard.wait_for_function(
        "value => document.querySelector('.widget-slider .widget-readout').textContent !== value",
        arg=value,
    )
    press_commands(keyboard)
    for place in (".widget-slider .widget-label", ".widget-image", ".widget-slider .noUi-base"):
        keyboard.locator(place).first.click()
        press_commands(keyboard)
    readout.click()
    keyboard.keyboard.press("Enter")
    press_commands(keyboard)
    assert keyboard.evaluate(NOTEBOOK) == before
