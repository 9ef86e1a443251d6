"""Names of classes, which become folders, columns and labels, so that all of them can hold every name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from lowshot.errors import InputError
from lowshot.escaping import printable

LONGEST = 100
"""The largest number of characters of a class name."""


def checked_name(name: str) -> str:
    """The name of a class in Unicode's composed form (NFC), without white space around it.

    Systems differ in how they write an accented letter in a file name; composed, the names are equal.

    Args:
        name (str): The name, as a folder, a table or a person gives it.

    Raises:
        InputError: The name is empty, too long, ``.`` or ``..``, or has a slash, a control character or half a
            surrogate pair.
    """
    shown = repr(name if len(name) <= LONGEST else f"{name[:40]}…")
    composed = unicodedata.normalize("NFC", name).strip()
    if not composed or composed in (".", ".."):
        raise InputError(f"class name {shown} is empty: give the class a name of 1 to {LONGEST} characters")
    if len(composed) > LONGEST:
        raise InputError(f"class name {shown} has {len(composed)} characters: at most {LONGEST} are possible")
    if "/" in composed or "\\" in composed:
        raise InputError(f"class name {shown} has a slash: a class is one folder's name, such as 'robin'")
    if printable(composed) != composed or "\n" in composed or "\t" in composed:
        raise InputError(f"class name {shown} has control characters: use letters, digits, spaces and punctuation")
    return composed


def check_distinct(names: Iterable[str], known: Iterable[str] = ()) -> None:
    """Refuse names that a person or a file system would take for one another.

    Args:
        names (iterable of str): The new names, checked by :func:`checked_name`.
        known (iterable of str): The names that exist. A new name may be one of them.

    Raises:
        InputError: Two names differ in nothing but case or a compatibility form of Unicode, such as "ﬁ" and "fi".
    """
    spelt = {_key(name): name for name in known}
    for name in names:
        other = spelt.setdefault(_key(name), name)
        if other != name:
            raise InputError(
                f"class names {other!r} and {name!r} differ by case or Unicode form alone: use one spelling for a class"
            )


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
