"""The exceptions that lowshot raises on purpose, and helpers for their messages.

A message says what is wrong, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class LowshotError(RuntimeError):
    """A failure that the user could not have prevented; the command line exits with 1."""

    exit_code = 1


class InputError(LowshotError, ValueError):
    """A mistake in what the user gave; the command line prints the text and exits with 2."""

    exit_code = 2


class DivergedError(InputError):
    """A training diverged because its steps were too long; a search for hyper-parameters leaves this setting out."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The ``n`` known names most like ``name``, best first; empty when none is close."""
    return difflib.get_close_matches(name, list(known), n=n, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str], most: int = 20) -> str:
    """The end of an error message about an unknown name: the nearest known names, or up to ``most`` of them."""
    known = sorted(known)
    if close := nearest(name, known):
        return f"Did you mean {' or '.join(repr(c) for c in close)}?"
    if len(known) > most:
        few = difflib.get_close_matches(name, known, n=5, cutoff=0.0)
        return f"The nearest of {len(known)}: {', '.join(few)}."
    return f"Known: {', '.join(known) if known else 'none'}."


def first_few(names: Sequence[str], most: int = 5) -> str:
    """The first ``most`` of the names an error is about, separated by commas, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number: int, thing: str) -> str:
    """A number of things, whose name is given in the singular: ``1 class``, ``3 classes``."""
    plural = "es" if thing.endswith("s") else "s"
    return f"{number} {thing}{'' if number == 1 else plural}"
