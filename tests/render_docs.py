"""Render the docs without Quarto: `python tests/render_docs.py OUT` writes OUT/NAME.html for each notebook.

Quarto builds the published site, but it's a large program that pip can't install. The steps where a chapter can break need less: nbdev's
processing is run as it stands, and pandoc reads the Markdown that Quarto would hand it. So `tests/test_docs.py` can check the pages on any
machine, and an author can look at them. Search and the sidebar are Quarto's alone; styles.css is shared, and of Quarto's themes the part in
tests/quarto.css, with our colours in it.
"""

import argparse
import base64
import contextlib
import html
import json
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import takewhile
from pathlib import Path

import pypandoc
import yaml
from nbdev.config import get_config
from nbdev.serve import proc_nbs

REPO = Path(__file__).resolve().parents[1]
QUARTO_DEFAULTS = {
    "pre-color": "#000000",
    "body-secondary": "#8a8a92",
}  # the latter is computed: too dim
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$pagetitle$</title>
<link rel="icon" href="$root$favicon.svg">
<link rel="stylesheet" href="$root$light.css" media="(prefers-color-scheme: light)">
<link rel="stylesheet" href="$root$dark.css" media="(prefers-color-scheme: dark)">
<style>
$highlighting-css$
body { max-width: 832px; margin: auto; padding: 1rem; font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; padding-bottom: .5rem; border-bottom: 1px solid var(--line) }
h1, h2, h3 { line-height: 1.25; margin: 1.5em 0 .5em }
.description { font-size: 1.2rem; color: var(--quiet) }
hr { border: 0; border-top: 1px solid var(--line); margin: 2em 0 .5em }
@media (max-width: 832px) { body { max-width: none } }
.cell-output pre { padding: .4em; border-left: 3px solid var(--line); margin: 0 }
th, td { padding: .2rem .4rem; border-bottom: 1px solid var(--line) }
summary { cursor: pointer }
</style>
<link rel="stylesheet" href="$root$styles.css">
</head>
<body>
<nav aria-label="Chapters">$nav$</nav>
<main>
<header id="title-block-header"><h1>$title$</h1>
$if(description)$<p class="description">$description$</p>$endif$</header>
$body$
</main>
</body>
</html>
"""


def theme(name):
    "The part of Quarto's theme that is in tests/quarto.css, with the colours of a theme of ours."
    source = (REPO / f"nbs/{name}.scss").read_text()
    colours = QUARTO_DEFAULTS | dict(re.findall(r"^\$([\w-]+): ([^;]+);", source, re.M))
    css = (REPO / "tests/quarto.css").read_text().partition("*/")[2]
    return re.sub(r"\$([\w-]+)", lambda match: colours[match[1]], css)


def process_notebooks(folder):
    "Let nbdev make `_proc` in `folder`, which sees the repository through links, so that nothing is written there."
    for path in REPO.iterdir():
        if path.name != "_proc":
            (folder / path.name).symlink_to(path)
    with contextlib.chdir(folder):
        return proc_nbs()


def split_directives(source):
    "The Quarto options at the top of a code cell, and its code without them."
    lines = source.splitlines()
    options = [
        line.removeprefix("#| ") for line in takewhile(lambda line: line.startswith("#|"), lines)
    ]
    return yaml.safe_load("\n".join(options)) or {}, "\n".join(lines[len(options) :]).strip()


def fenced(text, attributes):
    "A code block whose fence is longer than any run of backticks within."
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {attributes}\n{text}\n{fence}"


def code_markdown(code, options):
    "The code as a block, folded if its options ask for that."
    block, fold = fenced(code, "{.python}"), options.get("code-fold")
    if not fold:
        return block
    summary = options.get("code-summary", "Code")
    return f"<details{' open' if fold == 'show' else ''}><summary>{summary}</summary>\n\n{block}\n\n</details>"


def output_markdown(output, alt):
    "The richest form of one stored output."
    data = {mime: "".join(parts) for mime, parts in output.get("data", {}).items()}
    if "text/html" in data:
        return fenced(data["text/html"], "{=html}")
    if "text/markdown" in data:
        return data["text/markdown"]
    if "image/svg+xml" in data:
        data["image/svg+xml"] = base64.b64encode(data["image/svg+xml"].encode()).decode()
    for mime in ("image/svg+xml", "image/png"):
        if mime in data:
            return fenced(
                f'<img alt="{html.escape(alt)}" src="data:{mime};base64,{data[mime].strip()}">',
                "{=html}",
            )
    text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
    return fenced(text, f"{{.{output.get('name', 'text')}}}")  # .text, .stdout or .stderr


def cell_markdown(cell):
    "One cell as Markdown: prose as it is, code and outputs as its options say."
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return source
    options, code = split_directives(source)
    if options.get("include", True) is False:
        return ""
    shown = [code_markdown(code, options)] if code and options.get("echo", True) else []
    if options.get("output", True):
        shown += [
            f"::: cell-output\n{output_markdown(o, options.get('fig-alt', ''))}\n:::"
            for o in cell["outputs"]
        ]
    return "\n\n".join(shown)


def front_matter(notebook):
    "The title, description and output file that nbdev put into the first cell."
    return next(yaml.safe_load_all("".join(notebook["cells"][0]["source"])))


def link_locally(page, name, names):
    "Turn links to notebooks, and nbdev's links to the published site, into links between the pages."
    folder, root = posixpath.dirname(name), to_root(name)

    def link(match):
        place = match["place"]
        if not match["site"]:
            place = posixpath.normpath(posixpath.join(folder, place))
        return f"{root}{names.get(place, place)}.html"

    config = get_config(path=REPO)
    site = re.escape(config.doc_host + config.doc_baseurl)
    place = r"(?P<place>(?:\.\./)*(?:[\w-]+/)*[\w-]+)"
    return re.sub(
        rf'(?<=href=")(?P<site>{site}/)?{place}\.(?:ipynb|html)(?=["#])',
        link,
        page,
    )


def to_root(name):
    "The way from a page to the root of the site."
    return "../" * name.count("/")


def render(text, name, order, titles, template):
    "One page of HTML, of Markdown, with links to all pages."
    root = to_root(name)
    nav = "\n".join(f'<a href="{root}{n}.html">{html.escape(titles[n])}</a>' for n in order)
    command = [
        pypandoc.get_pandoc_path(),
        "--from=markdown",
        "--to=html5",
        "--mathml",
        f"--template={template}",
        f"--variable=nav:{nav}",
        f"--variable=root:{root}",
    ]
    return subprocess.run(
        command, input=text, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
    ).stdout


def main(out):
    "Render every notebook of the book into the folder `out`."
    out = Path(out).absolute()
    with tempfile.TemporaryDirectory() as folder:
        (template := Path(folder, "page.html")).write_text(TEMPLATE)
        proc = process_notebooks(Path(folder))
        notebooks = {
            path.relative_to(proc).with_suffix("").as_posix(): json.loads(path.read_text())
            for path in sorted(proc.rglob("*.ipynb"))
        }
        shutil.copytree(
            proc,
            out,
            ignore=shutil.ignore_patterns("*.ipynb", "*.yml", "*.scss", "*.qmd"),
            dirs_exist_ok=True,
        )
        for name in ("light", "dark"):
            (out / f"{name}.css").write_text(theme(name))
        front = {name: front_matter(notebook) for name, notebook in notebooks.items()}
        order = sorted(front, key=lambda name: (name != "index", name))
        titles = {name: front[name]["title"] for name in front}
        names = {
            posixpath.join(posixpath.dirname(name), Path(front[name]["output-file"]).stem): name
            for name in front
        }
        pages = {
            name: "\n\n".join(map(cell_markdown, notebook["cells"]))
            for name, notebook in notebooks.items()
        }
        pages |= {path.stem: path.read_text() for path in proc.glob("*.qmd")}
        for name, text in pages.items():
            page = render(text, name, order, titles, template)
            (out / f"{name}.html").write_text(link_locally(page, name, names))
            print(out / f"{name}.html")
        subprocess.run([sys.executable, REPO / ".ci/site.py", out], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="folder for the pages")
    main(parser.parse_args().out)
