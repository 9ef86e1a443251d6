"""The data set that needs no download: images of a few hundred characters, rendered like photographs."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np

from lowshot.checks import check_count, check_number
from lowshot.data.base import ArrayImages
from lowshot.data.glyphs.cache import PARTS, Request, cached_images, default_folder
from lowshot.data.glyphs.characters import choose
from lowshot.errors import InputError
from lowshot.registry import DATASETS

SIZES = range(16, 257)
MOST_BYTES = 2**31
"""The largest size of the rendered images of a part, which are held in memory."""


@DATASETS.register("glyphs", "characters of many scripts, rendered as a camera might see them; nothing to download")
class Glyphs(ArrayImages):
    """Characters in the typefaces that matplotlib ships, a class per character, rendered once into a cache file.

    Images of the two parts never share a random state. Raising ``classes``, ``train_per_class`` or ``test_per_class``
    adds images and does not change the others.

    Args:
        part (str): ``"train"`` or ``"test"``.
        classes (int): The number of characters, taken from a fixed list that mixes the scripts.
        train_per_class (int): The number of images of each class in the train part.
        test_per_class (int): The number of images of each class in the test part.
        image_size (int): The height and width in pixels, 16 to 256.
        difficulty (float): The strength of distortions: 0 prints the characters plainly, 1 is as hard as a person can
            still read.
        seed (int): The seed of the images; the classes do not depend on it.
        cache (str or path): The folder of the cache file; by default ``$LOWSHOT_CACHE``, or else ``lowshot`` in the
            user's cache folder.

    Raises:
        InputError: An option is out of range, or the cache folder cannot be written.
    """

    def __init__(
        self,
        part: str = "train",
        classes: int = 200,
        train_per_class: int = 60,
        test_per_class: int = 20,
        image_size: int = 32,
        difficulty: float = 1.0,
        seed: int = 0,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        if part not in PARTS:
            raise InputError(f"part {part!r} of glyphs: expected 'train' or 'test'")
        check_count("classes", classes, least=2)
        check_count("train_per_class", train_per_class)
        check_count("test_per_class", test_per_class)
        check_count("image_size", image_size, least=SIZES[0])
        check_count("seed", seed, least=0)
        if image_size not in SIZES:
            raise InputError(f"image_size is {image_size}: glyphs come in {SIZES[0]} to {SIZES[-1]} pixels")
        difficulty = check_number("difficulty", difficulty, least=0, most=1)
        characters = choose(classes)
        per_class = train_per_class if part == "train" else test_per_class
        if (size := len(characters) * per_class * image_size**2 * 3) > MOST_BYTES:
            most = MOST_BYTES * per_class // size
            raise InputError(
                f"{len(characters)} classes of {per_class} glyphs of {image_size} pixels take {size} bytes, and "
                f"{MOST_BYTES} are allowed: set data.options.{part}_per_class={most} at most, or a smaller image_size"
            )
        self._request = Request(tuple(characters), per_class, part, image_size, difficulty, seed)
        self._folder = default_folder() if cache is None else Path(cache)
        folders = [f"{part}/U+{ord(character):04X} {unicodedata.name(character)}" for character in characters]
        super().__init__(
            [f"{folder}/{k:04d}.png" for folder in folders for k in range(per_class)],
            np.repeat(np.arange(classes), per_class),
            [f"{character} {unicodedata.name(character)}" for character in characters],
            options={"rendering": self._request.fingerprint},
        )
        self._pixels = self._read()

    def _read(self) -> np.ndarray:
        return cached_images(self._request, self._folder)
