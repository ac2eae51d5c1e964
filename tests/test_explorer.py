"""The explorer: what Python answers, and what the page does, the latter in a browser with a stand-in for Python."""

import io
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from conftest import in_browser
from flax import nnx
from matplotlib import colormaps

import audiogen
from audiogen.demo import slider_latent
from audiogen.explorer import explore, explorer_line, explorer_reply, explorer_sound, explorer_spec
from audiogen.generator import AudioModel, load_model, synthesize
from audiogen.stft import amplitude_to_db, full_scale, spectrogram
from audiogen.support.conditions import Condition
from benchmarks.explorer import serve

STATIC = Path(audiogen.__file__).with_name("static")


# Python's half


@dataclass(frozen=True)
class BandConfig:
    sample_rate: int = 8000
    duration: float = 1.0
    latent_dim: int = 2


class Band(AudioModel):
    "Two instruments, of which one knows pitch; the latent vector is (octaves up, nothing)."

    config = BandConfig()
    conditions = (
        Condition("label", "class", "who plays", choices=("drum", "organ"), default="organ"),
        Condition(
            "pitch", "pitch", "how high", ("sounds",), (), 36, 84, "", 48, 60, only_for=("organ",)
        ),
        Condition("loudness", "number", "level", ("sounds",), (), -48, 0, "dBFS", -12, -12),
        Condition("words", "words", "half an octave, if bright", ("latents",), ("bright", "dark")),
        Condition("breath", "number", "noise", ("sounds",), (), 0, 1, "", 0, 0),
    )

    def sample_latents(self, key, count, label=None, words=""):
        return jnp.zeros((count, 2)).at[:, 0].set(0.5 * (words == "bright"))

    def __call__(self, z, label=None, pitch=48.0, loudness=-12.0, breath=0.0):
        f0 = 440 * 2 ** ((pitch - 69) / 12 + z[..., :1])
        noise = jax.random.normal(jax.random.key(0), (8000,))
        x = jnp.sin(2 * jnp.pi * f0 * jnp.arange(8000) / 8000)
        return 10 ** (loudness / 20) * 2**0.5 * (x + breath * noise)


def ask(widget, **request):
    "What a widget sends when its page sends this."
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._handle_custom_msg({"kind": "sound", "id": 1, **request}, [])
    ((content, buffers),) = sent
    return content, [np.frombuffer(b, "<f4") for b in buffers]


SETTINGS = [
    {},
    {"seed_a": 7},
    {"label": "kick", "label_b": "organ", "interpolation": 0.4},
    {
        "label": "hat",
        "variation_scale": 0.5,
        "variation_seed": 3,
        "offsets": [0.5, -1.2, 0, 0, 0, 0, 0, 2],
    },
]


@pytest.mark.parametrize("some", SETTINGS)
def test_an_answer_is_the_sound_and_its_line_makes_it_again(some):
    widget = explore("spectral")
    settings = widget.spec["settings"] | some
    content, (x,) = ask(widget, id="a:1", settings=json.loads(json.dumps(settings)))
    assert (content["kind"], content["id"]) == ("sound", "a:1")
    model = load_model("spectral")
    assert np.array_equal(x, synthesize(model, slider_latent(model, **some)))
    exec(content["python"], scope := {})
    assert np.array_equal(scope["x"], x)
    assert "\n" not in content["python"] and all(name in content["python"] for name in some)


def test_the_line_of_an_untrained_model():
    content, (x,) = ask(explore("untrained"), settings={"seed_a": 2, "offsets": [1]})
    exec(content["python"], scope := {})
    assert np.array_equal(scope["x"], x)


def test_a_model_of_ones_own():
    model = audiogen.SimpleAudioGenerator(duration=0.1, latent_dim=3, rngs=nnx.Rngs(1))
    widget = explore(model, directions=8)
    assert len(widget.spec["settings"]["offsets"]) == 3 and "label" not in widget.spec["settings"]
    content, (x,) = ask(widget, settings={"seed_a": 2, "offsets": [0, 0, 1]})
    exec(content["python"], scope := {"model": model})
    assert np.array_equal(scope["x"], x)


def test_the_spec_is_json():
    for model in Band(), load_model("spectral"):
        assert json.loads(json.dumps(explorer_spec(model))) == explorer_spec(model)


def test_faults_become_a_line_and_the_widget_lives_on():
    widget = explore("spectral")
    for settings in (
        {"label": "harp"},
        {"seed_a": "x"},
        {"nonsense": 1},
        {"offsets": [0] * 99},
        {"variation_scale": -1},
        None,
    ):
        content, buffers = ask(widget, settings=settings)
        assert (content["kind"], content["id"], buffers) == ("error", 1, []) and len(
            content["message"]
        ) > 20
    assert ask(widget)[0]["kind"] == "error"
    assert ask(widget, settings={})[0]["kind"] == "sound"


def test_a_model_with_conditions():
    spec = explorer_spec(Band())
    assert (spec["classes"], spec["pitched"], spec["words"]) == (
        ["drum", "organ"],
        [False, True],
        ["bright", "dark"],
    )
    assert spec["settings"]["label"] == "organ" and spec["pitches"] == [36, 84]
    assert [number["name"] for number in spec["numbers"]] == ["loudness", "breath"]
    settings = spec["settings"] | {"pitch": 69, "loudness": -20}

    def frequency(**some):
        return np.abs(np.fft.rfft(explorer_sound(Band(), settings | some))).argmax()

    assert [
        frequency(),
        frequency(pitch=81),
        frequency(offsets=[1.0]),
        frequency(words="bright"),
    ] == [440, 880, 880, 622]
    assert abs(20 * np.log10(np.sqrt(np.mean(explorer_sound(Band(), settings) ** 2))) + 20) < 0.01
    for some in (
        {"pitch": 72, "loudness": -30, "offsets": [0.1, 0]},
        {"label": "drum", "pitch": None},
        {"words": "bright"},
        {"breath": 0.5},
    ):
        exec(explorer_line(Band(), settings | some), scope := {"model": Band()})
        assert np.array_equal(scope["x"], explorer_sound(Band(), settings | some))
    drum = settings | {"label": "drum"}
    message, (sound,) = explorer_reply(Band(), {"id": 1, "settings": drum})
    assert message["kind"] == "sound" and "pitch" not in message["python"]  # a drum has none
    alone = explorer_sound(Band(), drum | {"pitch": None})
    assert np.array_equal(np.frombuffer(sound, "<f4"), alone)


