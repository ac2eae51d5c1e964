"""A page in one file that plays a model: opened from a folder, without a network, and held against JAX."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import in_browser, watched
from flax import nnx

import audiogen as package
from audiogen.demo import slider_latent
from audiogen.explorer import explorer_line, explorer_spec, split_settings
from audiogen.generator import AudioModel, load_model, save_model, synthesize
from audiogen.spectral import SpectralGenerator
from audiogen.support.page import save_page
from audiogen.support.store import shipped_models
from benchmarks.explorer import serve

STATIC = Path(package.__file__).with_name("static")
SPECTRAL = ["spectral", "spectral-instruments", "vae"]
PLAYABLE = ["conditional", "conditional-instruments", *SPECTRAL]
WATCH = """
window.starts = []
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when = 0) {
  starts.push(this.buffer.getChannelData(0).slice())
  start.call(this, when)
}
"""
MODULES = """<!doctype html><html lang="en"><meta charset="utf-8"><title>modules</title>
<link rel="icon" href="data:,"><script type="module">
import { answers, specOf } from "./static/answers.js"
import Conditional from "./static/conditional.js"
import { latentKey } from "./static/latents.js"
import { modelOf } from "./static/model.js"
import Spectral from "./static/spectral.js"
import { readWeights } from "./static/weights.js"
const weightsOf = async name => (await fetch(`static/${name}.safetensors`)).arrayBuffer()
const decoders = {}
window.decoderOf = async name => {
  const Decoder = name.startsWith("conditional") ? Conditional : Spectral
  return decoders[name] ??= new Decoder(readWeights(await weightsOf(name)))
}
Object.assign(window, { answers, latentKey, modelOf, specOf, weightsOf })
</script></html>"""


def agreement_db(x, y):
    return 10 * np.log10(np.sum(np.square(x)) / np.sum(np.square(x - y)))


def similarity(x, y):
    return np.sum(x * y) / np.sqrt(np.sum(np.square(x)) * np.sum(np.square(y)))


@pytest.fixture(scope="module")
def full_rate(tmp_path_factory):
    "The file of a model of a second at 44.1 kHz, untrained, but as large and as loud as a trained one."
    rng = np.random.default_rng(0)
    settings = dict(window_size=1024, hop_size=256, classes=("kick", "snare"), few=True)
    model = SpectralGenerator(sample_rate=44100, duration=1.0, rngs=nnx.Rngs(0), **settings)
    model.latents.known[...] = jnp.asarray(rng.normal(size=model.latents.known.shape))
    model.generator.layers[-1].kernel[...] *= 3
    path = tmp_path_factory.mktemp("full-rate") / "hits.safetensors"
    save_model(path, model, half=True, about={"data": "none", "licence": "CC0"})
    return path


@pytest.fixture(scope="module")
def modules(chromium, full_rate, tmp_path_factory):
    "The modules of the decoders, on a page, with the weights of all models that they play."
    folder = tmp_path_factory.mktemp("modules")
    shutil.copytree(STATIC, folder / "static")
    for name in PLAYABLE:
        shutil.copy(shipped_models()[name], folder / "static")
    shutil.copy(full_rate, folder / "static")
    (folder / "index.html").write_text(MODULES, "utf-8")
    with serve(folder) as address, watched(chromium, address) as (page, complaints):
        page.goto(address)
        page.wait_for_function("window.decoderOf !== undefined")
        yield page
        assert complaints == []


def opened(browser, path, **properties):
    "A page from a folder, in a window without a network, and what it complains of."
    return watched(browser, path.parent.as_uri(), offline=True, **properties)


def show(page, path):
    "Open a page and wait for its first sound."
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelector('.code')?.value", timeout=60_000)


def play(page):
    "The samples that a press of Play starts."
    page.evaluate("starts.length = 0")
    page.get_by_role("button", name="▶ Play").click()
    page.wait_for_function("starts.length > 0")
    return np.array(page.evaluate("[...starts[0]]"))


# The modules, held against Python


@in_browser
@pytest.mark.parametrize("name", PLAYABLE)
def test_what_the_explorer_is_told_is_pythons(modules, name):
    told = modules.evaluate("async name => specOf(await decoderOf(name), name)", name)
    python = json.loads(json.dumps(explorer_spec(load_model(name), name=name)))
    assert told == {key: python[key] for key in told}


SETTINGS = [
    {},
    {"seed_a": 2**31 - 1, "label": None},
    {"interpolation": 0.4, "label_b": True, "seed_b": 5},
    {"variation_scale": 0.5, "variation_seed": 3, "offsets": [0.5, -1.2, 0, 0, 0, 0, 0, 2]},
]


@in_browser
@pytest.mark.parametrize("name", ["conditional-instruments", *SPECTRAL])
def test_settings_stand_for_the_same_sound_and_line_as_in_python(modules, name):
    model, source = load_model(name), f"load_model({name!r})"
    spec = explorer_spec(model)
    for some in SETTINGS:
        settings = spec["settings"] | {"label": spec["classes"][-1]}
        known = settings.keys()
        settings |= {key: value for key, value in some.items() if key in known}
        if name.startswith("conditional"):
            settings["label"] = spec["classes"][-1]
        if settings.get("label_b"):
            settings["label_b"] = spec["classes"][0]
        base, python = modules.evaluate(
            """async ([name, source, settings]) => {
              const { base, python } = answers(await decoderOf(name), source)(settings)
              return [base, python] }""",
            [name, source, settings],
        )
        latents = split_settings(model, settings)[0]
        z = slider_latent(model, **latents)
        base = np.array(base)
        base[: len(settings["offsets"])] += settings["offsets"]
        np.testing.assert_allclose(base, z, atol=3e-5)
        assert python == explorer_line(model, settings, source=source)


@in_browser
def test_of_a_few_recordings_new_sounds_lie_between_two_as_in_python(modules, full_rate):
    model = load_model(full_rate)
    for seed in range(6):
        for label in ("kick", "snare"):
            base = modules.evaluate(
                """async ([seed, label]) => {
                  const decoder = await decoderOf("hits")
                  const settings = { ...specOf(decoder, "hits").settings, label, seed_a: seed }
                  return answers(decoder, "model")(settings).base }""",
                [seed, label],
            )
            z = slider_latent(model, seed_a=seed, label=label)
            np.testing.assert_allclose(base, z, atol=3e-5)


@in_browser
@pytest.mark.parametrize("name", [*SPECTRAL, "hits"])
def test_the_spectrogram_and_the_sound_are_jaxs(modules, full_rate, name):
    model = load_model(full_rate if name == "hits" else name)
    z = np.asarray(model.sample_latents(nnx.Rngs(0)(), 4), np.float32)
    L, x = np.asarray(model.draw(z)), np.asarray(synthesize(model, z))
    alike = []
    for i in range(len(z)):
        picture, sound = modules.evaluate(
            """async ([name, z]) => {
              const decoder = await decoderOf(name)
              return [[...decoder.draw(z)], [...decoder.sound(z)]] }""",
            [name, z[i].tolist()],
        )
        assert agreement_db(L[i].ravel(), np.array(picture)) > 100
        alike.append(similarity(x[i], np.array(sound)))
    # 32 rounds of Griffin and Lim make more of a rounded last bit, where magnitudes are small
    assert min(alike) > 0.97 and np.median(alike) > 0.999


@in_browser
def test_notes_are_computed_ahead_and_a_sound_goes_first(modules):
    replies = modules.evaluate("""async () => {
      const worker = new Worker("static/conditional.js", { type: "module" })
      const weights = await weightsOf("conditional"), name = "conditional"
      const model = await modelOf(worker, { weights, name, source: "model()" })
      const { settings, notes } = model.get("spec"), pitches = [60, 61, 62, 63, 64, 65]
      const replies = []
      const done = new Promise(resolve => model.on("msg:custom", ({ id, kind, pitch, python }, [x]) => {
        replies.push([id, kind, pitch ?? null, python, [...x]])
        if (replies.length === 7) resolve()
      }))
      model.send({ kind: "notes", id: "n", settings, pitches })
      model.send({ kind: "sound", id: "s", settings: { ...settings, pitch: 64 } })
      await done
      worker.terminate()
      return notes && replies
    }""")
    assert [r[2] for r in replies if r[1] == "note"] == [60, 61, 62, 63, 64, 65]
    assert [r[0] for r in replies].index("s") <= 1
    sounds = {pitch: x for _, _, pitch, _, x in replies}
    assert sounds[64] == sounds[None] != sounds[65]
    assert all("pitch=64" in python for _, _, pitch, python, _ in replies if pitch in (64, None))


@in_browser
def test_an_error_is_answered_and_later_notes_are_dropped(modules):
    replies = modules.evaluate("""async () => {
      const worker = new Worker("static/conditional.js", { type: "module" })
      const weights = await weightsOf("conditional"), name = "conditional"
      const model = await modelOf(worker, { weights, name, source: "model()" })
      const { settings } = model.get("spec"), replies = []
      const done = new Promise(resolve => model.on("msg:custom", ({ id, kind, message }) => {
        replies.push([id, kind, message ?? null])
        if (id === "last") resolve()
      }))
      model.send({ kind: "notes", id: "a", settings: { ...settings, words: "funky" }, pitches: [60, 61] })
      model.send({ kind: "notes", id: "b", settings, pitches: [60, 61, 62] })
      model.send({ kind: "notes", id: "c", settings, pitches: [70] })
      model.send({ kind: "sound", id: "words", settings: { ...settings, words: "short long" } })
      setTimeout(() => model.send({ kind: "sound", id: "last", settings }), 300)
      await done
      worker.terminate()
      return replies
    }""")
    assert [r[:2] for r in replies] == [
        ["a", "error"],
        ["b", "note"],
        ["c", "note"],
        ["words", "error"],
        ["last", "sound"],
    ]
    assert "'funky' is not a word I know" in replies[0][2]
    assert replies[3][2].startswith("words are 'short' and 'long', which cancel each other")


# The page in one file


@in_browser
@pytest.mark.parametrize(
    "name, least", [("conditional", 0.9999), ("spectral", 0.97), ("vae", 0.97)]
)
def test_it_plays_from_a_folder_without_a_network(chromium, tmp_path, name, least):
    path = save_page(tmp_path / "instrument.html", name)
    with opened(chromium, path) as (page, complaints):
        show(page, path)
        assert page.title() == name
        first = play(page)
        exec(page.locator(".code").input_value(), scope := {})
        assert similarity(first, np.asarray(scope["x"])) > least
        line = page.locator(".code").input_value()
        page.locator(".pad").press("ArrowUp")
        page.wait_for_function("line => document.querySelector('.code').value !== line", arg=line)
        assert agreement_db(first, play(page)) < 50
        assert complaints == []


@in_browser
def test_keys_play_and_the_sound_is_saved(chromium, tmp_path):
    path = save_page(tmp_path / "keys.html", "conditional", name="My keys")
    with opened(chromium, path) as (page, complaints):
        show(page, path)
        page.locator(".audiogen-explorer").focus()
        for letter, pitch in ("d", 64), ("k", 72):
            page.keyboard.press(letter)
            page.wait_for_function(
                f"document.querySelector('.code').value.includes('pitch={pitch}')"
            )
            expected = synthesize(
                load_model("conditional"),
                slider_latent(load_model("conditional"), label="pluck"),
                label="pluck",
                pitch=pitch,
                loudness=-12,
            )
            assert agreement_db(np.asarray(expected), play(page)) > 50
        page.get_by_text("All controls").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save WAV").click()
        x, rate = package.load_audio(download.value.path())
        assert rate == 16000 and agreement_db(np.asarray(expected), np.asarray(x)) > 40
        assert complaints == []


@in_browser
@pytest.mark.parametrize("scheme, dark", [("light", False), ("dark", True)])
def test_it_fits_a_phone_by_day_and_by_night(chromium, tmp_path, scheme, dark):
    path = save_page(tmp_path / "phone.html", "conditional", name="a-name-without-any-space" * 4)
    size = {"width": 390, "height": 844}
    with opened(chromium, path, viewport=size, color_scheme=scheme) as (page, complaints):
        show(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        level = sum(map(int, back.removeprefix("rgb(").rstrip(")").split(",")))
        assert (level < 200) == dark
        assert complaints == []


def test_a_page_of_a_second_at_44100_hz_is_small_enough(full_rate, tmp_path):
    path = save_page(tmp_path / "hits.html", full_rate)
    assert path.stat().st_size < 5_000_000
    text = path.read_text("utf-8")
    assert "<h1>hits</h1>" in text and "licence: CC0" in text
    assert "fetch(" not in text and "import(" not in text


SINE = """
import { normal } from "./random.js"
import { serve } from "./worker.js"

