"""Pictures to try a recogniser with, which need no download: signs as a camera might see them, a folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lowshot.data.glyphs.photograph import photograph
from lowshot.errors import InputError, did_you_mean
from lowshot.files import Pathlike, atomic_path

SIGNS = {"dollar": "$", "two": "2", "omega": "Ω", "zhe": "Ж", "psi": "Ψ", "lao": "ຮ", "xi": "ξ"}
"""The classes and the characters that their pictures show."""

SIDE = 160
"""The height and width of the pictures in pixels."""

_DIFFICULTY = 0.3


def write_pictures(folder: Pathlike, names: Sequence[str], count: int, first: int = 0) -> Path:
    """Draw pictures of signs; the same arguments give the same pictures.

    Args:
        folder (path-like): The folder, which gets a folder per class with ``00.png``, ``01.png`` and so on.
        names (sequence of str): The classes, among :data:`SIGNS`.
        count (int): The number of pictures per class.
        first (int): The number of the first of them. No two numbers give the same picture.

    Returns:
        The folder.

    Raises:
        InputError: There is no such class.
    """
    target = Path(folder)
    for name in names:
        if name not in SIGNS:
            raise InputError(f"there are no pictures of {name!r}. {did_you_mean(name, list(SIGNS))}")
        (target / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            rng = np.random.default_rng([ord(SIGNS[name]), number])
            with atomic_path(target / name / f"{number:02d}.png") as temporary:
                Image.fromarray(photograph(SIGNS[name], SIDE, _DIFFICULTY, rng)).save(temporary, "PNG")
    return target