def test_the_page_needs_nothing_from_elsewhere():
    text = explore("untrained")._esm + (STATIC / "explorer.css").read_text()
    assert not re.search(r"https?://|@import|^import\b|import\(|fetch\(", text, re.M)


# The page's half, in a browser

SPEC = dict(
    name="band",
    sample_rate=8000,
    classes=["drum", "organ"],
    pitched=[False, True],
    words=["bright", "dark"],
    pitches=[36, 84],
    numbers=[dict(name="loudness", low=-48, high=0, unit="dBFS")],
    reach=3.0,
    settings=dict(
        seed_a=0,
        seed_b=1,
        interpolation=0.0,
        variation_scale=0.0,
        variation_seed=0,
        offsets=[0.0] * 4,
        label="organ",
        pitch=60,
        loudness=-20,
        words="",
    ),
)

# What a model adds that remembers sounds and whose notes can be made ahead.
LIVE = dict(notes=True, known=[[[0.0, 1.5, 0, 0]], [[1.5, 0.0, 0, 0], [-1.5, 0.0, 0, 0]]])

# A stand-in for Web MIDI: plug, unplug, and bytes from what is plugged in.
MIDI = """
window.midi = { inputs: new Map(), asked: 0 }
window.changed = port => midi.onstatechange?.({ port })
window.plug = (id, name) => {
  midi.inputs.set(id, { id, name, state: "connected", onmidimessage: null })
  changed(midi.inputs.get(id))
}
window.unplug = id => {
  const port = midi.inputs.get(id)
  midi.inputs.delete(id)
  changed(Object.assign(port, { state: "disconnected" }))
}
window.strike = (id, ...data) =>
  midi.inputs.get(id).onmidimessage?.({ data, timeStamp: performance.now() })
navigator.requestMIDIAccess = async () => { midi.asked++; return midi }
"""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>explorer</title><link rel="icon" href="data:,"><link rel="stylesheet" href="explorer.css"><style>body { margin: 0 }</style><main></main>
<script type="module">
import explorer, * as helpers from "./explorer.js"
const listeners = [], spec = SPEC
window.helpers = helpers; window.requests = []; window.notes = []; window.calls = []; window.starts = []; window.delay = 5; window.hold = Promise.resolve(); window.mute = false
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when) { starts.push({ length: this.buffer.length, first: this.buffer.getChannelData(0).slice(0, 400) }); start.call(this, when) }
for (const method of ["press", "release", "bend", "stop"]) {
  const original = helpers.Player.prototype[method]
  helpers.Player.prototype[method] = function (...given) {
    window.player = this
    calls.push([method, ...given.filter(v => ["number", "string"].includes(typeof v))])
    return original.apply(this, given)
  }
}
function answer({ id, settings }) {                                   // a tone instead of a model
  requests.push(settings)
  if (mute) return
  if (settings.seed_a === 13) return [{ kind: "error", id, message: "ValueError: unlucky" }, []]
  return [{ kind: "sound", id, ...tone(settings), base: [0, 0, 0, 0] }, [samples(settings)]]
}
const tone = settings => ({ python: `x = ${JSON.stringify(settings)}` })
function samples({ pitch, offsets, loudness }) {
  const f0 = 440 * 2 ** (((pitch ?? 36) - 69) / 12 + offsets[0])
  const x = Float32Array.from({ length: 4000 }, (_, i) => 10 ** (loudness / 20) * Math.sin(2 * Math.PI * f0 * i / 8000))
  return new DataView(x.buffer)
}
function send(request) {
  const reply = (...it) => setTimeout(() => listeners.forEach(f => f(...it)), delay)
  if (request.kind === "notes") {
    const { id, settings, pitches } = request
    notes.push(pitches)
    for (const pitch of pitches) reply({ kind: "note", id, pitch, ...tone({ ...settings, pitch }) }, [samples({ ...settings, pitch })])
    return
  }
  const it = answer(request)
  if (it) hold.then(() => reply(...it))
}
window.unmount = explorer.render({ el: document.querySelector("main"), model: {
  get: name => ({ spec })[name],
  on: (name, f) => listeners.push(f),
  send: content => send(structuredClone(content)),
} })
window.ready = true
</script></html>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    "The address of a folder with the explorer and a page around it."
    folder = tmp_path_factory.mktemp("page")
    for path in STATIC.iterdir():
        shutil.copy(path, folder)
    for name, spec in {"index": SPEC, "live": SPEC | LIVE}.items():
        (folder / f"{name}.html").write_text(PAGE.replace("SPEC", json.dumps(spec)), "utf-8")
    with serve(folder) as address:
        yield address


@pytest.fixture
def visit(chromium, server):
    "Open the page, in a window of this width and other properties; it may not complain."
    complaints, contexts = [], []

    def visit(width=900, path="", **properties):
        contexts.append(
            context := chromium.new_context(
                viewport={"width": width, "height": 900}, accept_downloads=True, **properties
            )
        )
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.add_init_script(MIDI)
        page.goto(server + path)
        page.wait_for_function("window.ready && document.querySelector('.code').value")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def settings(page):
    return page.evaluate("requests.at(-1)")


def answered(page):
    "Wait until the page shows the sound of the last request."
    page.wait_for_function(
        "document.querySelector('.code').value === `x = ${JSON.stringify(requests.at(-1))}`"
    )


def picture(page, name):
    return page.locator(f"canvas.{name}").evaluate("c => c.toDataURL()")


def drag(page, *points):
    "Drag in the pad, from point to point, each in shares of its width and height."
    box = page.locator(".pad").bounding_box()
    for i, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not i:
            page.mouse.down()
    page.mouse.up()


