"""Images listed in a CSV file: a path, a class, and maybe a part."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowshot.data.base import ImageDataset, ImageFiles
from lowshot.data.decode import MAX_PIXELS
from lowshot.data.holdout import TestPerClass, holdout
from lowshot.data.listing import require_folder
from lowshot.errors import InputError
from lowshot.files import read_text
from lowshot.registry import DATASETS

COLUMNS = ("path", "class", "part")
PARTS = ("train", "test")


@dataclass(frozen=True)
class Row:
    """One line of the list.

    Attributes:
        line (int): The number of the line in the file, from 1.
        path (str): The path of the image.
        cls (str): The name of its class.
        part (str or None): ``"train"`` or ``"test"``; None in a list without such a column.
    """

    line: int
    path: str
    cls: str
    part: str | None


@DATASETS.register("csv_list", "CSV list of path,class or path,class,part, with the images under a root folder")
def csv_list(
    root: str | Path,
    part: str = "train",
    *,
    image_root: str | Path | None = None,
    test_per_class: TestPerClass | None = None,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
) -> ImageDataset:
    """Open the images that a CSV file lists, a line an image: ``path,class`` or ``path,class,part``.

    The first line may name the columns, which may then be in any order and have others among them. Columns are
    separated by commas, semicolons or tabs. Labels are the alphabetical order of the classes, and rows are sorted by
    class, then by path, as those of ``image_folder``: the order of lines counts for nothing.

    Args:
        root (str or Path): The list.
        part (str): ``"train"`` or ``"test"``.
        image_root (str or Path): The folder that paths are relative to; by default the folder of the list.
        test_per_class (int or "auto"): The number of images of each class to hold out, if the list has no test part;
            "auto" takes the test part if there is one, and else half of each class.
        seed (int): The seed of that holdout.
        max_pixels (int): The most pixels that an image may have, see :class:`lowshot.data.ImageDataset`.
        decode_size (int or None): The size that large images may be reduced to while they are decoded, see there.

    Raises:
        InputError: The file is missing or no such list, or it has no test part and none is held out; the message names
            the line. A missing image is an error only when it is loaded.
    """
    file = Path(root)
    images = Path(image_root) if image_root is not None else file.parent
    require_folder(images)
    listed = read_csv_list(file)
    has_test = any(row.part == "test" for row in listed)
    if has_test and test_per_class not in (None, "auto"):
        raise InputError(
            f"image list {file} has a test part already: leave test_per_class out (data.options.test_per_class=null)"
        )
    names = sorted({row.cls for row in listed})
    rows = sorted(listed, key=lambda row: (row.cls, row.path))
    if has_test:
        rows = [row for row in rows if row.part == part]
        if not rows:
            raise InputError(f"image list {file} has no image of part {part!r}")
    elif test_per_class is None and part == "test":
        raise InputError(
            f"image list {file} has no test part: add a column 'part' with {' and '.join(PARTS)}, or hold images out "
            "with data.options.test_per_class=auto"
        )
    labels = np.searchsorted(np.array(names), [row.cls for row in rows]).astype(np.int64)
    paths = [row.path for row in rows]
    if not has_test and test_per_class is not None:
        chosen = holdout(labels, names, part, test_per_class, seed, paths)
        paths, labels = [paths[row] for row in chosen], labels[chosen]
    return ImageFiles(
        images,
        paths,
        labels,
        names,
        listed_in=file,
        listed=[row.path for row in listed],
        max_pixels=max_pixels,
        decode_size=decode_size,
    )


def read_csv_list(file: Path) -> list[Row]:
    """Read and check one list.

    Raises:
        InputError: The file is missing, not text, or not such a list; the message names the line.
    """
    text = read_text(file, "image list").removeprefix("\ufeff")
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                lines.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InputError(f"image list {file}, line {reader.line_num}: {error}") from None
    places = _places(file, lines[0][1] if lines else [])
    if places is not None:
        lines = lines[1:]
    if not lines:
        raise InputError(f"image list {file} lists no images")
    width = len(lines[0][1])
    if places is None and width not in (2, 3):
        raise InputError(
            f"image list {file}, line {lines[0][0]}: {width} columns, expected path,class or path,class,part "
            "(a first line may name the columns)"
        )
    places = places or {name: place for place, name in enumerate(COLUMNS[:width])}
    rows = [_row(file, number, cells, places) for number, cells in lines]
    _check_once(file, rows)
    return rows


def _places(file: Path, header: Sequence[str]) -> dict[str, int] | None:
    """Column → its place, if the first line names columns; None if it does not."""
    names = [name.lower() for name in header]
    if not {"path", "class"} & set(names):
        return None
    for name in COLUMNS:
        if names.count(name) != 1 and (name != "part" or name in names):
            raise InputError(
                f"image list {file}, line 1: {names.count(name)} columns are called {name!r} of {', '.join(header)}: "
                "expected one column path, one class, and maybe one part"
            )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _row(file: Path, line: int, cells: Sequence[str], places: dict[str, int]) -> Row:
    if len(cells) <= max(places.values()):
        raise InputError(
            f"image list {file}, line {line}: {len(cells)} columns, expected {max(places.values()) + 1}: "
            "put names with a separator in them in quotes"
        )
    found = {name: cells[place] for name, place in places.items()}
    for name in ("path", "class"):
        if not found[name] or "\0" in found[name]:
            raise InputError(f"image list {file}, line {line}: the {name} is {found[name]!r}")
    part = found.get("part")
    if part is not None and part.lower() not in PARTS:
        raise InputError(f"image list {file}, line {line}: the part is {part!r}, expected {' or '.join(PARTS)}")
    return Row(line, found["path"], found["class"], None if part is None else part.lower())


def _check_once(file: Path, rows: Sequence[Row]) -> None:
    """Refuse an image that is listed twice: it would be of two classes, or in both parts."""
    seen: dict[str, Row] = {}
    for row in rows:
        other = seen.setdefault(row.path, row)
        if other is not row:
            raise InputError(f"image list {file}, lines {other.line} and {row.line} both list {row.path}")
