"""Trees of image folders as labelled tables: the same rules for a folder on disk and for one inside a zip.

A tree is ``[train|test]/class/…/image``. Without folders for the parts the tree is one part, which a seeded holdout can
divide. Labels are the sorted class names; rows are sorted by class, then by path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowshot.checks import check_count
from lowshot.data.decode import EXTENSIONS
from lowshot.data.holdout import holdout
from lowshot.data.listing import Listing
from lowshot.errors import InputError, first_few

Images = list[tuple[str, int]]
"""The path of each image relative to the prefix, and its index in the listing's files."""


@dataclass(frozen=True)
class Layout:
    """The roles of folders: the options of ``image_folder`` and ``image_zip``.

    Attributes:
        class_depth (int): The number of folders that name a class: 2 for ``ALPHABET/CHARACTER/image``.
        train_folder (str or None): The folder of the training part; None takes ``train`` if there is one.
        test_folder (str or None): The folder of the test part; None takes ``test`` if there is one.
        test_per_class (int or None): The number of images of each class to hold out as the test part, if the tree has
            no test folder.
        seed (int): The seed of that holdout.
        prefix (str or None): The folder in which the tree starts; None descends as long as there is only one folder.
    """

    class_depth: int = 1
    train_folder: str | None = None
    test_folder: str | None = None
    test_per_class: int | None = None
    seed: int = 0
    prefix: str | None = None

    def __post_init__(self) -> None:
        check_count("class_depth", self.class_depth)


@dataclass(frozen=True)
class Table:
    """The N rows of one part.

    Attributes:
        prefix (str): The folder that ``paths`` are relative to, empty or ending in ``/``.
        paths (list of N str): The relative paths.
        labels (int64, (N,)): The labels.
        class_names (list of C str): The names of the classes.
        files (int64, (N,)): The indices of the rows in the listing's files.
        content (list of N int): The numbers that change with the content of each image.
    """

    prefix: str
    paths: list[str]
    labels: np.ndarray
    class_names: list[str]
    files: np.ndarray
    content: list[int]


def image_table(listing: Listing, part: str, layout: Layout) -> Table:
    """Label the images of one part of a tree by their folders.

    Args:
        listing (Listing): The images and folders.
        part (str): ``"train"`` or ``"test"``.
        layout (Layout): The roles of the folders.

    Raises:
        InputError: There are no images, a part is missing, a class folder has no images, an image is outside a class
            folder, train and test name different classes, or a class is too small for the holdout.
    """
    images = [(path, index) for index, path in enumerate(listing.files)]
    if not images:
        raise InputError(f"{listing.name} holds no images (looked for {', '.join(sorted(EXTENSIONS))})")
    prefix = _prefix(listing.name, images, layout)
    images = [(path.removeprefix(prefix), index) for path, index in images if path.startswith(prefix)]
    folders = {folder.removeprefix(prefix) for folder in listing.folders if folder.startswith(prefix)}
    name = f"{listing.name}/{prefix}".rstrip("/")
    part_folders = _part_folders(name, images, layout)
    parts = {key: _classes(name, images, folders, base, layout.class_depth) for key, base in part_folders.items()}
    if len(parts) == 2:
        _check_same_classes(name, part_folders, parts)
    classes = _classes_of_part(name, parts, part, layout)
    class_names = sorted(classes)
    rows = [(path, file, label) for label, cls in enumerate(class_names) for path, file in sorted(classes[cls])]
    labels = np.array([label for _, _, label in rows], dtype=np.int64)
    if layout.test_per_class is not None:
        chosen = holdout(labels, class_names, part, layout.test_per_class, layout.seed)
        rows, labels = [rows[row] for row in chosen], labels[chosen]
    files = np.array([file for _, file, _ in rows], dtype=np.int64)
    content = [listing.content[file] for file in files]
    return Table(prefix, [path for path, _, _ in rows], labels, class_names, files, content)