@in_browser
def test_the_pad_moves_the_sound(visit):
    page = visit()
    assert page.evaluate("starts.length") == 0  # silent until touched
    before = picture(page, "wave"), picture(page, "spectrum")
    drag(page, (0.5, 0.5), (0.6, 0.4), (2 / 3, 1 / 6))
    answered(page)
    x, y, *rest = settings(page)["offsets"]
    assert abs(x - 1) < 0.05 and abs(y - 2) < 0.05 and rest == [0, 0]
    assert picture(page, "wave") != before[0] and picture(page, "spectrum") != before[1]
    assert page.evaluate("starts.length") > 0
    page.locator(".pad").press("Home")
    page.locator(".pad").press("ArrowLeft")
    page.locator(".pad").press("Shift+ArrowUp")
    answered(page)
    assert settings(page)["offsets"] == [-0.1, 0.5, 0, 0]
    assert page.locator(".pad").get_attribute("aria-valuetext") == "across −0.10, up 0.50"
    page.get_by_label("Across the pad").select_option("2")
    page.locator(".pad").press("ArrowRight")
    answered(page)
    assert settings(page)["offsets"] == [-0.1, 0.5, 0.1, 0]


@in_browser
def test_the_latest_request_wins(visit):
    page = visit()
    hold(page)  # however long the moves take, the page's patience with Python isn't at its end
    before = page.evaluate("requests.length")
    drag(page, (0.5, 0.5), *((0.5 + i / 100, 0.5) for i in range(1, 41)))
    assert page.evaluate("requests.length") == before + 1  # one on its way, whatever moves
    release(page)
    page.wait_for_function(
        f"requests.length === {before + 2}"
    )  # answered, it asks for the last of 41 moves
    page.clock.fast_forward(50)
    answered(page)
    assert abs(settings(page)["offsets"][0] - 2.4) < 0.05
    assert page.evaluate("requests.length") == before + 2


@in_browser
def test_what_cannot_be_played_is_still_drawn(visit):
    page = visit()
    page.locator(".pad").press("ArrowRight")  # sound is allowed from now on
    answered(page)
    before = picture(page, "wave")
    page.evaluate(
        "() => { AudioBufferSourceNode.prototype.start = () => { throw new Error('no loudspeaker') } }"
    )
    page.locator(".pad").press("ArrowRight")
    page.wait_for_function(
        "document.querySelector('.status').textContent === \"This browser can't play it: no loudspeaker\""
    )
    answered(page)
    assert picture(page, "wave") != before


@in_browser
def test_keys_play_notes(visit):
    page = visit()
    page.get_by_role("button", name="E4", exact=True).click()
    answered(page)
    assert settings(page)["pitch"] == 64 and page.evaluate("starts.length") == 1
    page.keyboard.press("k")  # an octave above the lowest key
    answered(page)
    assert settings(page)["pitch"] == 72 and page.evaluate("starts.length") == 2
    played = np.array(page.evaluate("[...starts.at(-1).first]"))
    assert np.allclose(
        played, 0.1 * np.sin(2 * np.pi * 440 * 2 ** (3 / 12) * np.arange(400) / 8000), atol=1e-5
    )
    page.get_by_role("button", name="C5", exact=True).press("ArrowRight")
    answered(page)
    assert settings(page)["pitch"] == 73
    page.get_by_label("Class").select_option("drum")
    answered(page)
    assert (
        settings(page)["pitch"] is None
        and page.get_by_role("button", name="E4", exact=True).is_disabled()
    )
    assert page.get_by_role("slider", name="Pitch").is_disabled()


@in_browser
def test_a_seed_is_typed(visit):
    page = visit()
    page.get_by_label("Seed of Sound B").fill("")  # nothing yet
    page.keyboard.type("1-7")
    answered(page)
    page.keyboard.press("Tab")
    assert (
        settings(page)["seed_b"] == 1 and page.get_by_label("Seed of Sound B").input_value() == "1"
    )
    page.get_by_label("New seed for Sound B").click()
    answered(page)
    assert str(settings(page)["seed_b"]) == page.get_by_label("Seed of Sound B").input_value()


@in_browser
def test_words(visit):
    page = visit()
    page.get_by_label("Words: some of bright, dark").fill(" bright ")
    page.keyboard.press("Enter")
    answered(page)
    assert settings(page)["words"] == "bright"
    page.keyboard.type("a")  # a letter in a text field is no note
    assert settings(page)["pitch"] == 60


@in_browser
def test_play_and_play_on_move(visit):
    page = visit()
    page.get_by_role("button", name="Play").click()
    assert page.evaluate("starts.length") == 1
    page.get_by_role("slider", name="Loudness").press("ArrowRight")
    answered(page)
    assert settings(page)["loudness"] == -19 and page.evaluate("starts.length") == 2
    page.get_by_label("play on move").uncheck()
    page.get_by_role("slider", name="A → B").press("End")
    answered(page)
    assert settings(page)["interpolation"] == 1 and page.evaluate("starts.length") == 2
    page.locator(".pad").press("Space")
    assert page.evaluate("starts.length") == 3
    page.get_by_role("button", name="New sound").click()
    answered(page)
    assert settings(page)["seed_a"] != 0 and page.evaluate("starts.length") == 4
    page.get_by_role("button", name="Reset").click()
    answered(page)
    assert settings(page) == SPEC["settings"]


@in_browser
def test_the_wav_file_is_the_sound(visit, tmp_path):
    page = visit()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save WAV").click()
    download.value.save_as(path := tmp_path / download.value.suggested_filename)
    assert path.name == "band-organ-0.wav"
    x, rate = soundfile.read(io.BytesIO(path.read_bytes()))
    assert rate == 8000 and soundfile.info(path).subtype == "PCM_16"
    f0 = 440 * 2 ** (-9 / 12)
    assert np.abs(x - 0.1 * np.sin(2 * np.pi * f0 * np.arange(4000) / 8000)).max() < 1 / 32768


@in_browser
def test_copy_as_python(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as Python").click()
    page.wait_for_function("document.querySelector('.status').textContent.startsWith('Copied')")
    assert (
        page.evaluate("navigator.clipboard.readText()") == page.locator(".code").input_value() != ""
    )


@in_browser
def test_errors_are_shown_and_pass(visit):
    page = visit()
    seed = page.get_by_label("Seed of Sound A")
    seed.fill("13")
    page.wait_for_function(
        "document.querySelector('.status.wrong')?.textContent === 'ValueError: unlucky'"
    )
    seed.fill("14")
    answered(page)
    assert page.locator(".status").text_content() == ""


def hold(page):
    "Stop the clock, and the answers with it, from the next request on."
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)  # or it goes on while a test waits
    page.evaluate("() => { hold = new Promise(release => window.release = release) }")


