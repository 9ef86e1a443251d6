"""Trees of image folders as labelled tables: the same rules for a folder on disk and for one inside a zip.

A tree is ``[train|test]/class/…/image``. Without folders for the parts the tree is one part, which a seeded holdout can
divide. Labels are the sorted class names; rows are sorted by class, then by path.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from lowshot.data.formats import RAW_EXTENSIONS
from lowshot.data.holdout import holdout
from lowshot.data.listing import Listing
from lowshot.data.parts import Images, Layout, Parts, find_parts, find_prefix, part_without_images, quoted
from lowshot.errors import InputError, first_few


@dataclass(frozen=True)
class Table:
    """The N rows of one part.

    Attributes:
        prefix (str): The folder that ``paths`` are relative to, empty or ending in ``/``.
        paths (list of N str): The relative paths.
        labels (int64, (N,)): The labels.
        class_names (list of C str): The names of the classes.
        files (int64, (N,)): The indices of the rows in the listing's files.
        content (list of N int, or None): The numbers of the listing that change with the content of each image.
        left_out (dict): What is in the tree and in none of its parts, in words → the number of files.
        taken_in (dict): What may surprise in its parts, in words → the number of images.
    """

    prefix: str
    paths: list[str]
    labels: np.ndarray
    class_names: list[str]
    files: np.ndarray
    content: list[int] | None
    left_out: dict[str, int] = field(default_factory=dict)
    taken_in: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """The images of each class in one part, those outside its class folders, and the number in folders inside them."""

    classes: dict[str, Images]
    strays: list[str]
    deeper: int


def image_table(listing: Listing, part: str, layout: Layout) -> Table:
    """Label the images of one part of a tree by their folders.

    Images outside class folders are left out where they are fewer than the classes.

    Args:
        listing (Listing): The images and folders.
        part (str): ``"train"`` or ``"test"``.
        layout (Layout): The roles of the folders.

    Raises:
        InputError: There are no images, a part is missing, a class folder has no images, many images are outside class
            folders, train and test name different classes, or a class is too small for the holdout.
    """
    everything = [(path, index) for index, path in enumerate(listing.files)]
    if not everything:
        raise InputError(
            f"{listing.name} holds no images (.jpg, .png, .heic and the like){_kinds(listing.others, ': it has ')}"
        )
    prefix = find_prefix(listing.name, everything, layout)
    images = [(path.removeprefix(prefix), index) for path, index in everything if path.startswith(prefix)]
    name = f"{listing.name}/{prefix}".rstrip("/")
    parts = find_parts(name, images, layout)
    found = {key: _part(name, images, listing, prefix, base, parts, layout) for key, base in parts.folders.items()}
    if len(found) == 2:
        _check_same_classes(name, parts, found)
    classes = _classes_of_part(name, images, parts, found, part, layout)
    class_names = sorted(classes)
    rows = [(path, file, label) for label, cls in enumerate(class_names) for path, file in sorted(classes[cls])]
    labels = np.array([label for _, _, label in rows], dtype=np.int64)
    if layout.test_per_class is not None and "test" not in found:
        paths = [path for path, _, _ in rows]
        chosen = holdout(labels, class_names, part, layout.test_per_class, layout.seed, paths)
        rows, labels = [rows[row] for row in chosen], labels[chosen]
    files = np.array([file for _, file, _ in rows], dtype=np.int64)
    content = None if listing.content is None else [listing.content[file] for file in files]
    left_out = _left_out(listing, images, len(everything) - len(images), parts, found)
    deeper = sum(one.deeper for one in found.values())
    taken_in = {"from folders inside class folders": deeper} if deeper else {}
    return Table(prefix, [path for path, _, _ in rows], labels, class_names, files, content, left_out, taken_in)


def _part(name: str, images: Images, listing: Listing, prefix: str, base: str, parts: Parts, layout: Layout) -> _Part:
    """The classes under the folder ``base`` of a part."""
    depth, apart = layout.class_depth, parts.apart if base == "" else ()
    classes: dict[str, Images] = {}
    strays: list[str] = []
    deeper = 0
    for path, index in images:
        if path.startswith(base) and not path.startswith(apart):
            names = path[len(base) :].split("/")
            if len(names) <= depth:
                strays.append(path)
            else:
                classes.setdefault("/".join(names[:depth]), []).append((path, index))
                deeper += len(names) > depth + 1
    if len(strays) >= max(len(classes), 1):
        wanted = "/".join(["CLASS"] if depth == 1 else [f"LEVEL{level + 1}" for level in range(depth)])
        more = f" and {len(strays) - 1} more" if len(strays) > 1 else ""
        raise InputError(
            f"image {min(strays)}{more} in {name} lies outside a class folder: expected {base}{wanted}/IMAGE"
        )
    _check_filled(name, classes, listing, prefix, base, apart, depth)
    return _Part(classes, sorted(strays), deeper)


def _check_filled(
    name: str, classes: dict[str, Images], listing: Listing, prefix: str, base: str, apart: tuple[str, ...], depth: int
) -> None:
    """Refuse class folders without images: a class that is silently missing would change all labels."""
    filled = {"/".join(names[:level]) for cls in classes if (names := cls.split("/")) for level in range(1, depth + 1)}
    start = prefix + base
    inner = {folder[len(start) :] for folder in listing.folders if folder.startswith(start)}
    empty = sorted(
        folder
        for folder in inner
        if folder and folder.count("/") < depth and folder not in filled and not f"{folder}/".startswith(apart)
    )
    if empty:
        within = tuple(f"{start}{folder}/" for folder in empty)
        others = [(path, kind) for path, kind in listing.others if path.startswith(within)]
        raise InputError(
            f"{name}: class folder {quoted([base + folder for folder in empty])} holds no images"
            f"{_kinds(others, ' but ')}: put images in it, or move it out of {name}"
        )


def _check_same_classes(name: str, parts: Parts, found: dict[str, _Part]) -> None:
    for here, there in (("train", "test"), ("test", "train")):
        if missing := sorted(found[here].classes.keys() - found[there].classes.keys()):
            raise InputError(
                f"{name}: {parts.folders[here]!r} has classes that {parts.folders[there]!r} lacks: {quoted(missing)}. "
                "Both parts need the same class folders"
            )


def _classes_of_part(
    name: str, images: Images, parts: Parts, found: dict[str, _Part], part: str, layout: Layout
) -> dict[str, Images]:
    """The classes to take a part from: its own, or with a holdout those of the only part."""
    if layout.test_per_class not in (None, "auto") and "test" in found:
        raise InputError(
            f"{name} has a test folder already: leave test_per_class out (data.options.test_per_class=null)"
        )
    if part not in found and layout.test_per_class is None:
        raise part_without_images(name, parts, images, found["train"].classes, layout)
    return found.get(part, found["train"]).classes


def _left_out(
    listing: Listing, images: Images, outside_prefix: int, parts: Parts, found: dict[str, _Part]
) -> dict[str, int]:
    """Count the files in the tree that are in none of its parts, by reason."""
    left_out: Counter[str] = Counter()
    strays = sorted(stray for part in found.values() for stray in part.strays)
    if strays:
        left_out[f"outside class folders ({first_few(strays, 2)})"] = len(strays)
    taken = len(strays) + sum(len(cls) for part in found.values() for cls in part.classes.values())
    if taken < len(images):
        bases = tuple(base for base in parts.folders.values() if base)
        whole = "" in parts.folders.values()
        for path, _ in images:
            if not path.startswith(bases) and not (whole and not path.startswith(parts.apart)):
                top, slash, _ = path.partition("/")
                reason = " (no class folders)" if f"{top}/" == parts.unlabelled else ""
                left_out[f"in {top}/{reason}" if slash else "outside the parts"] += 1
    if outside_prefix:
        left_out["outside the prefix"] = outside_prefix
    left_out.update(kind for _, kind in listing.others)
    if listing.hidden:
        left_out["hidden"] = listing.hidden
    return dict(left_out)


def _kinds(others: list[tuple[str, str]], start: str) -> str:
    """The end of an error message: what there is in place of images."""
    if not others:
        return ""
    counts = Counter(kind for _, kind in others)
    listed = first_few([f"{count} {kind}" for kind, count in counts.most_common()])
    raw = " (camera raw: export them as JPEG)" if counts.keys() & RAW_EXTENSIONS else ""
    return f"{start}{listed}{raw}"
