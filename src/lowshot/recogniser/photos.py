"""Photos as people give them: files, folders, zips, lists, images in memory; opened one by one when needed."""

from __future__ import annotations

import bisect
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lowshot.data import BadImageError, ImageDataset, build_dataset
from lowshot.data.archive import open_zip
from lowshot.data.decode import MAX_PIXELS, decode, to_rgb
from lowshot.data.listing import kind_of_name, list_folder
from lowshot.errors import InputError
from lowshot.files import exists, is_folder, open_regular
from lowshot.progress import say
from lowshot.recogniser.class_names import check_distinct, checked_name

ImageLike = Any
"""A path, a PIL image, or an array (H, W), (H, W, 3) or (H, W, 4) of uint8."""

THUMBNAIL_SIDE = 96
"""The longer side of a thumbnail in pixels."""

_THUMBNAIL_QUALITY = 80


@dataclass(frozen=True)
class Opened:
    """A photo in memory.

    Attributes:
        image (Image): The photo, upright, RGB.
        digest (str): The SHA-256 of the file, or of the pixels of an image that is no file.
    """

    image: Image.Image
    digest: str


@dataclass(frozen=True)
class Photo:
    """A photo that is not opened yet.

    Attributes:
        name (str): The name that people know it by: its path, or the name of a member in a zip.
        source (object): What it is opened from: a path, a row of a data set, an image, an array, the content of a
            file, or a function that returns the content.
    """

    name: str
    source: Path | tuple[ImageDataset, int] | Image.Image | np.ndarray | bytes | Callable[[], bytes]

    def open(self, max_pixels: int = MAX_PIXELS) -> Opened:
        """Decode the photo.

        Args:
            max_pixels (int): The largest size; a larger photo is refused before any of its pixels is decoded.

        Raises:
            BadImageError: It is missing, damaged, no photo or too large; the message names it.
        """
        source = self.source
        if isinstance(source, tuple):
            content = source[0].encoded(source[1])
            if isinstance(content, Image.Image):
                return _in_memory(content, self.name)
        elif isinstance(source, Path):
            content = _read(source, self.name)
        elif isinstance(source, bytes):
            content = source
        elif isinstance(source, Image.Image | np.ndarray):
            return _in_memory(source, self.name)
        else:
            content = source()
        return Opened(decode(io.BytesIO(content), self.name, max_pixels), hashlib.sha256(content).hexdigest())


def as_photo(image: ImageLike, number: int = 0) -> Photo:
    """One image as a person gives it to Python.

    Args:
        image (path, Image or array): The image.
        number (int): Its number, which names an image without a file.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | Path):
        return Photo(str(image), Path(image).expanduser())
    if isinstance(image, Image.Image):
        return Photo(str(getattr(image, "filename", "") or f"image {number}"), image)
    if isinstance(image, np.ndarray):
        return Photo(f"image {number}", image)
    raise InputError(
        f"image {number} is a {type(image).__name__}: expected a path, a PIL image or an array (H, W, 3) of uint8"
    )


class PhotoList(Sequence[Photo]):
    """Many photos, held as little more than their names.

    Args:
        groups (sequence): The photos of each file, folder or zip in turn: their names, and the function from a number
            to the photo.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[str], Callable[[int], Photo]]]) -> None:
        self._groups = list(groups)
        self._ends = list(itertools.accumulate(len(names) for names, _ in self._groups))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        group = bisect.bisect_right(self._ends, index)
        return self._groups[group][1](index - (self._ends[group - 1] if group else 0))


def photos_at(paths: Iterable[str | Path]) -> PhotoList:
    """The photos of files, and of everything in folders and zips, in the order of their names.

    Args:
        paths (iterable of path-like): The files, folders and zips.

    Raises:
        InputError: A path does not exist, or a folder or zip holds no photos.
    """
    return PhotoList([_group(str(given)) for given in paths])


def _group(given: str) -> tuple[Sequence[str], Callable[[int], Photo]]:
    path = Path(given).expanduser()
    if is_folder(path):
        names = sorted(list_folder(path).files)
        if not names:
            raise InputError(f"{given} holds no photos (.jpg, .png, .heic and the like)")
        return names, partial(_in_folder, given.rstrip("/") or "/", path, names)
    if path.suffix.lower() == ".zip":
        members = _Members(path)
        order = sorted(range(len(members)), key=members.paths.__getitem__)
        return members.paths, partial(_in_zip, given, members, order)
    if not exists(path) and not path.is_symlink():
        raise InputError(f"photo {given} does not exist")
    return [given], partial(_alone, given, path)


def _in_folder(given: str, path: Path, names: Sequence[str], number: int) -> Photo:
    return Photo(f"{given}/{names[number]}", path / names[number])


def _in_zip(given: str, members: ImageDataset, order: Sequence[int], number: int) -> Photo:
    return Photo(f"{given}/{members.paths[order[number]]}", (members, order[number]))