def release(page):
    "Let the answers come that were held back."
    page.evaluate("release()")
    page.clock.fast_forward(50)
    page.clock.resume()


@in_browser
def test_silence_of_python_is_reported(visit):
    page = visit()
    hold(page)
    page.locator(".pad").press("ArrowUp")
    page.clock.fast_forward(9000)
    assert (
        page.locator(".status.wrong")
        .text_content()
        .startswith("No answer from the kernel for 8 seconds; is it running?")
    )
    assert page.locator("[aria-invalid=true]").evaluate_all("all => all.map(e => e.ariaLabel)") == [
        "Pad: direction 1 across, direction 2 up",
        "Direction 2",
    ]
    before = page.evaluate("requests.length")
    page.locator(".pad").press("ArrowUp")  # the kernel may be back: ask again
    assert page.evaluate("requests.length") == before + 1
    release(page)  # both are answered, the first too late
    answered(page)
    assert settings(page)["offsets"][1] == 0.2
    assert (
        page.locator(".status").text_content() == "" and page.locator("[aria-invalid]").count() == 0
    )


@in_browser
def test_an_answer_that_comes_late_is_welcome(visit):
    page = visit()
    hold(page)
    page.locator(".pad").press("ArrowUp")
    page.clock.fast_forward(60_000)
    release(page)
    answered(page)
    assert page.locator(".status").text_content() == "" and "stale" not in page.locator(
        ".audiogen-explorer"
    ).get_attribute("class")


@in_browser
def test_work_is_shown_while_it_goes_on(visit):
    page = visit()
    hold(page)
    page.locator(".pad").press("ArrowUp")
    page.clock.fast_forward(100)
    assert page.locator(".status").text_content() == ""  # a sound that comes at once needs no word
    page.clock.fast_forward(100)
    assert page.locator(".status").text_content() == "working…"
    release(page)
    answered(page)
    assert page.locator(".status").text_content() == ""


@in_browser
def test_a_sound_that_failed_is_not_saved_as_another(visit, tmp_path):
    page = visit()
    page.get_by_label("Seed of Sound A").fill("13")
    page.wait_for_selector(".status.wrong")
    assert page.locator("[aria-invalid=true]").evaluate_all("all => all.map(e => e.ariaLabel)") == [
        "Seed of Sound A"
    ]
    assert "stale" in page.locator(".audiogen-explorer").get_attribute("class")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save WAV").click()
    assert (
        download.value.suggested_filename == "band-organ-0.wav"
    )  # the sound that is there is seed 0's
    page.get_by_label("Seed of Sound A").fill("14")
    answered(page)
    assert page.locator("[aria-invalid]").count() == 0 and "stale" not in page.locator(
        ".audiogen-explorer"
    ).get_attribute("class")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save WAV").click()
    assert download.value.suggested_filename == "band-organ-14.wav"


@in_browser
def test_without_a_sound_there_is_nothing_to_save(visit):
    page = visit()
    page.evaluate(
        """() => { const main = document.querySelector("main")
        unmount()
        main.replaceChildren()
        helpers.default.render({ el: main, model: { get: () => (SPEC), on: () => {}, send: () => { throw Error("closed") } } }) }""".replace(
            "SPEC", json.dumps(SPEC)
        )
    )
    assert (
        page.get_by_role("button", name="Save WAV").is_disabled()
        and page.get_by_role("button", name="Copy as Python").is_disabled()
    )
    assert (
        page.locator(".status.wrong").text_content()
        == "The kernel can't be reached (closed); is it running? Kernel → Restart, then run this cell again."
    )


@in_browser
@pytest.mark.parametrize("width, height", [(1280, 500), (390, 700)])
def test_a_message_is_in_view_wherever_one_clicks(visit, width, height):
    page = visit(width)
    page.set_viewport_size({"width": width, "height": height})
    page.get_by_label("Seed of Sound A").fill("13")
    page.wait_for_selector(".status.wrong")
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"  # an observer speaks after a frame
    for control in page.locator(":is(button, input, select, .pad):visible").all():
        control.scroll_into_view_if_needed()
        page.evaluate(frame)
        seen = page.locator(".status, .echo").evaluate_all(
            """(all, height) => all.filter(e => {
            const box = e.getBoundingClientRect()
            return e.textContent && getComputedStyle(e).visibility === "visible" && box.top >= 0 && box.bottom <= height }).length""",
            height,
        )
        assert seen, control.evaluate("e => e.outerHTML")


@in_browser
def test_no_key_leaves_the_explorer(visit):
    page = visit()
    page.evaluate(
        "() => { window.escaped = []; document.addEventListener('keydown', event => escaped.push(event.key)) }"
    )
    focus_on_root = "document.activeElement === document.querySelector('.audiogen-explorer')"

    def plays(key, pitch):
        page.keyboard.press(key)
        page.wait_for_function(
            f"document.querySelector('.code').value.includes('\"pitch\":{pitch},')"
        )
        return True

    for place, key, pitch in (
        (".title b", "k", 72),
        ("canvas.spectrum", "a", 60),
        (".time", "k", 72),
    ):
        page.locator(place).click(position={"x": 2, "y": 2})
        assert page.evaluate(focus_on_root) and plays(key, pitch)
    page.get_by_label("Class").select_option("organ")  # chosen from the list: keys play again
    assert page.evaluate(focus_on_root) and plays("a", 60)
    page.get_by_label("Words: some of bright, dark").fill("bright")
    page.keyboard.press("Enter")
    assert page.evaluate(focus_on_root) and plays("k", 72) and settings(page)["words"] == "bright"
    page.get_by_label("Across the pad").press("ArrowDown")  # by arrow keys one goes on to the next
    assert not page.evaluate(focus_on_root)
    page.get_by_role("slider", name="Pitch").focus()
    page.evaluate(
        """() => { const list = document.querySelector("[aria-label=Class]"); list.value = "drum"; list.dispatchEvent(new Event("change")) }"""
    )
    assert page.evaluate(focus_on_root)  # a drum has no pitch, and a disabled slider no focus
    for key in "xxddmy":
        page.keyboard.press(key)
    assert page.evaluate("escaped") == []


