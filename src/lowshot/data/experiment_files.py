"""Read and write the files of experiments: one JSON file per experiment, numbered from 1."""

from __future__ import annotations

import glob
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import read_json, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Draw:
    """The content of one file.

    Attributes:
        rows (C lists): The row numbers of each class, not yet checked.
        paths (C lists or None): The image paths of those rows; None in the original's format.
        class_names (list of C str, or None): The names of the classes, if the file states them.
    """

    rows: list[Any]
    paths: list[list[str]] | None = None
    class_names: list[str] | None = None


def read_draw(file: Path) -> Draw:
    """Read an object with ``version``, ``shots``, ``paths`` and ``class_names``, or the original's list of lists.

    Raises:
        InputError: The file is missing, not JSON, of another version, or neither of the two.
    """
    value = read_json(file, "experiment")
    if isinstance(value, list):
        return Draw(value)
    if not isinstance(value, dict) or not isinstance(value.get("shots"), list):
        raise InputError(f"experiment {file} is neither an object with 'shots' nor a list of lists of row numbers")
    if value.get("version") != FORMAT_VERSION:
        raise InputError(f"experiment {file} has version {value.get('version')!r}: this lowshot reads {FORMAT_VERSION}")
    paths, class_names = value.get("paths"), value.get("class_names")
    if paths is not None and not (isinstance(paths, list) and all(_texts(images) for images in paths)):
        raise InputError(f"experiment {file}: 'paths' must be a list of lists of image paths")
    if class_names is not None and not _texts(class_names):
        raise InputError(f"experiment {file}: 'class_names' must be a list of names")
    return Draw(value["shots"], paths, class_names)


def write_draw(file: Path, draw: Draw, bare: bool) -> None:
    """Write one file atomically; with ``bare`` in the original's format, a list of lists of row numbers."""
    if bare:
        write_json(file, draw.rows, indent=None)
        return
    value = {"version": FORMAT_VERSION, "class_names": draw.class_names, "shots": draw.rows, "paths": draw.paths}
    write_json(file, value, indent=None)


def files_to_read(pattern: str | Path, n_experiments: int | None) -> list[Path]:
    """List the first ``n_experiments`` files, or all there are.

    Raises:
        InputError: A number is missing among them.
    """
    numbers = _numbers(pattern)
    wanted = n_experiments if n_experiments is not None else max(numbers, default=1)
    for number in range(1, wanted + 1):
        if number not in numbers:
            raise InputError(f"experiment {_name(pattern, number)} does not exist")
    return [_name(pattern, number) for number in range(1, wanted + 1)]


def files_to_write(pattern: str | Path, n_experiments: int) -> list[Path]:
    """List the names of ``n_experiments`` files.

    Raises:
        InputError: A file with a higher number exists.
    """
    if extra := [number for number in _numbers(pattern) if number > n_experiments]:
        raise InputError(
            f"{_name(pattern, extra[0])} is left from another set of experiments: remove it or write elsewhere"
        )
    return [_name(pattern, number) for number in range(1, n_experiments + 1)]


def _name(pattern: str | Path, number: int) -> Path:
    try:
        file = str(pattern).format(number)
    except (AttributeError, LookupError, TypeError, ValueError):
        file = str(pattern)
    if file == str(pattern):
        raise InputError(f"pattern {str(pattern)!r} needs a place for the experiment's number: splitfile_{{:d}}.json")
    return Path(file)


def _numbers(pattern: str | Path) -> list[int]:
    """The numbers of the files that exist, sorted."""
    _name(pattern, 1)
    before, after, place = "", "", False
    for text, field, _, _ in string.Formatter().parse(str(pattern)):
        before, after = (before, after + text) if place else (before + text, after)
        place = place or field is not None
    shape = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    files = glob.glob(f"{glob.escape(before)}*{glob.escape(after)}")
    return sorted(int(match[1]) for file in files if (match := shape.fullmatch(file)))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
