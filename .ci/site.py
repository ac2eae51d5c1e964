"""The last step of building the docs, after Quarto (post-render in _quarto.yml) or tests/render_docs.py: `.ci/site.py FOLDER`.

- Scripts that Quarto fetches from other hosts go: it adds require.js and jQuery to pages with HTML outputs, in case these are widgets.
- The explorer's files come: scripts, style, weights. And the notebooks, for whoever wants to download one.
- Each page gets links to its notebook, and wide formulas and tables a place in the order of the Tab key.
- The picture that stands for a page elsewhere is a file: Quarto takes the page's first, which is written into the page.
"""

import os
import re
import shutil
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
settings = ConfigParser(delimiters=["="])
settings.read(ROOT / "settings.ini", encoding="utf-8")
REPOSITORY = "{user}/{repo}".format(**settings["DEFAULT"])
SITE = "{doc_host}{doc_baseurl}".format(**settings["DEFAULT"])
INSTALL = f"""#| hide
try:
    import audiogen  # noqa: F401
except ImportError:  # on Colab
    %pip install --quiet git+https://github.com/{REPOSITORY}"""


def without_foreign_scripts(page):
    "The page without scripts from other hosts, and without the line that hands jQuery to require.js."
    page = re.sub(r'<script\b[^>]*\bsrc="(?:https?:)?//[^>]*>\s*</script>\s*', "", page)
    return re.sub(r"<script\b[^>]*>define\('jquery'[^<]*</script>\s*", "", page)


def reachable(page):
    "The page, where whatever may be wider than a phone, and so has to be scrolled, can be reached by keyboard."
    page = re.sub(r'<p>(?=<math display="block")', '<p tabindex="0">', page)
    return re.sub(r"<table(?![^>]*\btabindex)", '<table tabindex="0"', page)


def with_card(page):
    "The page, whose social cards show the file card.png and no picture that is written into the page."
    picture = r'(<meta\b[^>]*(?:og|twitter):image"[^>]*\bcontent=")data:[^"]*'
    page = re.sub(picture, rf"\g<1>{SITE}/card.png", page)
    return re.sub(r'<meta\b[^>]*(?:og|twitter):image:(?:width|height)"[^>]*>\s*', "", page)


def foreign(page):
    "What the page still fetches from other hosts."
    fetched = r'<(?:script|img|audio|source|iframe)\b[^>]*\bsrc="((?:https?:)?//[^"]*)"|<link\b(?=[^>]*\brel="(?:stylesheet|icon|preload|preconnect)")[^>]*\bhref="((?:https?:)?//[^"]*)"'
    return [a or b for a, b in re.findall(fetched, page)]


def notebook_links(name):
    "Links to open, download and read the notebook of a page."
    root = "../" * name.count("/")
    colab = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/nbs/{name}"
    return (
        f'<p class="notebook-links"><a href="{colab}">Open in Colab</a> <a href="{root}notebooks/{name}" download>Download notebook</a> '
        f'<a href="https://github.com/{REPOSITORY}/blob/main/nbs/{name}">Source</a></p>'
    )


def main(folder):
    "Finish the site in a folder."
    for name in ("static", "notebooks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in [
        *(ROOT / "audiogen/static").iterdir(),
        ROOT / "audiogen/weights/conditional.safetensors",
    ]:
        shutil.copy(path, folder / "static")
    notebooks = {}  # nbdev drops the number of 03_stft from the name of its page
    for path in [*(ROOT / "nbs").glob("*.ipynb"), *(ROOT / "nbs/support").glob("*.ipynb")]:
        name = path.relative_to(ROOT / "nbs")
        copy = folder / "notebooks" / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
        for stem in (path.stem, re.sub(r"^\d+_", "", path.stem)):
            notebooks[folder / name.with_name(f"{stem}.html")] = name.as_posix()
    for path in [*folder.glob("*.html"), *folder.glob("support/*.html")]:
        page = reachable(with_card(without_foreign_scripts(path.read_text("utf-8"))))
        if path in notebooks and 'class="notebook-links"' not in page:
            page = re.sub(
                r'(<header id="title-block-header".*?</header>)',
                lambda m, path=path: m[0] + notebook_links(notebooks[path]),
                page,
                count=1,
                flags=re.S,
            )
        if found := foreign(page):
            sys.exit(f"{path.name} fetches from another host: {', '.join(found)}")
        path.write_text(page, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["QUARTO_PROJECT_OUTPUT_DIR"]))