class Sine {
  constructor({ config, conditions }) { Object.assign(this, { config, conditions }) }
  sampleLatents(key) { return normal(key, 1) }
  sound(z) {
    const turn = 2 * Math.PI * 440 * 2 ** z[0] / this.config.sample_rate
    return Float32Array.from({ length: 4000 }, (_, i) => Math.sin(turn * i) / 2)
  }
}
serve(Sine)
"""


@dataclass(frozen=True)
class SineConfig:
    sample_rate: int = 8000
    duration: float = 0.5
    latent_dim: int = 1


class SineModel(AudioModel):
    config = SineConfig()

    def __call__(self, z):
        return jnp.sin(2 * jnp.pi * 440 * 2.0**z * jnp.arange(4000) / 8000) / 2


@in_browser
def test_a_model_of_ones_own_with_its_decoder(chromium, tmp_path):
    (tmp_path / "sine.js").write_text(SINE, "utf-8")
    model = SineModel()
    with pytest.raises(ValueError, match="SineModel has no decoder in JavaScript"):
        save_page(tmp_path / "sine.html", model)
    model.browser = str(tmp_path / "sine.js")
    path = save_page(tmp_path / "sine.html", model)
    with opened(chromium, path) as (page, complaints):
        show(page, path)
        z = slider_latent(model)
        assert agreement_db(np.asarray(synthesize(model, z)), play(page)) > 50
        assert complaints == []


# The commands


def test_what_cannot_be_a_page_is_one_line(audiogen, tmp_path):
    (tmp_path / "run").mkdir()
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    for words, said in {
        (
            "page",
            "--model",
            "wavenet",
        ): "like one of conditional-instruments, conditional, spectral",
        ("page", "--model", "untrained"): "untrained: no such file, and no shipped model",
        ("page", "--model", "run"): "no model.safetensors in this folder",
        ("page", "--model", "absent"): "no such file, and no shipped model",
        (
            "page",
            "--out",
            "taken.html",
        ): "taken.html: is there already; want another --out, or --force",
        ("explore", "--out", "taken.html"): "taken.html: is there already",
        ("page", "--model", "vae", "--out", "taken.html/page.html"): "File exists",
    }.items():
        status, out, err = audiogen(*words, cwd=tmp_path)
        assert (status, out) == (2, "") and err.count("\n") == 1 and said in err
    assert taken.read_text() == "mine" and {*os.listdir(tmp_path)} == {"run", "taken.html"}


def test_a_full_disk_leaves_what_was_there(environment, tmp_path):
    (tmp_path / "page.html").write_text("mine")
    words = "page --model vae --out page.html --force".split()

    def run(limit):
        limited = [
            "sh",
            "-c",
            f'ulimit -f {limit}; exec "$0" "$@"',
            sys.executable,
            "-m",
            "audiogen",
        ]
        options = dict(cwd=tmp_path, env=environment, capture_output=True, text=True)
        return subprocess.run([*limited, *words], **options)

    full = run(200)  # blocks of 512 bytes
    assert (full.returncode, full.stdout) == (2, "") and "page.html: File too large" in full.stderr
    assert os.listdir(tmp_path) == ["page.html"] and (tmp_path / "page.html").read_text() == "mine"
    assert run("unlimited").stdout == "page.html\n"


def test_explore_opens_a_browser_where_there_is_one(audiogen_alone, environment, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    screenless = {k: v for k, v in environment.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    screenless["TMPDIR"] = str(tmp_path)
    status, out, err = audiogen_alone("explore", "--model", "vae", env=screenless)
    assert (status, err) == (0, "") and Path(out.strip()).read_text().startswith("<!doctype html>")
    assert not (tmp_path / "opened").exists()
    words = "explore", "--model", "vae", "--out", tmp_path / "a b.html"
    status, out, err = audiogen_alone(*words, env=screenless | {"BROWSER": f"{browser} %s"})
    assert (status, err) == (0, "")
    assert (tmp_path / "opened").read_text() == (tmp_path / "a b.html").as_uri() + "\n"
