"""The explorer in JupyterLab, with a kernel behind it."""
import importlib.util, sys
from pathlib import Path

import numpy as np, pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from benchmarks.explorer import chromium, delays, explorer

MISSING = ["Chromium"] * (chromium() is None) + [name for name in ("playwright", "jupyterlab") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")

@pytest.fixture(scope="module")
def lab():
    with explorer() as (page, complaints):
        yield page
    assert complaints == []

def test_what_sounds_is_what_the_line_of_python_makes(lab):
    lab.get_by_label("Class", exact=True).select_option("brass")
    lab.wait_for_function("document.querySelector('.code').value.includes(\"label='brass'\")")
    line = lab.locator(".code").input_value()
    delays(lab, 3)                                                              # several moves, each with its sound
    assert lab.locator(".code").input_value() != line
    exec(lab.locator(".code").input_value(), scope := {})
    assert np.allclose(lab.evaluate("played"), scope["x"], atol=1e-4)           # another process, compiled anew

def test_keys_stay_in_the_explorer(lab):
    "In JupyterLab's command mode, A adds a cell and D D deletes one."
    for name in "Across the pad", "Class", "A → B", "Seed of Sound A", "play on move":
        lab.get_by_label(name, exact=True).focus()
        lab.keyboard.press("a")
    lab.locator(".pad").focus()
    for key in "adda": lab.keyboard.press(key)
    assert lab.locator(".jp-Notebook .jp-Cell").count() == lab.locator(".audiogen-explorer").count() == 1

def test_a_fault_in_python_is_a_line_on_the_page(lab):
    seed = lab.get_by_label("Seed of Sound A")
    lab.evaluate("document.querySelector('.audiogen-explorer [aria-label=Class]').append(new Option('harp', 'harp'))")
    lab.get_by_label("Class", exact=True).select_option("harp")
    lab.wait_for_function("document.querySelector('.status.wrong')?.textContent.includes('want one of kick')")
    lab.get_by_label("Class", exact=True).select_option("kick")
    seed.fill("7")
    lab.wait_for_function("document.querySelector('.code').value.includes('seed_a=7')")
    assert lab.locator(".status").text_content() == ""
