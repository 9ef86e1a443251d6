"""The three numbers of steps that the original has in its code and not among its flags."""

from __future__ import annotations

import os

from lowshot.errors import InputError

VARIABLE = "LOWSHOT_COMPAT_STEPS"


def steps(published: int) -> int:
    """Return ``published``, or the number in the environment variable LOWSHOT_COMPAT_STEPS, for trying things out.

    Args:
        published (int): The original's number of steps.

    Raises:
        InputError: The variable is no number of at least 1.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return published
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"environment variable {VARIABLE} is {text!r}: expected a number of steps of at least 1")
    return int(text)
