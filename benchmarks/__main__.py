"""Run benchmarks by name and print their tables: `python -m benchmarks [NAME…] [--quick]`."""

import argparse
import sys
from importlib import import_module

from .common import header

NAMES = [
    "demo",
    "stft",
    "generate",
    "memory",
    "slider",
    "explorer",
    "training",
    "quality",
    "steering",
    "wavenet",
]


def parse(argv=None):
    """The names asked for, all by default, and whether to be quick."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Paired measurements, printed as Markdown."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(NAMES) + "; all if none is given"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter sounds")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(NAMES):
        parser.error(
            f"no benchmark is called {', '.join(sorted(unknown))}; want some of {', '.join(NAMES)}"
        )
    return args.names or NAMES, args.quick


def main(argv=None):
    """Print the machine, then each benchmark's section as soon as it is done; the exit status."""
    names, quick = parse(argv)
    try:
        modules = [import_module(f"benchmarks.{name}") for name in names]
    except ModuleNotFoundError as e:
        print(f"benchmarks: {e.name} is missing; run: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    print(header(quick))
    for module in modules:
        print(module.section(quick), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
