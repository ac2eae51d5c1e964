"""The docs' pages, rendered by render_docs.py: what a reader would find broken, found here first."""

import ast
import base64
import collections
import configparser
import contextlib
import copy
import importlib.util
import inspect
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
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

import audiogen
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


def defines_a_module(name):
    return any("#| default_exp" in "".join(cell["source"]) for cell in cells(name, "code"))


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
    title = re.match(r"# (.+)", source)[1].replace("`", "")
    if name in CHAPTERS:
        title = f"{name[:2]} {title.removeprefix(f'{name[:2]} ')}"
    assert heading.get_text() == page.title.get_text() == title
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
<script src="site_libs/quarto-html/quarto.js"></script><meta property="og:image" content="data:image/png;base64,AAAA"><meta property="og:image:width" content="480">
<meta name="twitter:image" content="data:image/png;base64,AAAA"><meta name="twitter:card" content="summary_large_image"></head>
<main><header id="title-block-header" class="x"><h1>Waveform</h1></header><p><math display="block"></math></p><table></table>%s</main>"""


def test_a_page_of_quartos_is_finished(tmp_path):
    page = tmp_path / "waveform.html"
    for content in QUARTO % "", None:  # twice: the second time there's nothing left to do
        if content:
            page.write_text(content)
        assert run_site(tmp_path).returncode == 0
    text = page.read_text()
    assert (
        "cdnjs" not in text and "jquery" not in text and "site_libs/quarto-html/quarto.js" in text
    )
    card = "https://audiogen-jax.github.io/audiogen/card.png"
    assert re.findall(r'(\S+image\S*)" content="([^"]*)"', text) == [
        ('property="og:image', card),
        ('name="twitter:image', card),
    ]
    assert len(text.partition("</head>")[0]) < 10_000 and (REPO / "nbs/card.png").is_file()
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


def test_sidebar():
    "Four parts hold the chapters in their order. What the navbar names is not there: Quarto would mark it on each page."
    website = yaml.safe_load((REPO / "_quarto.yml").read_text())["website"]
    home, *parts = website["sidebar"]["contents"]
    listed = [page for part in parts for page in part["contents"] if isinstance(page, str)]
    assert home["href"] == "index.ipynb" and len(parts) == 4
    assert listed == [*(f"{name}.ipynb" for name in CHAPTERS), "support/cli.ipynb"]
    assert parts[-1]["contents"][-1]["contents"] == "support/*.ipynb"
    assert not {item["href"] for item in website["navbar"]["left"]} & {home["href"], *listed}


def test_the_column_is_wide_enough():
    "Beside both sidebars, at 1280 pixels with a scroll bar, as Quarto's grid shares them out."
    grid = yaml.safe_load((REPO / "_quarto.yml").read_text())["format"]["html"]["grid"]
    sidebar, margin, body, gutter = (
        int(grid[f"{name}-width"].removesuffix("px"))
        for name in ("sidebar", "margin", "body", "gutter")
    )
    assert min(body - 2 * gutter, 1265 - sidebar - margin - 4 * gutter) >= 832


# Definitions, each once


def definitions(source):
    "Lines of a module at which a function or a class begins, {line: name}."
    tree = ast.parse(source)
    return {
        node.lineno: node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }


@every_page
def test_each_definition_is_shown_once_and_leads_to_its_source(name, site):
    page, shown = parse(site / f"{name}.html"), collections.Counter()
    for block in page.select("pre.python"):
        shown.update(re.findall(r"^(?:def|class) (\w+)", block.get_text(), re.M))
    for link in page.select(".definitions a"):
        path, line = re.search(r"/blob/main/(audiogen/.+\.py)#L(\d+)$", link["href"]).groups()
        names = definitions((REPO / path).read_text())
        shortest = link.get_text().rpartition(".")[2]
        assert names[int(line)] == shortest and shown[shortest] == 1, link
    linked = {link.get_text().rpartition(".")[2] for link in page.select(".definitions a")}
    default = next(
        (re.search(r"default_exp (\S+)", "".join(c["source"])) for c in cells(name, "code")), None
    )
    if default:
        module = REPO / "audiogen" / (default[1].replace(".", "/") + ".py")
        hidden = {"Axes", "Figure"}
        assert {*definitions(module.read_text()).values()} - hidden <= linked
    assert page.find(string=re.compile("NoneType=")) is None


@every_page
def test_anchors_are_unique(name, site):
    ids = [element["id"] for element in parse(site / f"{name}.html").find_all(id=True)]
    assert [i for i, count in collections.Counter(ids).items() if count > 1] == []


@every_page
def test_no_link_shows_as_markdown(name, site):
    page = copy.copy(parse(site / f"{name}.html"))
    for element in page.find_all(["pre", "code", "script", "style"]):
        element.decompose()
    assert not re.search(r"\]\((?:https?:|[\w/]+\.(?:ipynb|html))", page.get_text())


def test_signatures_of_the_reference(site):
    "Stars where arguments have to be named, classes with their arguments."
    shown = {
        term.a.get_text(): " ".join(term.get_text().split())
        for term in parse(site / "reference.html").select("dl.reference dt")
    }
    assert len(shown) > 200
    assert "frequency_hz: ArrayLike, *, duration: float" in shown["sine"]
    for name, text in shown.items():
        value = getattr(audiogen, name, None)
        if not callable(value) or inspect.isclass(value):
            continue
        kinds = {p.kind for p in inspect.signature(value).parameters.values()}
        if inspect.Parameter.KEYWORD_ONLY in kinds:
            assert "*" in text, text
    assert not [text for text in shown.values() if "NoneType" in text or text.startswith("def ")]
    chapters = [h.get_text() for h in parse(site / "reference.html").find_all("h2")]
    numbers = [text[:2] for text in chapters if text[0].isdigit()]
    modules = [name for name in CHAPTERS if defines_a_module(name)]
    assert numbers == [name[:2] for name in modules] and chapters[-1] == "Support"


# Notebooks elsewhere


def test_colab_cell(tmp_path):
    "The cell that installs the package where it is missing, and does nothing where it is not; in all chapters, or in none yet."
    spec = importlib.util.spec_from_file_location("site_step", REPO / ".ci/site.py")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    have = [
        any("".join(cell["source"]) == module.INSTALL for cell in cells(name, "code"))
        for name in CHAPTERS
    ]
    assert all(have) or not any(have)
    shell = InteractiveShell()
    installed = []
    shell.register_magic_function(installed.append, magic_name="pip")
    shell.run_cell(module.INSTALL).raise_error()
    assert installed == []
    shell.run_cell(
        module.INSTALL.replace("import audiogen", "import no_such_package")
    ).raise_error()
    assert installed == ["install --quiet git+https://github.com/audiogen-jax/audiogen"]


def test_the_readme_is_left_alone_by_a_docs_build():
    "nbdev would write README.md anew from the notebook that settings.ini names, if there is one, with Quarto's pictures beside it."
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(REPO / "settings.ini")
    assert not (REPO / "nbs" / settings["DEFAULT"]["readme_nb"]).exists()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (REPO / "README.md").read_text())
    assert pictures and all(name.startswith("nbs/") for name in pictures)
    assert all((REPO / name).is_file() for name in pictures)
    assert not (REPO / "index_files").exists()


# The site in a browser


@pytest.fixture(scope="module")
def walker(build, chromium):
    "A visitor of the site: open a page in a window of some width, get it and its complaints."
    if build.returncode:
        pytest.fail("the docs don't build: see test_docs_build_without_a_warning", pytrace=False)
    with serve(build.args[-1]) as address:

        def visit(name, width=900):
            return visited(chromium, address, name, width)

        yield visit


@contextlib.contextmanager
def visited(browser, address, name, width):
    with watched(browser, address, viewport={"width": width, "height": 900}) as (page, complaints):
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
        page.locator(".pad").scroll_into_view_if_needed()
        line, box = page.locator(".code").input_value(), page.locator(".pad").bounding_box()
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"])
        page.wait_for_function(
            "line => document.querySelector('.code').value !== line && starts.length", arg=line
        )
        assert requests == [] and page.evaluate("Math.max(...starts.at(-1).map(Math.abs))") > 0.1


CONTRASTS = """() => {
    const light = c => c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
    const rgba = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a] }
    const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]))
    const ground = e => { const grounds = []; for (; e; e = e.parentElement) grounds.unshift(rgba(getComputedStyle(e).backgroundColor)); return grounds.reduce((c, g) => over(g, c), [255, 255, 255]) }
    const dim = {}, texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    let count = 0
    while (texts.nextNode()) {
        const e = texts.currentNode.parentElement
        if (!texts.currentNode.textContent.trim() || e.closest("script, style, math, option, audio, .audiogen-explorer, :disabled") || !e.checkVisibility()) continue
        count += 1
        const back = ground(e), pair = [light(over(rgba(getComputedStyle(e).color), back)), light(back)].sort((a, b) => a - b)
        const contrast = (pair[1] + .05) / (pair[0] + .05)
        if (contrast < 4.5) dim[e.outerHTML.slice(0, 90)] = contrast
    }
    return [dim, count] }"""


@in_browser
@pytest.mark.parametrize("name", WALKED)
def test_text_is_readable_in_both_themes(name, walker):
    "Computed colours of all that is shown, with the folds open, under Quarto's rules and ours."
    with walker(name) as page:
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        for scheme in "light", "dark":
            page.emulate_media(color_scheme=scheme)
            dim, count = page.evaluate(CONTRASTS)
            assert dim == {} and count > 5, scheme
        page.add_style_tag(content="pre code { color: #000 !important }")  # what Quarto would do
        dim, _ = page.evaluate(CONTRASTS)
        assert bool(dim) == (page.locator(".cell-output pre").count() > 0)


LINES = """() => [...document.querySelectorAll("pre.sourceCode > code > span")].filter(line => line.checkVisibility()).map(line => {
    const tops = [...line.getClientRects()].filter(box => box.width > 1).map(box => Math.round(box.top / 4))
    return [line.textContent, new Set(tops).size] })"""


def long_lines(name):
    "How many lines of a chapter's code have 100 characters."
    lines = (line for cell in cells(name, "code") for line in "".join(cell["source"]).splitlines())
    return sum(len(line) == 100 for line in lines)


@in_browser
def test_a_line_of_100_characters_does_not_wrap(walker):
    "In the column that a window of 1280 pixels has, and beside the button that copies."
    name = max(CHAPTERS, key=long_lines)  # the chapters share one style
    with walker(name, width=1280) as page:
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        page.evaluate("""document.querySelectorAll("pre.sourceCode").forEach(pre => {
            const button = document.createElement("button"); button.className = "code-copy-button"; pre.append(button) })""")
        page.add_style_tag(content="main { width: 832px } body { padding-inline: 0 }")
        lines = page.evaluate(LINES)
        assert any(len(text) == 100 for text, _ in lines)
        wrapped = [text for text, rows in lines if rows > 1 and len(text) <= 100]
        assert len(lines) > 50 and wrapped == []
        covered = page.evaluate("""() => [...document.querySelectorAll(".code-copy-button")].filter(button => {
            const b = button.getBoundingClientRect()
            return [...button.parentElement.querySelectorAll("code > span")].some(line => [...line.getClientRects()].some(
                r => r.width > 1 && r.right > b.left && r.top < b.bottom && r.bottom > b.top)) }).length""")
        assert covered == 0


@in_browser
def test_the_reference_on_a_phone(walker):
    "No name is broken."
    with walker("reference", width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        names = page.locator("dt a")
        assert names.count() > 200
        assert (
            names.evaluate_all("all => all.filter(a => a.getClientRects().length > 1).length") == 0
        )


@in_browser
def test_the_home_page_on_a_phone(walker):
    "It begins with words, then the explorer; cards show different things, and say what."
    with walker("index", width=390) as page:
        page.add_style_tag(content="body > nav { display: none }")  # Quarto folds its own
        words = page.locator("main > p:not(.notebook-links)").first.bounding_box()
        explorer = page.locator(".audiogen-page").bounding_box()
        assert words["y"] + words["height"] < explorer["y"] and words["y"] < 600
        assert "home page of" not in page.locator("main").inner_text()
        cards = page.locator(".cards article")
        assert cards.count() == len(CHAPTERS)
        texts = cards.locator("img").evaluate_all("all => all.map(image => image.alt)")
        assert len(texts) == len(CHAPTERS) and min(map(len, texts)) > 10
        colours = cards.locator("img").evaluate_all("""all => Promise.all(all.map(async image => {
            await image.decode()
            const pen = new OffscreenCanvas(24, 12).getContext("2d")
            pen.drawImage(image, 0, 0, 24, 12)
            const { data } = pen.getImageData(0, 0, 24, 12)
            const luminances = Array.from({ length: 288 }, (_, i) => data[4 * i] + data[4 * i + 1] + data[4 * i + 2])
            return Math.max(...luminances) - Math.min(...luminances) }))""")
        assert min(colours) > 150  # noise is one even colour when it is small


ALT = re.compile(r"^(?:From the chapter|\S+: picture|picture$)")


@every_page
def test_alternative_texts_say_what_is_seen(name, site):
    texts = [image["alt"] for image in parse(site / f"{name}.html").find_all("img")]
    assert [text for text in texts if ALT.search(text) or len(text) < 15] == []
