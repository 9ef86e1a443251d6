"""Tiny image trees, on disk and zipped."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.data import ImageDataset


def noise(seed: int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    """An RGB image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_of(header: bytes, pixels: bytes) -> bytes:
    """A PNG of the given header and unpacked pixel data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_that_claims(width: int, height: int) -> bytes:
    """A few hundred bytes whose header announces an image of any size."""
    return png_of(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), bytes(99))


def write_tree(root: Path, paths: Iterable[str]) -> Path:
    """A folder with a different small PNG at each path; a path that ends in ``/`` is an empty folder."""
    for seed, path in enumerate(paths):
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded(noise(seed)))
    return root


def zip_tree(root: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of everything under ``root``, folders included."""
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    return target


def pixels(dataset: ImageDataset) -> list[np.ndarray]:
    """Every image, decoded."""
    return [np.asarray(dataset.load(row)) for row in range(len(dataset))]


class MemoryImages(ImageDataset):
    """Random images in memory: the smallest data set there can be."""

    def __init__(self, labels: Iterable[int], num_classes: int, size: tuple[int, int] = (8, 8), **options: object):
        labels = list(labels)
        paths = [f"{label}/{row}.png" for row, label in enumerate(labels)]
        super().__init__(paths, labels, [f"class {c}" for c in range(num_classes)], **options)  # type: ignore[arg-type]
        self.size = size

    def _open(self, row: int) -> Image.Image:
        return noise(row, self.size)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """train and test with the classes ant, bee and cow."""
    paths = [f"{part}/{cls}/{i}.png" for part in ("train", "test") for cls in ("cow", "ant", "bee") for i in range(3)]
    return write_tree(tmp_path / "parts", paths)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Write a tree of the given paths under a new folder."""

    def build(*paths: str) -> Path:
        return write_tree(tmp_path / "tree", paths)

    return build
