"""The docs' pages, rendered by render_docs.py: what a reader would find broken, found here first."""

import base64
import contextlib
import copy
import importlib.util
import io
import json
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
import yaml
from bs4 import BeautifulSoup
from conftest import in_browser, watched
from PIL import Image

from benchmarks.explorer import serve

HAS_AXE = importlib.util.find_spec("axe_playwright_python") is not None
if HAS_AXE:
    from axe_playwright_python.sync_playwright import Axe

REPO = Path(__file__).resolve().parents[1]
NAMES = sorted(
    path.relative_to(REPO / "nbs").with_suffix("").as_posix()
    for pattern in ("*.ipynb", "support/*.ipynb")
    for path in (REPO / "nbs").glob(pattern)
)
CHAPTERS = [name for name in NAMES if name[0].isdigit()]
WALKED = [  # of support, which is made alike, the pages with the widest and the newest things
    name for name in NAMES if "/" not in name or name in ("support/cli", "support/docs")
]
BLOCK = r"(?:[-*+] |\d+[.)] |#+ |> |\|)"  # the start of a list, heading, quotation or table
every_page = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    "The finished process of render_docs.py; its last argument is the folder of pages."
    command = [
        sys.executable,
        "-W",
        "ignore",
        REPO / "tests" / "render_docs.py",
        tmp_path_factory.mktemp("docs"),
    ]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)


@pytest.fixture
def site(build):
    if build.returncode:
        pytest.fail("the docs don't build: see test_docs_build_without_a_warning", pytrace=False)
    return build.args[-1]


@lru_cache
def parse(path):
    return BeautifulSoup(path.read_text(), "html.parser")


@lru_cache
def anchors(path):
    return {element["id"] for element in parse(path).find_all(id=True)}


def cells(name, kind):
    return [
        c
        for c in json.loads((REPO / f"nbs/{name}.ipynb").read_text())["cells"]
        if c["cell_type"] == kind
    ]


def outputs(name):
    return [output for cell in cells(name, "code") for output in cell["outputs"]]


def without_code(markdown):
    return re.sub(r"(?s)^(```+|~~~+).*?^\1|(`+).+?\2|\\\$", "", markdown, flags=re.M)


def formulas(markdown):
    return re.findall(r"(?s)\$\$.+?\$\$|\$(?=\S)[^$]*?(?<=\S)\$(?!\d)", without_code(markdown))


def content(url, folder):
    "The bytes behind a data URI or a file of the site."
    head, _, data = url.partition(",")
    if not head.startswith("data:"):
        return (folder / unquote(urlsplit(url).path)).read_bytes()
    return (
        base64.b64decode(data, validate=True)
        if head.endswith(";base64")
        else unquote(data).encode()
    )


def check_picture(data):
    "Decode a PNG, JPEG or SVG picture to the end."
    if b"<svg" in data[:1000]:
        return ElementTree.fromstring(data)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert min(image.size) > 1


def test_docs_build_without_a_warning(build):
    assert build.returncode == 0, build.stderr
    assert "WARNING" not in build.stderr, (
        build.stderr
    )  # such as TeX that can't become MathML, or an unclosed div


@every_page
def test_stored_outputs_hold_no_error(name):
    assert [
        o for o in outputs(name) if o["output_type"] == "error" or o.get("name") == "stderr"
    ] == []


@every_page
def test_page_shows_no_stderr(
    name, site
):  # nbdev runs cells that import anew, and shows what they say then
    assert parse(site / f"{name}.html").select("pre.stderr") == []


@every_page
def test_stored_outputs_hold_no_widget(
    name,
):  # a page has no kernel; Quarto would fetch scripts from elsewhere
    assert [
        mime
        for o in outputs(name)
        for mime in o.get("data", {})
        if "widget" in mime or mime.endswith("javascript")
    ] == []


@every_page
def test_title(name, site):
    source = "".join(cells(name, "markdown")[0]["source"])
    page = parse(site / f"{name}.html")
    (heading,) = page.find_all("h1")
    assert (
        heading.get_text()
        == page.title.get_text()
        == re.match(r"# (.+)", source)[1].replace("`", "")
    )
    assert heading.find_next_sibling("p").get_text(strip=True)  # the one sentence beneath


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_has_picture_and_player(name, site):
    page = parse(site / f"{name}.html")
    assert page.img and page.audio


@every_page
def test_links(name, site):
    page = parse(site / f"{name}.html")
    for href in (a["href"] for a in page.select("a[href]")):
        url = urlsplit(href)
        if url.scheme:
            assert url.scheme in ("https", "mailto"), href
        else:
            place = site / f"{name}.html"
            target = (place.parent / url.path).resolve() if url.path else place
            assert target.is_file(), href
            assert not url.fragment or unquote(url.fragment) in anchors(target), href