def _prefix(name: str, images: Images, layout: Layout) -> str:
    if layout.prefix is not None:
        prefix = f"{layout.prefix.strip('/')}/".lstrip("/")
        if not any(path.startswith(prefix) for path, _ in images):
            raise InputError(f"{name} holds no images under prefix {layout.prefix!r}. {_top_folders(images)}")
        return prefix
    prefix = ""
    parts = {(layout.train_folder or "train").split("/")[0], (layout.test_folder or "test").split("/")[0]}
    while True:
        tops = {path[len(prefix) :].partition("/")[0] for path, _ in images}
        top = min(tops)
        inner = f"{prefix}{top}/"
        if len(tops) > 1 or top in parts or any(path.count("/", len(inner)) < layout.class_depth for path, _ in images):
            return prefix
        prefix = inner


def _part_folders(name: str, images: Images, layout: Layout) -> dict[str, str]:
    """The folder of each part, ending in ``/``; ``""`` for the train part of a tree without folders for the parts."""
    found = {}
    for part, given in (("train", layout.train_folder), ("test", layout.test_folder)):
        folder = f"{(given or part).strip('/')}/"
        depths = [path.count("/", len(folder)) for path, _ in images if path.startswith(folder)]
        # A folder "train" with images directly in it is a class of that name, not a part.
        if depths and (given or min(depths) >= layout.class_depth):
            found[part] = folder
        elif given:
            raise InputError(f"{name} has no images in {part}_folder {given!r}. {_top_folders(images)}")
    if "test" in found and "train" not in found:
        raise InputError(
            f"{name} has a test folder {found['test']!r} but no train folder: "
            f"name it with train_folder. {_top_folders(images)}"
        )
    return found or {"train": ""}


def _classes(name: str, images: Images, folders: set[str], base: str, depth: int) -> dict[str, Images]:
    """The images of each class under the folder ``base`` of a part."""
    classes: dict[str, Images] = {}
    for path, index in images:
        if path.startswith(base):
            names = path[len(base) :].split("/")
            if len(names) <= depth:
                wanted = "/".join(["CLASS"] if depth == 1 else [f"LEVEL{level + 1}" for level in range(depth)])
                raise InputError(f"image {path} in {name} lies outside a class folder: expected {base}{wanted}/IMAGE")
            classes.setdefault("/".join(names[:depth]), []).append((path, index))
    filled = {"/".join(names[:level]) for cls in classes if (names := cls.split("/")) for level in range(1, depth + 1)}
    inner = {folder[len(base) :] for folder in folders if folder.startswith(base)}
    if empty := sorted(folder for folder in inner if folder.count("/") < depth and folder not in filled):
        raise InputError(f"{name}: class folder {_quoted([base + folder for folder in empty])} holds no images")
    return classes


def _check_same_classes(name: str, part_folders: dict[str, str], parts: dict[str, dict[str, Images]]) -> None:
    for here, there in (("train", "test"), ("test", "train")):
        if missing := sorted(parts[here].keys() - parts[there].keys()):
            raise InputError(
                f"{name}: {part_folders[here]!r} has classes that {part_folders[there]!r} lacks: {_quoted(missing)}. "
                "Both parts need the same class folders"
            )


def _classes_of_part(name: str, parts: dict[str, dict[str, Images]], part: str, layout: Layout) -> dict[str, Images]:
    """The classes to take a part from: its own, or with a holdout those of the only part."""
    if layout.test_per_class is not None and "test" in parts:
        raise InputError(f"{name} has a test folder already: leave test_per_class out")
    if part not in parts and layout.test_per_class is None:
        raise InputError(
            f"{name} has no test part: add a folder 'test', name one with test_folder, "
            "or hold images out with test_per_class"
        )
    return parts.get(part, parts["train"])


def _top_folders(images: Images) -> str:
    return f"Folders with images: {_quoted(sorted({path.partition('/')[0] for path, _ in images if '/' in path}))}."


def _quoted(names: list[str]) -> str:
    return first_few([repr(name) for name in names])