@in_browser
@pytest.mark.parametrize("width", [320, 360, 900])
def test_nothing_overflows_or_jumps(visit, width):
    page = visit(width, reduced_motion="reduce")

    def layout():
        return page.evaluate(
            "[...document.querySelectorAll('main *')].map(e => e.matches('.thumb, option') ? 0 : JSON.stringify(e.getBoundingClientRect()))"
        )

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Play").focus()
    before = layout()
    page.get_by_role("slider", name="Direction 1", exact=True).press("ArrowLeft")
    page.get_by_role("slider", name="A → B").press("ArrowRight")
    page.get_by_role("button", name="Copy as Python").click()
    answered(page)
    page.evaluate("scrollTo(0, 0)")
    assert layout() == before


@in_browser
def test_every_control_has_a_name_and_can_be_reached(visit):
    page = visit()
    unnamed = page.locator(
        "button, input, select, [role=slider], [role=img], [role=group]"
    ).evaluate_all(
        "all => all.filter(e => !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim() || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert unnamed == []
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim() || e.textContent.trim())(document.activeElement)"
            )
        )
    assert {
        "▶ Play",
        "New sound",
        "play on move",
        "Save WAV",
        "Class",
        "Pitch",
        "Loudness",
        "A → B",
        "Direction 4",
        "C4",
        "Copy as Python",
    } <= seen


def luminance(colour):
    "Relative luminance of an (r, g, b) colour, as WCAG 2 defines it."
    c = np.array(colour) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(a, b):
    "Contrast of two colours, from 1 to 21."
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(visit, scheme):
    page = visit(color_scheme=scheme)

    def colour(name):
        return page.locator(".audiogen-explorer").evaluate(
            """(root, name) => {
            const probe = document.createElement("i"); probe.style.color = `var(${name})`; root.append(probe)
            const rgb = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number); probe.remove(); return rgb }""",
            name,
        )

    assert (luminance(colour("--back")) > 0.5) == (scheme == "light")
    for text, back, least in [
        ("--text", "--back", 4.5),
        ("--text", "--field", 4.5),
        ("--on-strong", "--strong", 4.5),
        ("--wrong", "--back", 4.5),
        ("--strong", "--back", 3),
        ("--strong", "--field", 3),
        ("--line", "--back", 3),
    ]:
        assert contrast(colour(text), colour(back)) >= least, (text, back)


@in_browser
def test_pictures_follow_the_theme(visit):
    page = visit(color_scheme="light")

    def ink():
        return page.locator(
            "canvas.wave"
        ).evaluate("""c => {
        const copy = new OffscreenCanvas(1, 1).getContext("2d"); copy.drawImage(c, -c.width / 2, -c.height / 2); return [...copy.getImageData(0, 0, 1, 1).data] }""")

    def set_theme(light):
        page.evaluate(
            "light => new Promise(done => { document.body.dataset.jpThemeLight = light; requestAnimationFrame(() => setTimeout(done)) })",
            light,
        )

    light = ink()
    set_theme("false")
    dark = ink()
    set_theme("true")
    assert luminance(dark[:3]) > 2 * luminance(light[:3]) and ink() == light


@in_browser
def test_reduced_motion_moves_nothing(visit):
    for motion, moving in ("no-preference", 1), ("reduce", 0):
        page = visit(reduced_motion=motion)
        page.evaluate("""() => { window.animated = 0; const animate = Element.prototype.animate
            Element.prototype.animate = function (...how) { animated++; return animate.apply(this, how) } }""")
        page.get_by_role("button", name="Play").click()
        assert page.evaluate("animated") == moving  # begun, however soon it ends
    assert page.evaluate("document.getAnimations().length") == 0


@in_browser
def test_controls_can_be_folded(visit):
    page = visit()
    page.get_by_text("All controls").click()
    assert page.get_by_label("Seed of Sound A").is_hidden()
    assert page.get_by_role("button", name="Play").is_visible()
    page.get_by_text("All controls").click()
    assert page.get_by_label("Seed of Sound A").is_visible()


@in_browser
def test_the_spectrogram_is_pythons(visit):
    page, x = visit(), np.random.default_rng(0).normal(0, 0.1, 3001).astype(np.float32)
    for n in 3001, 700, 100:
        seen = page.evaluate(
            "x => { const s = helpers.spectrogram(Float32Array.from(x)); return { ...s, db: [...s.db] } }",
            x[:n].tolist(),
        )
        wanted = amplitude_to_db(spectrogram(x[:n]), ref=full_scale())
        assert (seen["bins"], seen["frames"]) == wanted.shape
        np.testing.assert_allclose(np.reshape(seen["db"], wanted.shape[::-1]).T, wanted, atol=0.01)


@in_browser
def test_the_fourier_transform_and_the_colours(visit):
    page, x = visit(), np.random.default_rng(0).normal(size=64)
    re, im = page.evaluate(
        "x => { const re = Float64Array.from(x), im = re.map(v => -v); helpers.fft(re, im); return [[...re], [...im]] }",
        x.tolist(),
    )
    np.testing.assert_allclose(np.array(re) + 1j * np.array(im), np.fft.fft(x - 1j * x), atol=1e-12)
    colours = page.evaluate("Array.from({ length: 101 }, (_, i) => helpers.magma(i / 100))")
    np.testing.assert_allclose(
        np.array(colours) / 255, colormaps["magma"](np.arange(101) / 100)[:, :3], atol=0.03
    )


@in_browser
def test_a_switch_makes_no_step(visit):
    "One sound cut off by another, rendered: the greatest step is that of a fade, not of a cut."
    page = visit()

    def step(faded):
        return page.evaluate(
            """async faded => {
        const context = new OfflineAudioContext(1, 8000, 8000), player = new helpers.Player()
        player.context = context
        player.play(Float32Array.from({ length: 8000 }, (_, i) => Math.cos(2 * Math.PI * 50 * i / 8000)), 8000)
        context.suspend(0.52).then(() => { faded ? player.stop() : player.voices[0].source.stop(); context.resume() })
        const y = (await context.startRendering()).getChannelData(0)
        if (y.slice(4600).some(v => v)) throw Error("it still sounds")
        return y.reduce((most, v, i) => Math.max(most, i ? Math.abs(v - y[i - 1]) : 0), 0)
    }""",
            faded,
        )

    assert (
        step(True) < 1.1 * 2 * np.pi * 50 / 8000 and step(False) > 0.5
    )  # the steepest place of the sound itself; a cut


