"""The docs' pages, rendered by render_docs.py: what a reader would find broken, found here first."""
import base64, copy, io, json, re, subprocess, sys
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest, soundfile, yaml
from bs4 import BeautifulSoup
from PIL import Image

REPO = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in (REPO / "nbs").glob("*.ipynb") if re.match(r"\d|index", path.name))
BLOCK = r"(?:[-*+] |\d+[.)] |#+ |> |\|)"                              # the start of a list, heading, quotation or table
every_page = pytest.mark.parametrize("name", NAMES)

@pytest.fixture(scope="session")
def build(tmp_path_factory):
    "The finished process of render_docs.py; its last argument is the folder of pages."
    command = [sys.executable, "-W", "ignore", REPO / "tests" / "render_docs.py", tmp_path_factory.mktemp("docs")]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)

@pytest.fixture
def site(build):
    if build.returncode: pytest.fail("the docs don't build: see test_docs_build_without_a_warning", pytrace=False)
    return build.args[-1]

@lru_cache
def parse(path): return BeautifulSoup(path.read_text(), "html.parser")

def cells(name, kind): return [c for c in json.loads((REPO / f"nbs/{name}.ipynb").read_text())["cells"] if c["cell_type"] == kind]

def outputs(name): return [output for cell in cells(name, "code") for output in cell["outputs"]]

def without_code(markdown): return re.sub(r"(?s)^(```+|~~~+).*?^\1|(`+).+?\2|\\\$", "", markdown, flags=re.M)

def formulas(markdown): return re.findall(r"(?s)\$\$.+?\$\$|\$(?=\S)[^$]*?(?<=\S)\$(?!\d)", without_code(markdown))

def content(url, folder):
    "The bytes behind a data URI or a file of the site."
    head, _, data = url.partition(",")
    if not head.startswith("data:"): return (folder / unquote(urlsplit(url).path)).read_bytes()
    return base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote(data).encode()

def check_picture(data):
    "Decode a PNG, JPEG or SVG picture to the end."
    if b"<svg" in data[:1000]: return ElementTree.fromstring(data)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert min(image.size) > 1


def test_docs_build_without_a_warning(build):
    assert build.returncode == 0, build.stderr
    assert "WARNING" not in build.stderr, build.stderr              # such as TeX that can't become MathML, or an unclosed div

@every_page
def test_stored_outputs_hold_no_error(name):
    assert [o for o in outputs(name) if o["output_type"] == "error" or o.get("name") == "stderr"] == []

@every_page
def test_page_shows_no_stderr(name, site):                          # nbdev runs cells that import anew, and shows what they say then
    assert parse(site / f"{name}.html").select("pre.stderr") == []

@every_page
def test_stored_outputs_hold_no_widget(name):                       # a page has no kernel; Quarto would fetch scripts from elsewhere
    assert [mime for o in outputs(name) for mime in o.get("data", {}) if "widget" in mime or mime.endswith("javascript")] == []

@every_page
def test_title(name, site):
    source = "".join(cells(name, "markdown")[0]["source"])
    page = parse(site / f"{name}.html")
    heading, = page.find_all("h1")
    assert heading.get_text() == page.title.get_text() == re.match(r"# (.+)", source)[1].replace("`", "")
    assert heading.find_next_sibling("p").get_text(strip=True)     # the one sentence beneath

@pytest.mark.parametrize("name", [name for name in NAMES if name != "index"])
def test_chapter_has_picture_and_player(name, site):
    page = parse(site / f"{name}.html")
    assert page.img and page.audio

@every_page
def test_links(name, site):
    page = parse(site / f"{name}.html")
    for href in (a["href"] for a in page.select("a[href]")):
        url = urlsplit(href)
        if url.scheme: assert url.scheme in ("https", "mailto"), href
        else:
            target = site / url.path if url.path else site / f"{name}.html"
            assert target.is_file(), href
            assert not url.fragment or parse(target).find(id=unquote(url.fragment)), href

@every_page
def test_pictures(name, site):
    for image in parse(site / f"{name}.html").find_all("img"):
        assert image.get("alt", "").strip(), str(image)[:200]
        check_picture(content(image["src"], site))

@every_page
def test_players(name, site):
    for player in parse(site / f"{name}.html").find_all("audio"):
        sound, _ = soundfile.read(io.BytesIO(content(player.get("src") or player.source["src"], site)))
        assert sound.size and np.isfinite(sound).all() and np.abs(sound).max() <= 1

@every_page
def test_formulas(name, site):
    page = copy.copy(parse(site / f"{name}.html"))
    written = sum(len(formulas("".join(cell["source"]))) for cell in cells(name, "markdown"))
    assert len(page.find_all("math")) == written
    for element in page.find_all(["math", "pre", "code", "script", "style"]): element.decompose()
    assert "$" not in page.get_text()

@every_page
def test_nothing_comes_from_another_host(name, site):
    for element in parse(site / f"{name}.html").select("[src], link[href]"):
        url = element.get("src") or element["href"]
        assert url.startswith("data:") or not (urlsplit(url).scheme or urlsplit(url).netloc), url

@every_page
def test_blocks_follow_a_blank_line(name):                          # Jupyter is content without, but pandoc makes one paragraph of it
    for cell in cells(name, "markdown"):
        text = re.sub(r"(?s)\$\$.+?\$\$", "", without_code("".join(cell["source"])))
        assert not re.search(rf"(?m)^(?!{BLOCK}|\s|$).+\n{BLOCK}", text), text

def test_formula_finder():
    assert formulas("a $x$ and $$\ny = 1\n$$") == ["$x$", "$$\ny = 1\n$$"]
    assert formulas("`$HOME` and \\$5 and 5$ or 6$, $ no $\n```\n$x$\n```\n") == []

def test_quarto_configuration():
    project = yaml.safe_load((REPO / "nbs/_quarto.yml").read_text())
    site = yaml.safe_load((REPO / "_quarto.yml").read_text())
    assert "../_quarto.yml" in project["metadata-files"]
    assert site["project"]["type"] == project["project"]["type"] == "website"
    assert (REPO / "nbs" / site["format"]["html"]["css"]).is_file()
    assert site["format"]["html"]["html-math-method"] == "mathml"
