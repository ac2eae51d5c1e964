"""Run benchmarks by name, print their tables and keep them: `python -m benchmarks [NAME…] [--quick]`."""

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from .common import Section, describe, facts

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).with_name("RESULTS.md")
INTRODUCTION = """# Results

`python -m benchmarks` writes this page and the same figures as results.json; it replaces the parts that it has
measured anew. README.md tells what each benchmark does and how it measures. Ratios are medians of the rounds'
ratios, with quartiles; below 1 is faster than the other.
"""

NAMES = [
    "demo",
    "stft",
    "generate",
    "memory",
    "slider",
    "explorer",
    "page",
    "slicing",
    "training",
    "frechet",
    "quality",
    "steering",
    "wavenet",
    "codec",
    "prior",
    "wavegan",
    "flow",
    "captions",
    "own_sounds",
    "results",
    "budgets",
    "large",
]


def parse(argv=None):
    """The names asked for, all by default, and whether to be quick."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Paired measurements, printed and kept in RESULTS.md.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(NAMES) + "; all if none is given"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer rounds, shorter sounds: does it run? nothing is kept",
    )
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(NAMES):
        parser.error(
            f"no benchmark is called {', '.join(sorted(unknown))}; want some of {', '.join(NAMES)}"
        )
    return args.names or NAMES, args.quick


def page(results):
    """All results as Markdown."""
    parts = [INTRODUCTION]
    for name in sorted(results, key=NAMES.index):
        parts.append(f"## {name}\n\n{describe(results[name]['measured'])}\n")
        parts += [Section(**section).markdown() for section in results[name]["sections"]]
    return "\n".join(parts)


def keep(name, measured, sections):
    """Replace one benchmark's results in both files."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"measured": measured, "sections": [asdict(section) for section in sections]}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(results))


def main(argv=None):
    """Print each benchmark's tables as soon as they are there, and keep them unless quick."""
    names, quick = parse(argv)
    try:
        modules = {name: import_module(f"benchmarks.{name}") for name in names}
    except ModuleNotFoundError as e:
        print(f"benchmarks: {e.name} is missing; run: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    for name, module in modules.items():
        measured = facts()
        sections = module.sections(quick)
        print(describe(measured), *(each.markdown() for each in sections), sep="\n\n", flush=True)
        if not quick:
            keep(name, measured, sections)
    return 0


if __name__ == "__main__":
    sys.exit(main())