def _alone(given: str, path: Path, number: int) -> Photo:
    return Photo(given, path)


def labelled_photos(root: str | Path) -> dict[str, list[Photo]]:
    """The photos of a folder with a folder per class, of such a zip, or of a list of paths and classes.

    Args:
        root (path-like): The folder, the zip, or the CSV or JSON list. Of a tree with a ``train`` and a ``test`` part
            the first is taken.

    Returns:
        Class name → its photos, both sorted.

    Raises:
        InputError: There are no class folders, a class name is not possible, or two differ by case alone.
    """
    dataset = _dataset(Path(root).expanduser())
    for words, counts in (("left out", dataset.left_out), ("taken in", dataset.taken_in)):
        if counts:
            say(f"{root}: {words}: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}")
    found: dict[str, list[Photo]] = {}
    origin: dict[str, str] = {}
    for row, label in enumerate(dataset.labels.tolist()):
        given = dataset.class_names[label]
        name = checked_name(given)
        if origin.setdefault(name, given) != given:
            raise InputError(f"{root}: the classes {origin[name]!r} and {given!r} differ by their Unicode form alone")
        found.setdefault(name, []).append(Photo(f"{dataset.paths[row]}", (dataset, row)))
    check_distinct(found)
    return dict(sorted(found.items()))


def named_photos(photos: Mapping[str, Sequence[ImageLike]]) -> dict[str, list[Photo]]:
    """The photos of a mapping from class names, as :meth:`~lowshot.Recogniser.teach` takes it.

    Raises:
        InputError: There is no photo, or a class name is not possible.
    """
    found: dict[str, list[Photo]] = {}
    for given, images in photos.items():
        if isinstance(images, str | Path | Image.Image | np.ndarray):
            images = [images]
        name = checked_name(str(given))
        if not len(images):
            raise InputError(f"class {name!r} has no photos: give it one at least")
        found.setdefault(name, []).extend(as_photo(image, number) for number, image in enumerate(images))
    check_distinct(found)
    return dict(sorted(found.items()))


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of a photo, whose longer side is :data:`THUMBNAIL_SIDE` pixels."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_THUMBNAIL_QUALITY)
    return out.getvalue()


def look(image: Image.Image) -> int:
    """The perceptual hash of a photo (pHash): 64 bits, which change little when it is resized or compressed."""
    import imagehash

    small = image.copy()
    small.thumbnail((256, 256), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return int(str(imagehash.phash(small)), 16)


def _dataset(root: Path) -> ImageDataset:
    if not exists(root):
        raise InputError(
            f"photos {root} do not exist: expected a folder with a folder per class, such a zip, or a CSV of path,class"
        )
    if is_folder(root):
        entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
        if entries and not any(entry.is_dir() for entry in entries) and any(map(_is_photo, entries)):
            raise InputError(
                f"{root} holds photos but no class folders: expected {root}/CLASS/photo.jpg; to teach one class, name "
                f"it: --class NAME {root}"
            )
    elif _is_photo(root):
        raise InputError(f"{root} is a single photo: name the class that it shows: --class NAME {root}")
    return build_dataset("auto", "train", root)


def _is_photo(path: Path) -> bool:
    return kind_of_name(path.name) is None


class _Members(ImageDataset):
    """The pictures of a zip, whatever their folders."""

    def __init__(self, path: Path) -> None:
        listing, self._reader = open_zip(path)
        if not listing.files:
            raise InputError(f"{path} holds no photos (.jpg, .png, .heic and the like)")
        super().__init__(listing.files, np.zeros(len(listing.files), np.int64), [""])

    def _open(self, row: int) -> BinaryIO:
        return io.BytesIO(self._reader.read(row, self.max_bytes))


def _in_memory(image: Image.Image | np.ndarray, name: str) -> Opened:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
            raise BadImageError(
                f"image {name} is an array of {image.dtype} and shape {image.shape}: expected uint8 of (H, W, 3)"
            )
        if not image.size:
            raise BadImageError(f"image {name} is an array without pixels")
        image = Image.fromarray(image)
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(
            f"image {name} has {image.width} x {image.height} pixels: at most {MAX_PIXELS} are possible"
        )
    rgb = to_rgb(image, name)
    size = f"{rgb.width}x{rgb.height}".encode()
    return Opened(rgb, hashlib.sha256(size + rgb.tobytes()).hexdigest())


def _read(path: Path, name: str) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(4 * MAX_PIXELS + 2**24 + 1)
    except OSError as error:
        raise BadImageError(f"image {name} cannot be read: {error.strerror or error}") from None
    if len(content) > 4 * MAX_PIXELS + 2**24:
        raise BadImageError(f"image {name} has more than {len(content)} bytes, which no photo has")
    return content