@every_page
def test_pictures(name, site):
    for image in parse(site / f"{name}.html").find_all("img"):
        assert image.get("alt", "").strip(), str(image)[:200]
        check_picture(content(image["src"], site))


@every_page
def test_players(name, site):
    for player in parse(site / f"{name}.html").find_all("audio"):
        sound, _ = soundfile.read(
            io.BytesIO(content(player.get("src") or player.source["src"], site))
        )
        assert sound.size and np.isfinite(sound).all() and np.abs(sound).max() <= 1


@every_page
def test_formulas(name, site):
    page = copy.copy(parse(site / f"{name}.html"))
    written = sum(len(formulas("".join(cell["source"]))) for cell in cells(name, "markdown"))
    if name in CHAPTERS:
        assert len(page.find_all("math")) == written
    for element in page.find_all(["math", "pre", "code", "script", "style"]):
        element.decompose()
    assert "$" not in page.get_text()


@every_page
def test_nothing_comes_from_another_host(name, site):
    for element in parse(site / f"{name}.html").select("[src], link[href]"):
        url = element.get("src") or element["href"]
        assert url.startswith("data:") or not (urlsplit(url).scheme or urlsplit(url).netloc), url


@every_page
def test_blocks_follow_a_blank_line(
    name,
):  # Jupyter is content without, but pandoc makes one paragraph of it
    for cell in cells(name, "markdown"):
        text = re.sub(r"(?s)\$\$.+?\$\$", "", without_code("".join(cell["source"])))
        assert not re.search(rf"(?m)^(?!{BLOCK}|\s|$).+\n{BLOCK}", text), text


def test_formula_finder():
    assert formulas("a $x$ and $$\ny = 1\n$$") == ["$x$", "$$\ny = 1\n$$"]
    assert formulas("`$HOME` and \\$5 and 5$ or 6$, $ no $\n```\n$x$\n```\n") == []


def run_site(folder):
    return subprocess.run(
        [sys.executable, REPO / ".ci/site.py", folder], capture_output=True, text=True
    )


QUARTO = """<head><script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js" integrity="sha512-c3" crossorigin="anonymous"></script>
<script src="https://cdnjs.cloudflare.com/ajax/libs/jquery/3.5.1/jquery.min.js" integrity="sha512-bL" crossorigin="anonymous" data-relocate-top="true"></script>
<script type="application/javascript">define('jquery', [],function() {return window.jQuery;})</script>
<script src="site_libs/quarto-html/quarto.js"></script><meta property="og:image" content="https://example.org/card.png"></head>
<main><header id="title-block-header" class="x"><h1>Waveform</h1></header><p><math display="block"></math></p><table></table>%s</main>"""


def test_a_page_of_quartos_is_finished(tmp_path):
    page = tmp_path / "waveform.html"
    for content in QUARTO % "", None:  # twice: the second time there's nothing left to do
        if content:
            page.write_text(content)
        assert run_site(tmp_path).returncode == 0
    text = page.read_text()
    assert (
        "cdnjs" not in text
        and "jquery" not in text
        and "site_libs/quarto-html/quarto.js" in text
        and "og:image" in text
    )
    assert '<p tabindex="0"><math display="block">' in text and '<table tabindex="0">' in text
    links = [
        a["href"] for a in BeautifulSoup(text, "html.parser").select("header + .notebook-links a")
    ]
    assert (
        links[0]
        == "https://colab.research.google.com/github/audiogen-jax/audiogen/blob/main/nbs/00_waveform.ipynb"
    )
    assert (tmp_path / links[1]).read_bytes() == (
        REPO / "nbs/00_waveform.ipynb"
    ).read_bytes() and len(links) == 3


def test_a_page_that_fetches_from_another_host_is_refused(tmp_path):
    for element in (
        '<img alt="" src="https://example.org/x.png">',
        '<link rel="stylesheet" href="https://fonts.example.org/x.css">',
        '<audio src="//example.org/x.wav"></audio>',
    ):
        (tmp_path / "waveform.html").write_text(QUARTO % element)
        result = run_site(tmp_path)
        assert result.returncode and "waveform.html fetches from another host" in result.stderr


