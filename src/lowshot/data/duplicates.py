"""Find pictures that are in both the training and the test part, by their content."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from lowshot.data.base import ImageDataset
from lowshot.data.decode import BadImageError


def shared_pictures(train: ImageDataset, test: ImageDataset) -> np.ndarray:
    """Find the test pictures whose file is, byte for byte, that of a training picture.

    Files are read only where their content numbers are equal. Pictures that are not in files are not compared.

    Args:
        train (ImageDataset): The training part, N images.
        test (ImageDataset): The test part, M images.

    Returns:
        (K, 2) int64: A training row and a test row of each shared picture, in the order of test rows. Of equal pictures
        in the training part the first is named.
    """
    both = np.intersect1d(train.content[train.content > 0], test.content)
    rows_of: dict[bytes | None, int] = {}
    for row in np.flatnonzero(np.isin(train.content, both)).tolist():
        if (digest := _digest(train, row)) is not None:
            rows_of.setdefault(digest, row)
    pairs = [
        (rows_of[digest], row)
        for row in np.flatnonzero(np.isin(test.content, both)).tolist()
        if (digest := _digest(test, row)) in rows_of
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _digest(dataset: ImageDataset, row: int) -> bytes | None:
    """The digest of an image's file; None where it has none, or it cannot be read."""
    try:
        source = dataset._open(row)
    except (OSError, BadImageError):
        return None
    if isinstance(source, Image.Image):
        return None
    with source:
        digest = hashlib.sha256()
        while block := source.read(2**20):
            digest.update(block)
    return digest.digest()
