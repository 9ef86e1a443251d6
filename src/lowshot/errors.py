"""The errors a user can meet. Each names the thing that is wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LowshotError(RuntimeError):
    """Something failed that the user could not have prevented; the command line exits with 1."""

    exit_code = 1


class InputError(LowshotError, ValueError):
    """What the user gave cannot be used; the command line prints the text and exits with 2."""

    exit_code = 2


class DivergedError(InputError):
    """A training whose steps were too long; a search for hyper-parameters goes on with its other points."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The known names most like ``name``, best first; empty where nothing is close."""
    return difflib.get_close_matches(name, list(known), n=n, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str], most: int = 20) -> str:
    """A closing clause for an error about an unknown name: the nearest names, else all, unless there are many."""
    known = sorted(known)
    if close := nearest(name, known):
        return f"Did you mean {' or '.join(repr(c) for c in close)}?"
    if len(known) > most:
        few = difflib.get_close_matches(name, known, n=5, cutoff=0.0)
        return f"The nearest of {len(known)}: {', '.join(few)}."
    return f"Known: {', '.join(known) if known else 'none'}."
