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
from audiogen.demo import slider_latent
from audiogen.explorer import explorer_spec, split_settings
from audiogen.generator import load_model, synthesize
from audiogen.support.figures import player_html
from audiogen.support.loudness import at_loudness
from audiogen.support.words import WORDS, centroid_hz, traits
from audiogen.variation import slerp
from benchmarks.explorer import serve

PACKAGE = Path(audiogen.__file__).parent
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<div class="audiogen-page" data-model="NAME"><p>fallback</p></div><script type="module">
import "./static/page.js"
import { answers, specOf } from "./static/answers.js"
import Decoder, { setLoudness } from "./static/conditional.js"
import { slerp, sliderLatent } from "./static/latents.js"
import { keyOf, normal } from "./static/random.js"
import { readWeights } from "./static/weights.js"
import { pageSpecOf } from "./static/worker.js"
window.starts = []
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when) { starts.push(this.buffer.getChannelData(0).slice()); start.call(this, when) }
const weights = await (await fetch("static/conditional.safetensors")).arrayBuffer()
const decoder = new Decoder(readWeights(weights)), name = "conditional"
const answer = answers(decoder, "load_model('conditional')")
Object.assign(window, { answer, keyOf, normal, setLoudness, slerp, sliderLatent, decoder, spec: specOf(decoder, name), pageSpec: pageSpecOf(decoder, name) })
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
        page.get_by_text("All controls").click()
        yield page
        assert complaints == []


def agreement_db(x, y):
    return 10 * np.log10(np.sum(np.square(x)) / np.sum(np.square(x - y)))


def test_the_noise_is_jaxs(page):
    for seed in 0, 12345:
        np.testing.assert_allclose(
            page.evaluate("seed => [...normal(keyOf(seed), 8000)]", seed),
            jax.random.normal(jax.random.key(seed), (8000,)),
            atol=1e-4,
        )


def test_the_decoder_is_jaxs(page):
    m = model()
    for z, c, midi in zip(*inputs(m)):
        y = np.array(
            page.evaluate(
                "([z, label, pitch]) => [...decoder.sound(z, { label, pitch })]",
                [z.tolist(), m.config.classes[c], float(midi)],
            )
        )
        assert (
            agreement_db(
                np.asarray(synthesize(m, z, label=m.config.classes[c], pitch=midi or None)), y
            )
            > 50
        ), (c, midi)


def test_what_the_explorer_is_told_is_pythons(page):
    told = page.evaluate("spec")
    python = json.loads(json.dumps(explorer_spec(model(), name="conditional")))
    assert told == {key: python[key] for key in told} and told["words"] == list(WORDS)


def test_words_mean_what_they_mean_in_python(page):
    for word, (trait, sign) in WORDS.items():
        weights = [sign * (i == trait) for i in range(4)]
        assert page.evaluate("word => decoder.weightsOf(word, 'pluck')", word) == weights
    assert page.evaluate("decoder.weightsOf('Dark, dark long', 'pluck')") == [1, -2, 0, 0]


def test_a_style_is_measured_as_in_python(page):
    z, c, midi = inputs(m := model())
    seen = [
        page.evaluate(
            "([z, c, midi]) => decoder.traits(z, c, midi)",
            [z[i].tolist(), int(c[i]), float(midi[i])],
        )
        for i in range(len(z))
    ]
    np.testing.assert_allclose(seen, traits(m, z, jnp.asarray(c), jnp.asarray(midi)), atol=2e-3)


@pytest.mark.parametrize("label", ["kick", "pluck"])
def test_a_seed_draws_what_it_draws_in_python(page, label):
    for some in {}, {"seed_a": 7, "words": "dark"}, {"interpolation": 0.3, "seed_b": 2**31 - 1}:
        settings = page.evaluate("spec.settings") | {"label": label} | some
        settings |= {"variation_scale": 0.5, "variation_seed": 3}
        base = page.evaluate("settings => answer(settings).base", settings)
        given = split_settings(model(), settings)[0]
        np.testing.assert_allclose(base, slider_latent(model(), **given), atol=2e-5)


