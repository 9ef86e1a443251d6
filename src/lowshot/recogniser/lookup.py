"""Classes and photos of a recogniser, found by what a user calls them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lowshot.errors import InputError, did_you_mean, first_few
from lowshot.recogniser.class_names import checked_name
from lowshot.recogniser.model import Examples


def known_class(name: str, classes: Sequence[str], folder: Path) -> str:
    """The class of a name, in the form that the recogniser has it in.

    Args:
        name (str): The name, with accents in any Unicode form.
        classes (sequence of str): All classes of the recogniser.
        folder (Path): The folder of the recogniser, for messages.

    Raises:
        InputError: No class is called so.
    """
    composed = checked_name(name)
    if composed not in classes:
        raise InputError(f"recogniser {folder} has no class {name!r}. {did_you_mean(name, list(classes))}")
    return composed


def taught_photo(photo: str, examples: Examples, folder: Path) -> tuple[int, str]:
    """The row of a taught photo, and its ``CLASS/FILE``.

    Args:
        photo (str): ``CLASS/FILE``, or at least eight characters of the start of the SHA-256, with or without
            ``CLASS/`` before them.
        examples (Examples): The photos that count.
        folder (Path): The folder of the recogniser, for messages.

    Raises:
        InputError: No photo, or more than one, is called so.
    """
    within, _, start = photo.rpartition("/")
    found = [
        (int(row), name, digest)
        for row, name, digest in zip(examples.rows, examples.names, examples.digests)
        if name == photo
        or (len(start) >= 8 and digest.startswith(start) and (not within or name.startswith(f"{within}/")))
    ]
    if len(found) > 1:
        digests = [digest[:12] for _, _, digest in found]
        raise InputError(
            f"recogniser {folder} has {len(found)} taught photos called {photo!r}: give the start of the "
            f"SHA-256 of the one you mean in place of its name ({first_few(digests)}; sha256sum FILE prints it)"
        )
    if not found:
        raise InputError(
            f"recogniser {folder} has no taught photos called {photo!r}: "
            f"expected CLASS/FILE, such as {first_few(examples.names, 2) or 'robin/a.jpg'}"
        )
    row, name, _ = found[0]
    return row, name
