"""The explorer on a page of the docs: a decoder in JavaScript, held against the one in JAX."""

import json
import shutil
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import in_browser, watched
from flax import nnx

import audiogen
from audiogen.explorer import explorer_spec
from audiogen.generator import load_model, synthesize
from audiogen.support.loudness import at_loudness
from audiogen.support.words import WORDS, centroid_hz, sample_styles, traits
from audiogen.variation import slerp
from benchmarks.explorer import serve

PACKAGE = Path(audiogen.__file__).parent
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<div class="audiogen-page" data-model="NAME"><p>fallback</p></div><script type="module">
import * as page from "./static/page.js"
import { Decoder, randomFrom, whiteNoise } from "./static/decoder.js"
window.starts = []
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when) { starts.push(this.buffer.getChannelData(0).slice()); start.call(this, when) }
Object.assign(window, page, { randomFrom, whiteNoise, decoder: new Decoder(await (await fetch("static/conditional.safetensors")).arrayBuffer()) })
</script></html>"""
CASES = [
    ("kick", 0),
    ("snare", 0),
    ("hat", 0),
    ("tom", 0),
    ("cowbell", 0),
    ("pluck", 60.5),
    ("pluck", 57),
    ("brass", 48),
    ("organ", 77.3),
]
pytestmark = in_browser


@lru_cache
def model():
    return load_model("conditional")


def inputs(model):
    "A random latent vector for each of CASES, the numbers of their classes, their pitches."
    z = np.random.default_rng(0).normal(size=(len(CASES), model.latent_dim)).astype(np.float32)
    return (
        z,
        np.array([model.config.classes.index(name) for name, _ in CASES]),
        np.array([midi for _, midi in CASES], np.float32),
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(PACKAGE / "static", folder / "static")
    shutil.copy(PACKAGE / "weights/conditional.safetensors", folder / "static")
    (folder / "index.html").write_text(PAGE.replace("NAME", "conditional"), "utf-8")
    (folder / "broken.html").write_text(PAGE.replace("NAME", "absent"), "utf-8")
    with serve(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(chromium, address):
    "The page, loaded; in the end it must not have complained."
    with watched(chromium, address, viewport={"width": 900, "height": 900}) as (page, complaints):
        page.goto(address)
        page.wait_for_function("window.decoder && document.querySelector('.code')?.value")
        yield page
        assert complaints == []


def agreement_db(x, y):
    return 10 * np.log10(np.sum(np.square(x)) / np.sum(np.square(x - y)))


def test_the_noise_is_jaxs(page):
    for seed in 0, 12345:
        np.testing.assert_allclose(
            page.evaluate("seed => [...whiteNoise(seed, 8000)]", seed),
            jax.random.normal(jax.random.key(seed), (8000,)),
            atol=1e-4,
        )


def test_the_decoder_is_jaxs(page):
    m = model()
    for z, c, midi in zip(*inputs(m)):
        y = np.array(
            page.evaluate(
                "([z, c, midi]) => [...decoder.sound(z, c, midi)]",
                [z.tolist(), int(c), float(midi)],
            )
        )
        assert (
            agreement_db(
                np.asarray(synthesize(m, z, label=m.config.classes[c], pitch=midi or None)), y
            )
            > 50
        ), (c, midi)


def test_what_the_explorer_is_told_is_pythons(page):
    assert page.evaluate("specOf(decoder)") == json.loads(
        json.dumps(explorer_spec(model(), name="conditional"))
    )
    assert page.evaluate("specOf(decoder).words") == list(WORDS)


def test_words_mean_what_they_mean_in_python(page):
    for word, (trait, sign) in WORDS.items():
        weights = [sign * (i == trait) for i in range(4)]
        assert page.evaluate("word => weigh(decoder, word)", word) == weights
    assert page.evaluate("weigh(decoder, 'Dark, dark long')") == [1, -2, 0, 0]


def test_a_style_is_measured_as_in_python(page):
    z, c, midi = inputs(m := model())
    seen = [
        page.evaluate(
            "([z, c, midi]) => traits(decoder, z, c, midi)",
            [z[i].tolist(), int(c[i]), float(midi[i])],
        )
        for i in range(len(z))
    ]
    np.testing.assert_allclose(seen, traits(m, z, jnp.asarray(c), jnp.asarray(midi)), atol=2e-3)


@pytest.mark.parametrize("name, midi", [("kick", 0), ("pluck", 66)])
def test_styles_are_spread_as_in_python(page, name, midi):
    m = model()
    c, n = m.config.classes.index(name), 2000
    seen = np.array(
        page.evaluate(
            "([c, midi, n]) => { const r = randomFrom(7); return Array.from({ length: n }, () => drawStyle(decoder, r, c, midi)) }",
            [c, midi, n],
        )
    )
    drawn = np.asarray(
        sample_styles(m, jax.random.key(0), np.full(n, c), np.full(n, midi, np.float32))
    )
    np.testing.assert_allclose(seen.mean(0), drawn.mean(0), atol=5 * drawn.std() * (2 / n) ** 0.5)
    np.testing.assert_allclose(np.cov(seen.T), np.cov(drawn.T), atol=0.15 * drawn.var(0).max())


def test_loudness_and_the_way_between_two_sounds(page):
    rng = np.random.default_rng(0)
    for n, level, scale in (8000, -12, 0.1), (500, -30, 0.1), (8000, 0, 0.9), (8000, -12, 0):
        x = (scale * rng.normal(size=n)).astype(np.float32)
        seen = page.evaluate(
            "([x, level]) => [...atLoudness(Float32Array.from(x), level, 16000)]",
            [x.tolist(), level],
        )
        np.testing.assert_allclose(seen, at_loudness(x, level, sample_rate=16000), atol=1e-5)
    a, b = rng.normal(size=(2, 12))
    for u, v in (a, b), (a, a), (a, -a):
        np.testing.assert_allclose(
            page.evaluate("([a, b]) => slerp(a, b, 0.3)", [u.tolist(), v.tolist()]),
            slerp(u, v, 0.3),
            atol=1e-5,
        )


@pytest.mark.parametrize("label", ["pluck", "organ", "hat", "cowbell"])
def test_the_line_of_python_makes_the_same_sound(page, label):
    page.get_by_label("Class").select_option(label)
    page.get_by_label("Seed of Sound A").fill("5")
    page.locator(".pad").press("ArrowUp")
    page.get_by_role("button", name="Play").click()
    x = np.array(page.evaluate("[...starts.at(-1)]"))
    exec(page.locator(".code").input_value(), scope := {})
    assert (
        f"'{label}'" in page.locator(".code").input_value()
        and agreement_db(np.asarray(scope["x"]), x) > 50
    )


def test_a_move_makes_another_sound(page):
    page.get_by_role("button", name="Reset").click()
    box, before = page.locator(".pad").bounding_box(), page.evaluate("starts.length")
    line = page.locator(".code").input_value()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.up()
    page.wait_for_function("line => document.querySelector('.code').value !== line", arg=line)
    assert page.evaluate("starts.length") > before
    assert (
        len(
            {
                json.dumps(s)
                for s in page.evaluate("starts.slice(-2).map(x => [...x.slice(0, 100)])")
            }
        )
        == 2
    )


def test_words_choose_a_style(page):
    settings = page.evaluate("specOf(decoder).settings") | {"label": "brass"}

    def brightness(words, seed):
        sound = page.evaluate(
            "settings => [...answers(decoder)(settings).x]",
            settings | {"words": words, "seed_a": seed},
        )
        return np.log2(centroid_hz(sound, sample_rate=16000))

    octaves = [[brightness(words, seed) for words in ("dark", "", "bright")] for seed in range(8)]
    assert all(dark < bright for dark, _, bright in octaves)
    assert (np.diff(np.mean(octaves, 0)) > 0.1).all()
    page.get_by_label("Words").fill("funky")
    page.keyboard.press("Enter")
    assert (
        "'funky' is not a word I know; want some of short, long"
        in page.locator(".status.wrong").text_content()
    )
    page.get_by_label("Words").fill("")
    page.keyboard.press("Enter")


def test_words_that_do_not_fit_a_class_are_refused(page):
    said = page.evaluate("""() => {
      const settings = { ...specOf(decoder).settings, label: "kick", words: "Short noisy" }
      try { answers(decoder)(settings) } catch (error) { return error.message } }""")
    assert said.startswith("kick has no pitch, and 'noisy' says how harmonic")
    with pytest.raises(ValueError) as refused:
        model().generate(rngs=nnx.Rngs(0), label="kick", words="Short noisy")
    assert said == str(refused.value)


def test_work_is_shown_while_it_goes_on(page):
    "Many styles are measured for words; meanwhile the page is drawn, and says so."
    page.evaluate("""() => { window.seen = []
        new MutationObserver(() => seen.push(document.querySelector(".status").textContent)).observe(document.querySelector(".status"), { childList: true })
        const clock = setTimeout
        window.setTimeout = (f, ms = 0) => clock(f, ms === 150 ? 1 : ms)
        let now = 0
        performance.now = () => now += 40 }""")  # however fast this machine is, it takes a rest after each style
    page.get_by_label("Class").select_option("brass")
    page.wait_for_function("document.querySelector('.code').value.includes('brass')")
    page.evaluate("seen.length = 0")
    line = page.locator(".code").input_value()
    page.get_by_label("Words").fill("noisy long")
    page.keyboard.press("Enter")
    page.wait_for_function("line => document.querySelector('.code').value !== line", arg=line)
    assert page.evaluate("seen") == ["working…", ""]


def test_without_weights_the_page_keeps_what_it_had(chromium, address):
    with watched(chromium, address) as (page, complaints):
        page.goto(address + "broken.html")
        page.wait_for_function("window.decoder")
        page.wait_for_timeout(200)
        assert page.get_by_text("fallback").is_visible() and any(
            "404" in text for text in complaints
        )
