"""The BibTeX entries that a part names for citation, as text: cut apart, checked, and gathered without repetition."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable

_HEAD = re.compile(r"@([A-Za-z]+)\s*\{\s*([^\s,{}\"#%~\\]+)\s*,")
_NOT_A_PAPER = ("comment", "preamble", "string")


def entries_of(bibtex: str) -> dict[str, str]:
    """Cut a text into its BibTeX entries.

    Args:
        bibtex (str): Any number of entries such as ``@article{key, ...}``, blanks between them.

    Returns:
        dict of str: The text of each entry, without indentation, by its key.

    Raises:
        ValueError: The text is no sequence of entries, or two have one key; the message says which.
    """
    text = textwrap.dedent(bibtex).strip()
    found: dict[str, str] = {}
    start = 0
    while start < len(text):
        head = _HEAD.match(text, start)
        if head is None:
            raise ValueError(f"expected an entry such as @article{{key, ...}}, found {text[start : start + 40]!r}")
        kind, key = head.groups()
        if kind.lower() in _NOT_A_PAPER:
            raise ValueError(f"expected entries of papers, found @{kind}")
        if key in found:
            raise ValueError(f"two entries have the key {key!r}")
        end = _end(text, text.index("{", start), key)
        found[key] = textwrap.dedent(text[start:end]).strip()
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return found


def bibliography(parts: Iterable[str]) -> str:
    """The text of a ``.bib`` file: every entry once, in the order of their first mention.

    Two different entries of one key, as two plug-ins may have, are both kept: the second gets a number after its key.

    Args:
        parts (iterable of str): The BibTeX texts of parts, of which those of parts without a paper are empty.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for key, entry in (pair for part in parts for pair in entries_of(part).items()):
        if entry not in seen:
            seen.add(entry)
            names = itertools.chain([key], (f"{key}_{number}" for number in itertools.count(2)))
            free = next(name for name in names if name not in found)
            found[free] = entry.replace(key, free, 1)
    return "".join(f"{entry}\n\n" for entry in found.values())[:-1]


def _end(text: str, opened: int, key: str) -> int:
    """The place after the brace that closes the one at ``opened``."""
    depth = 0
    for place in range(opened, len(text)):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return place + 1
    raise ValueError(f"the braces of the entry {key!r} do not match")
