"""Flags, checks of numbers and exit codes, shared by the six programs."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from lowshot.exits import run_program

Flags = argparse.Namespace
T = TypeVar("T", int, float)

SWITCH = (0, 1)
"""The choices of a flag that says no or yes."""


def parser(program: str, purpose: str) -> argparse.ArgumentParser:
    """Make a parser that prints every default; flags are the original's, with underscores and without short forms."""
    return argparse.ArgumentParser(
        prog=f"python -m lowshot.compat.{program}",
        description=purpose,
        epilog="A flag has the name and the default that it has in the original program; see docs/original.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def _number(read: Callable[[str], T], fits: Callable[[T], bool], expected: str) -> Callable[[str], T]:
    """Make the type of a flag: ``read`` converts its text, and ``fits`` is True for the values that are allowed."""

    def typed(text: str) -> T:
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {expected}")
        return value

    return typed


def integer(least: int) -> Callable[[str], int]:
    """Make the type of a flag that takes a whole number of at least ``least``."""
    return _number(int, lambda value: value >= least, f"a whole number of at least {least}")


positive = _number(float, lambda value: 0 < value < math.inf, "a finite number above 0")
not_negative = _number(float, lambda value: 0 <= value < math.inf, "a finite number of at least 0")
fraction = _number(float, lambda value: 0 <= value < 1, "a number of at least 0 and below 1")


def run(flags: argparse.ArgumentParser, work: Callable[[Flags], None], arguments: Sequence[str] | None) -> int:
    """Parse, work, and return the exit code, one of :mod:`lowshot.exits`."""
    return run_program(lambda: work(flags.parse_args(arguments)), resumable=False)


def end(code: int) -> NoReturn:
    """End the process with an exit code, as the last line of a program.

    What is registered for the end is called and all output is written, but the libraries that were loaded are not taken
    apart one by one, which for torch takes longer than many a short run.
    """
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
