"""The command line, as `audiogen` and as `python -m audiogen`."""

import _thread
import gc
import os
import sys
import threading


def interrupt_again(unraisable):
    "Ctrl-C in a destructor or a callback of the garbage collector, where Python can only ignore it, comes again a little later."
    if unraisable.exc_type is not KeyboardInterrupt:
        return sys.__unraisablehook__(unraisable)
    timer = threading.Timer(0.01, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


def main():
    "Run the command with a quick start and a stderr of its own."
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # ours goes where it went,
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # and C libraries' chatter (libmpg123's, on a damaged MP3) nowhere
    sys.unraisablehook = interrupt_again
    gc.disable()  # importing JAX makes a million objects that stay: don't look for garbage among them
    try:
        from audiogen.cli import cli
    except KeyboardInterrupt:  # Ctrl-C while JAX is being imported
        print("audiogen: interrupted", file=sys.stderr)
        return 130
    gc.freeze()
    gc.enable()
    return cli()


if __name__ == "__main__":
    raise SystemExit(main())