def test_loudness_and_the_way_between_two_sounds(page):
    rng = np.random.default_rng(0)
    for n, level, scale in (8000, -12, 0.1), (500, -30, 0.1), (8000, 0, 0.9), (8000, -12, 0):
        x = (scale * rng.normal(size=n)).astype(np.float32)
        seen = page.evaluate(
            "([x, level]) => { const y = Float32Array.from(x); setLoudness(y, level, 16000); return [...y] }",
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
    line = page.locator(".code").input_value()
    exec(line, scope := {})
    assert f"'{label}'" in line and agreement_db(np.asarray(scope["x"]), x) > 50
    assert line.endswith("; play(x, sample_rate=model.sample_rate)")


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
    settings = page.evaluate("spec.settings") | {"label": "brass"}

    def brightness(words, seed):
        sound = page.evaluate(
            "settings => [...answer(settings).x]",
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
      const settings = { ...spec.settings, label: "kick", words: "Short noisy" }
      try { answer(settings) } catch (error) { return error.message } }""")
    assert said.startswith("kick has no pitch, and 'noisy' says how harmonic")
    with pytest.raises(ValueError) as refused:
        model().generate(rngs=nnx.Rngs(0), label="kick", words="Short noisy")
    assert said == str(refused.value)


def test_work_is_shown_while_it_goes_on(page):
    "Many styles are measured for words; meanwhile the page is drawn, and says so."
    page.evaluate("""() => { window.seen = []
        new MutationObserver(() => seen.push(document.querySelector(".status").textContent)).observe(document.querySelector(".status"), { childList: true })
        const clock = setTimeout
        window.setTimeout = (f, ms = 0) => clock(f, ms === 150 ? 1 : ms) }""")
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


def test_the_page_begins_with_one_invitation(chromium, address):
    "A point to drag, three things to press and a class; the rest is folded."
    with watched(chromium, address) as (page, complaints):
        page.goto(address)
        page.wait_for_function("document.querySelector('.code')?.value")
        assert page.locator(".invitation").text_content().startswith("Drag the point")
        seen = page.locator("button:visible, select:visible, input:visible").evaluate_all(
            "all => all.filter(e => !e.matches('.key')).map(e => e.ariaLabel ?? e.textContent.trim())"
        )
        assert seen == [
            "▶ Play",
            "New sound",
            "Class",
            "An octave down",
            "An octave up",
            "This sound as a line of Python",
            "Copy as Python",
        ]
        assert complaints == []


def test_the_pad_shows_where_the_known_sounds_are(page):
    "A dot for each style that the model remembers, those of the chosen class in full colour; where the point is dragged to one, it is that style."
    m = model()
    known = page.evaluate("pageSpec.known")
    np.testing.assert_allclose(known, np.asarray(m.latents.known[...]), atol=1e-6)

    def ink():
        return page.evaluate("""() => { const c = document.querySelector(".dots"), { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height)
            let inked = 0; for (let i = 3; i < data.length; i += 4) inked += data[i] > 250; return inked / data.length * 4 }""")

    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Class").select_option("kick")
    page.wait_for_function("document.querySelector('.code').value.includes('kick')")
    assert 0.001 < ink() < 0.5
    base, style, settings = page.evaluate("""() => {
        const settings = { ...spec.settings, label: "kick" }
        return [answer(settings).base, pageSpec.known[0][5], settings] }""")
    settings["offsets"] = (np.array(style) - base)[:8].tolist()
    z = slider_latent(m, **split_settings(m, settings)[0])
    np.testing.assert_allclose(z[:8], style[:8], atol=2e-5)


# The page Listen

SOUNDS = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,"><link rel="stylesheet" href="styles.css">
<meta name="viewport" content="width=device-width, initial-scale=1"><body><div><table class="sounds"><thead><tr><td></td>TITLES</tr></thead><tbody>ROWS</tbody></table>
<div class="blind-test" data-real="real" data-never="untrained"></div></div><script type="module">
window.contexts = 0; window.starts = []
const Context = AudioContext
window.AudioContext = class extends Context { constructor(...how) { super(...how); contexts++ } }
const start = AudioBufferSourceNode.prototype.start
AudioBufferSourceNode.prototype.start = function (when) { starts.push(Math.round(1000 * this.buffer.getChannelData(0)[0])); start.call(this, when) }
await import("./static/players.js")
</script></body></html>"""
SYSTEMS, COLUMNS = ("real", "untrained", "model"), ("kick", "snare", "tom", "pluck", "organ")


@pytest.fixture
def listening(chromium, address, tmp_path):
    "The players; the first sample of each sound says, in thousandths, where it stands: 10 · row + column."
    shutil.copytree(PACKAGE / "static", tmp_path / "static")
    shutil.copy(PACKAGE.parent / "nbs/styles.css", tmp_path)
    rows = ""
    for i, system in enumerate(SYSTEMS):
        rows += f'<tr><th scope="row">{system}</th>'
        for j, column in enumerate(COLUMNS):
            x = np.full(800, (10 * i + j + 1) / 1000, np.float32)
            player = player_html(x, sample_rate=16000, title=f"{column}, {system}")
            rows += f"<td>{player}</td>"
    titles = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    page = SOUNDS.replace("TITLES", titles).replace("ROWS", rows)
    (tmp_path / "index.html").write_text(page, "utf-8")
    with serve(tmp_path) as own, watched(chromium, own) as (page, complaints):
        page.goto(own)
        page.wait_for_selector(".blind-test button")
        yield page
        assert complaints == []


def test_sounds_are_played_by_mouse_and_by_keys(listening):
    page = listening
    assert page.locator("audio").count() == 0 and page.locator(".sound").count() == 15
    page.get_by_role("button", name="Play snare, real").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # there is no further row
    page.keyboard.press("ArrowRight")
    assert page.evaluate("starts") == [2, 12, 22, 23] and page.evaluate("contexts") == 1
    assert page.evaluate("document.activeElement.ariaLabel") == "Play tom, model"
    assert page.locator(".sound[tabindex='0']").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector(".sound:not(.playing)")
    page.evaluate("starts.length = 0")
    page.get_by_role("button", name="Play organ of each row").click()
    page.wait_for_function("starts.length === 3")
    assert page.evaluate("starts") == [5, 15, 25]


def test_a_blind_test_keeps_the_score(listening):
    page = listening
    for _ in range(6):
        page.evaluate("starts.length = 0")
        page.get_by_role("button", name="▶ A").click()
        page.get_by_role("button", name="▶ B").click()
        a, b = (value // 10 for value in page.evaluate("starts"))
        assert {a, b} == {0, 2}  # the real row and the model's, never the untrained one's
        page.get_by_role("button", name=f"{'A' if a == 0 else 'B'} is real").click()
        assert "from model" in page.locator(".blind-test [role=status]").text_content()
        page.get_by_role("button", name="Next pair").click()
    page.get_by_role("button", name="▶ A").click()
    wrong = "B" if page.evaluate("starts.at(-1)") < 10 else "A"
    page.get_by_role("button", name=f"{wrong} is real").click()
    assert page.locator(".blind-test b").text_content() == "6 of 7"


def test_the_sounds_fit_a_phone_and_the_column(listening):
    for width, rows in (390, 2), (832, 1):
        listening.set_viewport_size({"width": width, "height": 800})
        assert listening.evaluate("document.documentElement.scrollWidth") <= width
        tops = listening.locator("tbody tr:first-child > *").evaluate_all(
            "all => [...new Set(all.map(e => Math.round(e.getBoundingClientRect().y / 12)))].length"
        )
        sizes = listening.locator(".sound").evaluate_all(
            "all => all.map(e => Math.min(e.clientWidth, e.clientHeight))"
        )
        assert tops == rows and min(sizes) >= 24  # as large as WCAG wants a target to be
