"""Everything about the package stands in settings.ini; this file only hands it to setuptools."""

import json
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

parser = ConfigParser(delimiters=["="])
parser.read("settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]


def words(key):
    "The space-separated entries of `key`."
    return cfg.get(key, "").split()


class BuildWithNotebooks(build_py):
    "Put the notebooks into the package, without their outputs, and the pictures that their text shows."

    def run(self):
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, cfg["lib_path"], "notebooks")
        (folder / "support").mkdir(parents=True, exist_ok=True)
        nbs = Path(cfg["nbs_path"])
        for path in (*nbs.glob("[0-9]*.ipynb"), *nbs.glob("support/*.ipynb")):
            notebook = json.loads(path.read_text(encoding="utf-8"))
            for cell in notebook["cells"]:
                cell |= {"outputs": []} if cell["cell_type"] == "code" else {}
            copy = folder / path.relative_to(nbs)
            copy.write_text(
                json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            for name in re.findall(r"!\[[^\]]*\]\(([\w.-]+)\)", path.read_text(encoding="utf-8")):
                shutil.copy(path.with_name(name), copy.parent)


setup(
    cmdclass={"build_py": BuildWithNotebooks},
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    project_urls={"Documentation": cfg["doc_host"] + cfg["doc_baseurl"]},
    keywords=cfg["keywords"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Sound Synthesis",
    ],
    packages=[cfg["lib_path"], f"{cfg['lib_path']}.support"],
    package_data={
        cfg["lib_path"]: [
            "py.typed",
            "results.json",
            "static/*",
            "recordings/*",
            "weights/*.safetensors",
        ]
    },
    python_requires=f">={cfg['min_python']}",
    install_requires=words("requirements"),
    extras_require={
        extra: words(f"{extra}_requirements") for extra in ("lab", "cuda", "bench", "dev")
    },
    entry_points={
        "console_scripts": words("console_scripts"),
        "nbdev": [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"],
    },
    zip_safe=False,
)