@in_browser
def test_a_closed_view_answers_no_more(visit):
    page = visit()
    page.get_by_role("button", name="Play").click()
    page.evaluate("unmount()")
    page.evaluate("document.querySelector('main').remove()")


# Live: keys ahead, voices, MIDI, recording


def ahead(page, count):
    "Wait until so many sounds were computed ahead."
    page.locator(".pad").hover()  # sounds are computed ahead for those who come near
    page.wait_for_function(f"notes.flat().length >= {count}")
    page.wait_for_function("new Promise(done => setTimeout(() => done(true), 2 * delay))")


@in_browser
def test_a_key_whose_sound_is_there_asks_for_nothing(visit):
    page = visit(path="live.html")
    assert page.evaluate("notes") == []  # nobody has come near
    ahead(page, 24)
    assert sorted(page.evaluate("notes.flat()")) == [*range(48, 60), *range(61, 73)]
    assert page.evaluate("notes[0]") == [59, 61, 58, 62]  # the nearest first, a few at once
    before = page.evaluate("requests.length")
    for name, pitch in ("E4", 64), ("B4", 71), ("C4", 60):
        page.get_by_role("button", name=name, exact=True).click()
        first = page.evaluate("[...starts.at(-1).first]")
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        assert np.allclose(first, 0.1 * np.sin(2 * np.pi * f0 * np.arange(400) / 8000), atol=1e-5)
        page.wait_for_function(
            f"document.querySelector('.code').value.includes('\"pitch\":{pitch},')"
        )
    assert page.evaluate("requests.length") == before
    assert re.fullmatch(
        r"Latency: \d+ ms \(page \d+, output \d+\)",
        page.locator(".delay").text_content(),
    )


@in_browser
def test_other_settings_make_other_sounds(visit):
    page = visit(path="live.html")
    ahead(page, 24)
    page.get_by_role("slider", name="Loudness").press("ArrowRight")
    answered(page)
    page.get_by_role("button", name="E4", exact=True).click()
    answered(page)  # it was asked for anew
    assert settings(page)["loudness"] == -19 and settings(page)["pitch"] == 64
    assert abs(max(page.evaluate("[...starts.at(-1).first]")) - 10 ** (-19 / 20)) < 1e-3


@in_browser
def test_what_is_kept_is_bounded(visit):
    page = visit()
    kept = page.evaluate(
        """async () => { const { Ahead } = await import("./requests.js"), kept = new Ahead(3)
        for (const pitch of [60, 61, 62]) kept.put({ loudness: 0, pitch }, { pitch })
        kept.get({ loudness: 0, pitch: 60 })                            // used last: it stays
        kept.put({ loudness: 0, pitch: 63 }, {})
        const first = [...kept.sounds.keys()], missing = kept.missing(61, [36, 84], 5)
        return [first, missing, kept.get({ loudness: 1, pitch: 63 }) ?? null, kept.sounds.size] }"""
    )
    assert kept == [[62, 60, 63], [61, 59], None, 0]


@in_browser
def test_keys_that_wait_for_their_sounds_all_sound(visit):
    page = visit()
    hold(page)
    page.locator(".title b").click()
    for key in "adg":
        page.keyboard.down(key)
    release(page)
    for _ in range(3):
        page.clock.fast_forward(50)
    page.wait_for_function("starts.length === 3")
    assert [pitch for _, pitch, *_ in page.evaluate("calls")] == [60, 64, 67]
    for key in "adg":
        page.keyboard.up(key)
    assert page.evaluate("calls.slice(3)") == [["release", p, 0.3] for p in (60, 64, 67)]


@in_browser
def test_keys_are_let_go(visit):
    page = visit(path="live.html")
    ahead(page, 24)
    page.locator(".title b").click()
    page.get_by_role("slider", name="Release").evaluate(
        "e => { e.value = 1; e.dispatchEvent(new Event('input')) }"
    )
    page.keyboard.down("a")
    page.keyboard.down("a")  # the computer repeats a key that is held
    page.get_by_role("button", name="An octave up").click()
    page.keyboard.up("a")  # it is the key that went down that goes up
    assert page.evaluate("calls") == [["press", 60, 8000, 1], ["release", 60, 1]]
    page.evaluate("calls.length = 0")
    page.keyboard.down("a")
    page.evaluate("document.activeElement.blur()")  # nobody will see it go up
    assert page.evaluate("calls.map(call => call.slice(0, 2))") == [["press", 72], ["release", 72]]
    assert page.locator(".key[aria-pressed=true]").count() == 1  # the pitch that is chosen


def connect(page, *devices):
    "Plug devices in, and connect them."
    for name in devices:
        page.evaluate("name => plug(name, name)", name)
    page.get_by_role("button", name="Connect MIDI").click()
    page.wait_for_selector("[aria-label='MIDI device']:visible")
    page.evaluate("calls.length = 0")


@in_browser
def test_midi_notes_velocity_and_bend(visit):
    page = visit(path="live.html")
    assert page.evaluate("midi.asked") == 0  # only when the button is pressed
    ahead(page, 24)
    connect(page, "Keys 25")
    page.evaluate("strike('Keys 25', 0x90, 64, 100)")
    page.evaluate("strike('Keys 25', 0x93, 67, 50)")  # on any channel
    page.evaluate("strike('Keys 25', 0xe0, 0, 0)")
    page.evaluate("strike('Keys 25', 0xe0, 127, 127)")
    page.evaluate("strike('Keys 25', 0x80, 64, 0)")
    page.evaluate("strike('Keys 25', 0x90, 67, 0)")  # velocity 0: the key goes up
    page.evaluate("strike('Keys 25', 0xf8)")  # a clock
    page.evaluate("strike('Keys 25', 0x90, 62, 127)")
    page.get_by_role("button", name="D4", exact=True).hover()
    page.locator(".title b").hover()  # a mouse that passes by lets nothing go
    wanted = [
        ["press", 64, 8000, (100 / 127) ** 2],
        ["press", 67, 8000, (50 / 127) ** 2],
        ["bend", -2],
        ["bend", 2],
        ["release", 64, 0.3],
        ["release", 67, 0.3],
        ["press", 62, 8000, 1],
    ]
    calls = page.evaluate("calls")
    assert [call[0] for call in calls] == [call[0] for call in wanted]
    for call, want in zip(calls, wanted):
        assert np.allclose(call[1:], want[1:])
    assert page.locator(".key[aria-pressed=true]").evaluate_all(
        "keys => keys.map(key => key.ariaLabel)"
    ) == ["D4"]