def luminance(colour):
    "Relative luminance of #rrggbb, as WCAG 2 defines it."
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_of_the_themes(theme):
    colour = dict(
        re.findall(r"^\$([\w-]+): (#\w{6});", (REPO / f"nbs/{theme}.scss").read_text(), re.M)
    )
    shared = {
        name: pair[theme == "dark"]
        for name, *pair in re.findall(
            r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (REPO / "nbs/styles.css").read_text()
        )
    }
    assert (
        colour["body-bg"],
        colour["body-color"],
        colour["link-color"],
        colour["code-bg"],
    ) == tuple(shared[name] for name in ("back", "text", "link", "field"))
    for ground in colour["body-bg"], colour["code-bg"]:
        for name in "text", "quiet", "link", "word", "text-like", "number":
            assert contrast(shared[name], ground) >= 4.5, (name, ground)
        assert contrast(colour["code-color"], ground) >= 4.5
    for name in "navbar-fg", "navbar-hl":
        assert contrast(colour[name], colour["navbar-bg"]) >= 4.5


def test_quarto_configuration():
    project = yaml.safe_load((REPO / "nbs/_quarto.yml").read_text())
    site = yaml.safe_load((REPO / "_quarto.yml").read_text())
    html, website = site["format"]["html"], site["website"]
    assert "../_quarto.yml" in project["metadata-files"]
    assert site["project"]["type"] == project["project"]["type"] == "website"
    assert html["html-math-method"] == "mathml"
    named = [
        html["css"],
        *html["theme"]["light"],
        *html["theme"]["dark"],
        website["favicon"],
        website["image"],
        site["project"]["post-render"],
    ]
    for name in [*named, *(item["href"] for item in website["navbar"]["left"])]:
        assert name == "default" or (REPO / "nbs" / name).is_file(), name


# The site in a browser


@pytest.fixture(scope="module")
def walker(build, chromium):
    "A visitor of the site: open a page in a window of some width and scheme, get it and its complaints."
    if build.returncode:
        pytest.fail("the docs don't build: see test_docs_build_without_a_warning", pytrace=False)
    with serve(build.args[-1]) as address:

        def visit(name, width=900, scheme="light"):
            return visited(chromium, address, name, width, scheme)

        yield visit


@contextlib.contextmanager
def visited(browser, address, name, width, scheme):
    with watched(
        browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as (page, complaints):
        page.goto(f"{address}{name}.html")
        if name == "index":
            page.wait_for_function("document.querySelector('.code')?.value")
        yield page
        assert complaints == []


def barriers(page, code=False, **options):
    "What axe-core finds that keeps people out. It takes seconds for the code of a page, which looks alike on all."
    context = None if code else {"exclude": [["pre"]]}
    found = (
        Axe()
        .run(page, context, {"resultTypes": ["violations"], "preload": False, **options})
        .response["violations"]
    )
    return [
        (v["id"], node["html"][:200], node["failureSummary"])
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


@in_browser
@pytest.mark.skipif(not HAS_AXE, reason="needs axe-playwright-python")
@pytest.mark.parametrize("name", [*WALKED, "404"])
def test_page_in_a_browser(name, walker):
    "No complaint, nothing from elsewhere, no barrier in light or dark, nothing wider than a phone, players that hold sound."
    with walker(name) as page:
        assert (
            page.evaluate(
                "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
            )
            == []
        )
        code = name == "02_variation"
        assert barriers(page, code) == []
        page.emulate_media(color_scheme="dark")
        assert barriers(page, code, runOnly=["color-contrast"]) == []
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        silent = page.evaluate("""() => Promise.all([...document.querySelectorAll('audio')].map(player => new Promise(done => {
            const end = () => done(player.duration > 0 ? null : player.ariaLabel)
            if (player.readyState || player.error) end(); else { player.onloadedmetadata = player.onerror = end; player.load() }
        }))).then(all => all.filter(label => label !== null))""")
        assert (
            silent == []
            and page.locator("audio:not([controls][preload=metadata][aria-label])").count() == 0
        )


@in_browser
def test_the_home_page_sounds(walker):
    "The reader moves a point and hears a new sound, without a server that answers anything but files."
    with walker("index") as page:
        page.evaluate("""() => { window.starts = []; const start = AudioBufferSourceNode.prototype.start
            AudioBufferSourceNode.prototype.start = function (when) { starts.push([...this.buffer.getChannelData(0)]); start.call(this, when) } }""")
        requests = []
        page.on(
            "request",
            lambda request: (
                None if request.url.endswith("favicon.svg") else requests.append(request.url)
            ),
        )
        line, box = page.locator(".code").input_value(), page.locator(".pad").bounding_box()
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"])
        page.wait_for_function(
            "line => document.querySelector('.code').value !== line && starts.length", arg=line
        )
        assert requests == [] and page.evaluate("Math.max(...starts.at(-1).map(Math.abs))") > 0.1
