"""Render a part once, keep it in one file, and map that file into memory ever after."""

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

from lowshot.data.glyphs.faces import FACES, path_of
from lowshot.data.glyphs.photograph import photograph
from lowshot.errors import InputError, LowshotError
from lowshot.files import atomic_path, file_fingerprint, fingerprint
from lowshot.progress import progress

RENDERER = 1
"""Raise it whenever the same request gives other pixels, so that no older cache is taken for the new one."""

PARTS = ("train", "test")
_WORTH_A_POOL = 2000  # images; starting worker processes takes as long as drawing about so many


@dataclass(frozen=True)
class Request:
    """Everything that decides the pixels of a part.

    Image k of a character depends on ``seed``, ``part``, ``size``, ``difficulty``, the character and k: not on the
    other characters, on how many images are wanted, or on which process draws it.
    """

    characters: tuple[str, ...]
    per_class: int
    part: str
    size: int
    difficulty: float
    seed: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, height, width, 3), class after class."""
        return len(self.characters) * self.per_class, self.size, self.size, 3

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the request, the renderer and the typefaces it draws with."""
        tools = [RENDERER, pillow_version, features.version("freetype2")]
        return fingerprint(asdict(self), tools, {face: file_fingerprint(path_of(face)) for face in FACES})

    def draw(self, character: str) -> np.ndarray:
        """All images of one character, (per_class, size, size, 3) uint8."""
        key = (self.seed, PARTS.index(self.part), ord(character))
        draws = (np.random.default_rng((*key, k)) for k in range(self.per_class))
        return np.stack([photograph(character, self.size, self.difficulty, rng) for rng in draws])


def default_folder() -> Path:
    """``$LOWSHOT_CACHE``, else ``lowshot`` in the user's cache folder."""
    if own := os.environ.get("LOWSHOT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lowshot"


def images(request: Request, folder: Path) -> np.ndarray:
    """The images of a request, rendered first unless an intact file holds them.

    Two processes that find none both render; each puts a whole file of the same bytes in place.

    Returns:
        (N, size, size, 3) uint8, read-only, mapped from the file.

    Raises:
        InputError: ``folder`` cannot be written.
    """
    path = folder / f"glyphs-{request.part}-{request.fingerprint}.npy"
    found = _mapped(path, request.shape)
    if found is None:
        try:
            render(request, path)
        except OSError as error:
            raise InputError(
                f"the glyphs cannot be kept in {folder}: {error.strerror or error}. "
                "Give a folder that can be written in the option cache or in LOWSHOT_CACHE"
            ) from error
        found = _mapped(path, request.shape)
        if found is None:
            raise LowshotError(f"{path} was changed by someone else while it was opened: try again")
    return found


def render(request: Request, path: Path, jobs: int | None = None) -> None:
    """Draw a request into ``path``, which appears only when it is complete.

    Args:
        request: what to draw.
        path: a ``.npy`` file to write.
        jobs: number of processes; the bytes are the same for any. None: one per core if that pays.
    """
    if jobs is None:
        jobs = joblib.cpu_count() if request.shape[0] >= _WORTH_A_POOL else 1
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        progress(f"glyphs ({request.part})", total=request.shape[0]) as tick,
    ):
        file.write(_header(request.shape))
        for drawn in _drawn(request, jobs):
            file.write(drawn.tobytes())
            tick(request.per_class)


def _drawn(request: Request, jobs: int) -> Iterator[np.ndarray]:
    if jobs == 1:
        return map(request.draw, request.characters)
    pool = joblib.Parallel(n_jobs=jobs, return_as="generator")
    return pool(joblib.delayed(request.draw)(character) for character in request.characters)


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The file as an array, or None where it is missing, cut short, or not what was asked for."""
    header = _header(shape)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(header)) != header or size != len(header) + math.prod(shape):
                return None
            mapped = np.memmap(file, np.uint8, "r", len(header), shape)
    except OSError:
        return None
    # As a plain array: indexing a memmap makes a memmap, several times slower per image.
    return mapped.view(np.ndarray)


def _header(shape: tuple[int, ...]) -> bytes:
    """What a ``.npy`` file of bytes of this shape begins with."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