@in_browser
def test_the_pedal_holds_notes(visit):
    page = visit(path="live.html")
    ahead(page, 24)
    connect(page, "Keys 25")
    for data in [(0xB0, 64, 127), (0x90, 64, 127), (0x80, 64, 0), (0x90, 65, 127)]:
        page.evaluate("data => strike('Keys 25', ...data)", data)
    assert [call[0] for call in page.evaluate("calls")] == ["press", "press"]
    page.evaluate("strike('Keys 25', 0xb0, 64, 0)")  # 65 is still down
    assert page.evaluate("calls.slice(2)") == [["release", 64, 0.3]]


@in_browser
def test_a_drum_rings_out_on_any_key(visit):
    page = visit(path="live.html")
    page.get_by_label("Class").select_option("drum")
    answered(page)
    connect(page, "Pads")
    before = page.evaluate("requests.length")
    for data in [(0x90, 20, 127), (0x80, 20, 0), (0x90, 20, 127)]:
        page.evaluate("data => strike('Pads', ...data)", data)
    assert page.evaluate("calls") == [["press", 8000, 1], ["press", 8000, 1]]
    assert page.evaluate("player.voices.filter(voice => voice.fading === null).length") == 2
    assert page.evaluate("requests.length") == before


@in_browser
def test_devices_come_and_go(visit):
    page = visit(path="live.html")
    ahead(page, 24)
    connect(page)
    assert "Plug in a keyboard" in page.locator(".status").text_content()
    page.evaluate("plug('a', 'Keys 25')")
    page.evaluate("plug('b', 'Pads')")
    assert page.locator(".status").text_content() == "MIDI: Keys 25, Pads"
    menu = page.get_by_label("MIDI device")
    assert menu.locator("option").all_text_contents() == ["all devices", "Keys 25", "Pads"]
    menu.select_option("Pads")
    page.evaluate("strike('a', 0x90, 64, 127)")
    assert page.evaluate("calls") == []  # not the device that was chosen
    page.evaluate("strike('b', 0x90, 64, 127)")
    page.evaluate("unplug('b')")  # while its key is down
    assert page.evaluate("calls.map(call => call[0])") == ["press", "stop"]
    assert menu.input_value() == "" and menu.locator("option").count() == 2
    page.evaluate("strike('a', 0x90, 64, 127)")
    assert page.evaluate("calls.at(-1)[0]") == "press"


@in_browser
def test_knobs_turn_directions_and_what_they_learn(visit):
    page = visit(path="live.html")
    connect(page, "Knobs")

    def turn(knob, value):
        page.evaluate("data => strike('Knobs', 0xb0, ...data)", [knob, value])
        answered(page)

    turn(21, 127)  # the first one that moves is direction 1
    turn(74, 0)
    assert settings(page)["offsets"] == [3, -3, 0, 0]
    page.get_by_role("button", name="Learn").click()
    page.evaluate("strike('Knobs', 0xb0, 21, 5)")  # learning, it moves nothing
    page.get_by_role("slider", name="Loudness").press("ArrowRight")
    assert page.locator(".status").text_content() == "Knob 21 turns Loudness."
    assert page.get_by_role("button", name="Learn").get_attribute("aria-pressed") == "false"
    answered(page)
    turn(21, 127)
    assert settings(page)["loudness"] == 0 and settings(page)["offsets"] == [3, -3, 0, 0]
    page.reload()  # kept while the tab is open
    page.wait_for_function("window.ready && document.querySelector('.code').value")
    connect(page, "Knobs")
    turn(21, 0)
    assert settings(page)["loudness"] == -48
    turn(74, 127)
    turn(16, 127)  # direction 1 has no knob any more
    assert settings(page)["offsets"] == [3, 3, 0, 0]


@in_browser
@pytest.mark.parametrize(
    "change, line",
    [
        ("navigator.requestMIDIAccess = undefined", "This browser has no Web MIDI; Chrome, Edge"),
        (
            "navigator.requestMIDIAccess = async () => { throw new DOMException('', 'SecurityError') }",
            "The browser refuses MIDI (SecurityError): allow MIDI for this page",
        ),
        (
            "[navigator.requestMIDIAccess, window.isSecureContext] = [undefined, false]",
            "Web MIDI needs a secure page: one from https",
        ),
    ],
)
def test_without_web_midi_it_says_so(visit, change, line):
    page = visit()
    page.evaluate(
        "Object.defineProperty(window, 'isSecureContext', { value: true, writable: true })"
    )
    page.evaluate(f"() => {{ {change} }}")
    page.get_by_role("button", name="Connect MIDI").click()
    page.wait_for_selector(".status.wrong")
    assert page.locator(".status").text_content().startswith(line)
    page.get_by_role("button", name="Play").click()  # the rest works as before
    assert page.evaluate("starts.length") == 1


def rendered(page, calls, seconds=1.0):
    "What a player makes of calls, each (method, time, arguments); a sound is a cosine of 50 Hz."
    return np.array(
        page.evaluate(
            """async ([calls, seconds]) => {
        const context = new OfflineAudioContext(1, 8000 * seconds, 8000)
        const player = new helpers.Player(context)
        const x = Float32Array.from({ length: 8000 }, (_, i) => 0.05 * Math.cos(2 * Math.PI * 50 * i / 8000))
        for (const [method, at, ...given] of calls) {
            const all = { press: () => [given[0], x, 8000, given[1]], release: () => given, bend: () => given }
            player[method](...all[method](), at)
        }
        return [...(await context.startRendering()).getChannelData(0)] }""",
            [calls, seconds],
        )
    )


