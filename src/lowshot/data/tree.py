"""Folders of images as a labelled table: the same rules for a folder on disk and for one inside a zip.

A tree is ``[train|test]/class/…/image``. Without part folders the whole tree is one part, which a seeded holdout can
divide. Labels are the sorted class names; rows are sorted by class, then by path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowshot.data.decode import EXTENSIONS
from lowshot.data.holdout import holdout, whole_number
from lowshot.data.listing import Listing
from lowshot.errors import InputError

Images = list[tuple[str, int]]
"""(path relative to the prefix, index into the listing's files) of each image."""


@dataclass(frozen=True)
class Layout:
    """How folders name parts and classes: the options of ``image_folder`` and ``image_zip``.

    Attributes:
        class_depth: how many folders name a class: 2 for ``ALPHABET/CHARACTER/image``.
        train_folder: the folder of the training part; ``None`` takes ``train`` where there is one.
        test_folder: the folder of the test part; ``None`` takes ``test`` where there is one.
        test_per_class: without a test folder, how many images of each class are held out as the test part.
        seed: of that holdout.
        prefix: the folder in which the tree starts; ``None`` walks down while there is only one folder to enter.
    """

    class_depth: int = 1
    train_folder: str | None = None
    test_folder: str | None = None
    test_per_class: int | None = None
    seed: int = 0
    prefix: str | None = None

    def __post_init__(self) -> None:
        whole_number("class_depth", self.class_depth, least=1)


@dataclass(frozen=True)
class Table:
    """The rows of one part.

    Attributes:
        prefix: the folder that ``paths`` are relative to, empty or ending in ``/``.
        paths: N relative paths.
        labels: (N,) int64.
        class_names: C names.
        files: (N,) int64 indices into the listing's files.
    """

    prefix: str
    paths: list[str]
    labels: np.ndarray
    class_names: list[str]
    files: np.ndarray


def image_table(listing: Listing, part: str, layout: Layout) -> Table:
    """The images of one part of a tree, labelled by their folders.

    Raises:
        InputError: no images; a missing part; a class folder without images; an image outside a class folder; train and
            test parts that name different classes; or a class too small for the holdout.
    """
    images = [(path, index) for index, path in enumerate(listing.files)]
    if not images:
        raise InputError(f"{listing.name} holds no images (looked for {', '.join(sorted(EXTENSIONS))})")
    prefix = _prefix(listing.name, images, layout)
    images = [(path.removeprefix(prefix), index) for path, index in images if path.startswith(prefix)]
    folders = {folder.removeprefix(prefix) for folder in listing.folders if folder.startswith(prefix)}
    name = f"{listing.name}/{prefix}".rstrip("/")
    areas = _areas(name, images, layout)
    parts = {key: _classes(name, images, folders, area, layout.class_depth) for key, area in areas.items()}
    if len(parts) == 2:
        _check_same_classes(name, areas, parts)
    return _rows(name, prefix, parts, part, layout)


def _prefix(name: str, images: Images, layout: Layout) -> str:
    if layout.prefix is not None:
        prefix = f"{layout.prefix.strip('/')}/".lstrip("/")
        if not any(path.startswith(prefix) for path, _ in images):
            raise InputError(f"{name} holds no images under prefix {layout.prefix!r}. {_tops(images)}")
        return prefix
    prefix = ""
    stops = {(layout.train_folder or "train").split("/")[0], (layout.test_folder or "test").split("/")[0]}
    while True:
        tops = {path[len(prefix) :].partition("/")[0] for path, _ in images}
        top = min(tops)
        inner = f"{prefix}{top}/"
        if len(tops) > 1 or top in stops or any(path.count("/", len(inner)) < layout.class_depth for path, _ in images):
            return prefix
        prefix = inner


def _areas(name: str, images: Images, layout: Layout) -> dict[str, str]:
    """Part → the folder it lies in, with ``/``; the train part of a tree without part folders lies in ``""``."""
    areas = {}
    for part, given in (("train", layout.train_folder), ("test", layout.test_folder)):
        area = f"{(given or part).strip('/')}/"
        depths = [path.count("/", len(area)) for path, _ in images if path.startswith(area)]
        # A folder "train" with images directly in it is a class of that name, not a part.
        if depths and (given or min(depths) >= layout.class_depth):
            areas[part] = area
        elif given:
            raise InputError(f"{name} has no images in {part}_folder {given!r}. {_tops(images)}")
    if "test" in areas and "train" not in areas:
        raise InputError(
            f"{name} has a test folder {areas['test']!r} but no train folder: "
            f"name it with train_folder. {_tops(images)}"
        )
    return areas or {"train": ""}


def _classes(name: str, images: Images, folders: set[str], area: str, depth: int) -> dict[str, Images]:
    classes: dict[str, Images] = {}
    for path, index in images:
        if path.startswith(area):
            steps = path[len(area) :].split("/")
            if len(steps) <= depth:
                wanted = "/".join(["CLASS"] if depth == 1 else [f"LEVEL{level + 1}" for level in range(depth)])
                raise InputError(f"image {path} in {name} lies outside a class folder: expected {area}{wanted}/IMAGE")
            classes.setdefault("/".join(steps[:depth]), []).append((path, index))
    filled = {"/".join(steps[:level]) for cls in classes if (steps := cls.split("/")) for level in range(1, depth + 1)}
    inner = {folder[len(area) :] for folder in folders if folder.startswith(area)}
    if empty := sorted(folder for folder in inner if folder.count("/") < depth and folder not in filled):
        raise InputError(f"{name}: class folder {_some([area + folder for folder in empty])} holds no images")
    return classes


def _check_same_classes(name: str, areas: dict[str, str], parts: dict[str, dict[str, Images]]) -> None:
    for here, there in (("train", "test"), ("test", "train")):
        if missing := sorted(parts[here].keys() - parts[there].keys()):
            raise InputError(
                f"{name}: {areas[here]!r} has classes that {areas[there]!r} lacks: {_some(missing)}. "
                "Both parts need the same class folders"
            )


def _rows(name: str, prefix: str, parts: dict[str, dict[str, Images]], part: str, layout: Layout) -> Table:
    divided = layout.test_per_class is not None
    if divided and "test" in parts:
        raise InputError(f"{name} has a test folder already: leave test_per_class out")
    if part not in parts and not divided:
        raise InputError(
            f"{name} has no test part: add a folder 'test', name one with test_folder, "
            "or hold images out with test_per_class"
        )
    classes = parts.get(part, parts["train"])
    names = sorted(classes)
    rows = [(path, index, label) for label, cls in enumerate(names) for path, index in sorted(classes[cls])]
    labels = np.array([label for _, _, label in rows], dtype=np.int64)
    files = np.array([index for _, index, _ in rows], dtype=np.int64)
    if layout.test_per_class is None:
        return Table(prefix, [path for path, _, _ in rows], labels, names, files)
    keep = holdout(labels, names, part, layout.test_per_class, layout.seed)
    return Table(prefix, [rows[row][0] for row in keep], labels[keep], names, files[keep])


def _tops(images: Images) -> str:
    tops = sorted({path.partition("/")[0] for path, _ in images if "/" in path})
    return f"Folders with images: {_some(tops)}."


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more
