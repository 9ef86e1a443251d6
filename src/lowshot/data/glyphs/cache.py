"""Render the images of a part once into a file, which is memory-mapped from then on."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import joblib
import numpy as np
from PIL import __version__ as pillow_version
from PIL import features

from lowshot.contents import cache_folder
from lowshot.data.glyphs.faces import FACES, path_of
from lowshot.data.glyphs.photograph import photograph
from lowshot.errors import InputError, LowshotError
from lowshot.files import atomic_path, file_fingerprint, fingerprint
from lowshot.parallel.orphans import ending_with_this_process
from lowshot.progress import progress

RENDERER = 1
"""The version of the renderer. Increase it whenever the same request gives other pixels, so that old caches expire."""

PARTS = ("train", "test")
_LEAST_FOR_A_POOL = 2000  # images; starting worker processes takes as long as drawing about this many


@dataclass(frozen=True)
class Request:
    """Everything that decides the pixels of a part.

    Image k of a character depends on ``seed``, ``part``, ``size``, ``difficulty``, the character and k, and not on the
    other characters, the number of images, or the process that draws it.

    Attributes:
        characters (tuple of C str): The classes.
        per_class (int): The number of images of each class.
        part (str): ``"train"`` or ``"test"``.
        size (int): The height and width in pixels.
        difficulty (float): The scale of every variation, 0 to 1.
        seed (int): The seed of the images.
    """

    characters: tuple[str, ...]
    per_class: int
    part: str
    size: int
    difficulty: float
    seed: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of all images, (N, height, width, 3), class after class."""
        return len(self.characters) * self.per_class, self.size, self.size, 3

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the request, the renderer and its typefaces."""
        tools = [RENDERER, pillow_version, features.version("freetype2")]
        return fingerprint(asdict(self), tools, {face: file_fingerprint(path_of(face)) for face in FACES})

    def draw(self, character: str) -> np.ndarray:
        """Draw all images of one character, (per_class, size, size, 3) uint8."""
        key = (self.seed, PARTS.index(self.part), ord(character))
        draws = (np.random.default_rng((*key, k)) for k in range(self.per_class))
        return np.stack([photograph(character, self.size, self.difficulty, rng) for rng in draws])


default_folder = cache_folder


def cached_images(request: Request, folder: Path) -> np.ndarray:
    """Return the images of a request, and render them first unless an intact file holds them.

    Two processes that find no file both render; each writes a complete file of the same bytes.

    Args:
        request (Request): The images to draw.
        folder (Path): The folder of the cache files.

    Returns:
        (N, size, size, 3) uint8, read-only and memory-mapped.

    Raises:
        InputError: The folder cannot be written.
    """
    path = folder / f"glyphs-{request.part}-{request.fingerprint}.npy"
    found = _mapped(path, request.shape)
    if found is None:
        try:
            render(request, path)
        except OSError as error:
            raise InputError(
                f"the glyphs cannot be saved in {folder}: {error.strerror or error}. "
                "Give a folder that can be written in the option cache or in LOWSHOT_CACHE"
            ) from error
        found = _mapped(path, request.shape)
        if found is None:
            raise LowshotError(f"{path} was changed by someone else while it was opened: try again")
    return found


def render(request: Request, path: Path, processes: int | None = None) -> None:
    """Draw a request into a file, atomically.

    Args:
        request (Request): The images to draw.
        path (Path): The ``.npy`` file to write.
        processes (int or None): The number of processes, which does not change the bytes. None takes one per core for
            many images, and one for few.
    """
    if processes is None:
        processes = joblib.cpu_count() if request.shape[0] >= _LEAST_FOR_A_POOL else 1
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        progress(f"glyphs ({request.part})", total=request.shape[0]) as tick,
    ):
        file.write(_header(request.shape))
        for drawn in _draw(request, processes):
            file.write(drawn.tobytes())
            tick(request.per_class)


def _draw(request: Request, processes: int) -> Iterator[np.ndarray]:
    if processes == 1:
        return map(request.draw, request.characters)
    pool = joblib.Parallel(processes, backend="loky", return_as="generator", **ending_with_this_process())
    return pool(joblib.delayed(request.draw)(character) for character in request.characters)


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The file as an array, or None if it is missing, cut short, or not of this shape."""
    header = _header(shape)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(header)) != header or size != len(header) + math.prod(shape):
                return None
            mapped = np.memmap(file, np.uint8, "r", len(header), shape)
    except OSError:
        return None
    # A plain array, because indexing a memmap makes a memmap, which is several times slower per image.
    return mapped.view(np.ndarray)


def _header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of a ``.npy`` file of uint8 of this shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
