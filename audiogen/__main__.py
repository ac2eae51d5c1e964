"""The command line, as `audiogen` and as `python -m audiogen`.

Importing JAX makes a million objects that live as long as the process; not looking for garbage among them meanwhile
saves an eighth of the time that `audiogen demo` takes.
"""

import gc


def main():
    gc.disable()
    from audiogen.demo import cli

    gc.freeze()
    gc.enable()
    return cli()


if __name__ == "__main__":
    raise SystemExit(main())