@in_browser
def test_voices_add_up_and_fade(visit):
    page, t = visit(), np.arange(8000) / 8000
    x = 0.05 * np.cos(2 * np.pi * 50 * t)
    fade = np.clip((0.45 - t) / 0.2, 0, 1)  # let go at 0.25, over 0.2 s
    y = rendered(page, [["press", 0, 60, 1.0], ["press", 0, 64, 0.5], ["release", 0.25, 60, 0.2]])
    assert np.abs(y - x * (fade + 0.5)).max() < 1e-5
    y = rendered(
        page, [["press", 0, 60, 1.0], ["release", 0.25, 60, 0.2], ["press", 0.35, 60, 1.0]]
    )
    late = np.where(t >= 0.35, 0.05 * np.cos(2 * np.pi * 50 * (t - 0.35)), 0)
    assert np.abs(y - x * fade - late).max() < 1e-5  # the same key again, as the first one fades
    loud = rendered(page, [["press", 0, key, 2.0] for key in range(14)])
    assert 0.9 < np.abs(loud).max() < 1  # a sum of 1.4 is limited


@in_browser
def test_one_voice_too_many_takes_the_place_of_one(visit):
    page, t = visit(), np.arange(8000) / 8000
    x = 0.05 * np.cos(2 * np.pi * 50 * t)
    sixteen = [["press", 0, key, 0.1] for key in range(15)] + [["press", 0, 15, 1.0]]
    y = rendered(page, [*sixteen, ["press", 0.5, 16, 0.1]])
    gone = np.clip((0.515 - t) / 0.015, 0, 1)  # the oldest fades at once
    late = np.where(t >= 0.5, 0.1 * 0.05 * np.cos(2 * np.pi * 50 * (t - 0.5)), 0)
    assert np.abs(y - (x * (0.1 * gone + 1.4 + 1) + late)).max() < 1e-5
    y = rendered(page, [*sixteen, ["release", 0.4, 15, 0.2], ["press", 0.5, 16, 0.1]])
    faded = np.clip((0.6 - t) / 0.2, 0, 1)  # one that fades already goes first, from where it is
    faded = np.where(t > 0.5, np.clip(0.5 * (0.515 - t) / 0.015, 0, 1), faded)
    assert np.abs(y - (x * (faded + 1.5) + late)).max() < 1e-5


@in_browser
def test_the_bend_changes_the_rate(visit):
    page = visit()
    y = rendered(page, [["press", 0, 60, 1.0], ["bend", 0, 12]], 0.5)
    assert np.abs(y - 0.05 * np.cos(2 * np.pi * 100 * np.arange(4000) / 8000)).max() < 1e-3
    y = rendered(page, [["press", 0, 60, 1.0], ["bend", 0.25, 12]])  # what is left is played faster
    assert np.abs(y[5100:]).max() == 0 and np.abs(y[4600:4990]).max() > 0.04


@in_browser
def test_a_recording_is_what_was_played(visit, tmp_path):
    page = visit(path="live.html")
    ahead(page, 24)
    page.get_by_role("button", name="Record").click()
    for name in "C4", "E4":
        page.get_by_role("button", name=name, exact=True).press("Enter")
    page.wait_for_function("player.now > player.voices.at(-1).start + 0.25")
    times = page.evaluate("player.voices.map(voice => voice.start)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Stop and save").click()
    download.value.save_as(path := tmp_path / download.value.suggested_filename)
    assert path.name == "band-take-1.wav"
    x, rate = soundfile.read(path)
    assert rate == 8000 and len(x) > 0.25 * 8000
    t = np.arange(len(x)) / 8000
    wanted = np.zeros(len(x))
    for start, pitch in zip(times, (60, 64)):  # it begins with the first sound
        since = t - (start - times[0])
        tone = 0.1 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * since)
        wanted += np.where(since >= 0, tone, 0)
    kept = slice(0, min(len(x) - 120, 4000))  # it fades within its last 15 ms
    assert np.abs(x[kept] - wanted[kept]).max() < 2e-3
    assert page.locator(".status").text_content().startswith("Saved band-take-1.wav, 0.")


@in_browser
def test_nothing_played_is_nothing_saved(visit):
    page = visit()
    page.get_by_role("button", name="Record").click()
    assert page.locator("[aria-label=Live] [aria-pressed=true]").text_content() == "■ Stop and save"
    page.get_by_role("button", name="Stop and save").click()
    page.wait_for_function(
        "document.querySelector('.status').textContent.startsWith('Nothing was')"
    )
    assert page.get_by_role("button", name="Record").get_attribute("aria-pressed") == "false"


@in_browser
def test_the_latency_is_what_the_context_says(visit):
    late = visit().evaluate(
        """async () => { const { latency } = await import("./player.js")
        const context = { currentTime: 2, baseLatency: 0.01, outputLatency: 0.03 }
        return latency(context, 100, 2.005, 107) }"""
    )
    assert late == {"page": pytest.approx(12), "device": pytest.approx(40)}


@in_browser
def test_the_pad_shows_where_the_sounds_are(visit):
    page = visit(path="live.html")
    colours = page.locator("canvas.dots").evaluate(
        """c => { const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true })
        copy.drawImage(c, 0, 0)
        return [[0.5, 0.25], [0.75, 0.5], [0.25, 0.5], [0.5, 0.75]].map(([x, y]) =>
            [...copy.getImageData(x * c.width, y * c.height, 1, 1).data]) }"""
    )
    drum, *organs, nothing = colours
    assert nothing == [0, 0, 0, 0] and organs[0] == organs[1] != drum
    assert drum[3] < organs[0][3] == 255  # the chosen class stands out
    legend = page.get_by_role("list", name="Dots: sounds that it has learned from")
    assert legend.get_by_role("listitem").all_text_contents() == ["drum", "organ"]
    swatch = legend.locator(".dot").nth(1)
    shown = swatch.evaluate("e => getComputedStyle(e).backgroundColor.match(/\\d+/g).map(Number)")
    assert np.allclose(shown[:3], organs[0][:3], atol=2)
    drag(page, (0.5, 0.5), (0.75, 0.5))  # what is under the finger is heard
    answered(page)
    assert abs(settings(page)["offsets"][0] - 1.5) < 0.05 and page.evaluate("starts.length") > 0
