"""The command line, as `audiogen` and as `python -m audiogen`: what changes the process as a whole."""

import _thread
import gc
import os
import signal
import sys
import threading

received = []  # signals that have asked the process to end


def open_streams():
    "Open the null device for streams that the process has to do without (`audiogen >&-`), before another file gets their number."
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for names that a terminal can't show


def close_streams():
    "Drop what can't be written any more: the command has said so already, and Python's own last attempt would say it again."
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def importing(frame):
    "Is a module being imported, in `frame` or in what has called it? C code may take an interrupt for a failure there."
    while frame is not None and frame.f_code is not main.__code__:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def ask_again(number):
    "Send this process a signal a little later."
    timer = threading.Timer(0.01, _thread.interrupt_main, [number])
    timer.daemon = True
    timer.start()


def stop(number, frame):
    "End as after Ctrl-C: files are closed, temporary ones removed. A module that is being imported is finished first."
    if importing(frame):
        return ask_again(number)
    received.append(number)
    raise KeyboardInterrupt


def catch_signals():
    "Stop on Ctrl-C, SIGTERM and SIGHUP, unless they are ignored (`nohup audiogen`)."
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        usual = (signal.SIG_DFL, signal.default_int_handler)
        if number is not None and signal.getsignal(number) in usual:
            signal.signal(number, stop)


def interrupt_again(unraisable):
    "An interrupt in a destructor or a callback of the garbage collector, where Python can only ignore it, comes again a little later."
    if unraisable.exc_type is not KeyboardInterrupt:
        return sys.__unraisablehook__(unraisable)
    ask_again(received[-1] if received else signal.SIGINT)


def run():
    "Import what the command line needs, and run the command; its exit status."
    from audiogen.support.cache import keep_programs
    from audiogen.support.cli import cli

    gc.set_threshold(100_000)  # importing JAX makes a million objects that stay: look seldom
    return cli(prepare=keep_programs)


def main():
    "Set up the process, run the command; its exit status: 128 and the signal's number when interrupted."
    sys.unraisablehook = interrupt_again
    open_streams()
    try:
        catch_signals()
        status = run()
    except KeyboardInterrupt:  # while JAX is being imported
        print("audiogen: interrupted", file=sys.stderr)
        status = 130
    close_streams()
    return 128 + received[0] if received and status == 130 else status


if __name__ == "__main__":
    raise SystemExit(main())
