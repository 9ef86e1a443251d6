"""Find the characters that a person could tell apart in a small, bad photograph.

Two classes must differ by more than the renderer varies: size, some rotation and stretch. So ``o`` and ``O`` are one
shape here, as are Latin A, Greek Alpha and Cyrillic A. Instead of a list of such pairs made by hand, every candidate is
drawn in every face that has it, and a candidate is dropped if in some face it can be laid over an earlier one so well
that nowhere a visible patch of ink is left over or missing.

This takes minutes, so ``characters.py`` holds the result. To compute it again: ``python -m
lowshot.data.glyphs.distinct``.
"""

from __future__ import annotations

import collections
import itertools
import json
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageFilter

from lowshot.data.glyphs.characters import SCRIPTS
from lowshot.data.glyphs.faces import FACES, characters_of, draw, faces_of

MIN_FACES = 8
CATEGORIES = ("Lu", "Ll", "Lo", "Nd", "Sc")  # letters, digits and currency signs; other signs are dots and bars
MAX_FILL = 0.75  # part of the box around the ink that is ink; above it a glyph is a bar (I)
MIN_DIFFERENCE = 0.55  # of ink somewhere, averaged over a patch; 1 is solid ink against none

_SIDE, _INK = 28, 24
_ANGLES = (0, -14, 14)
_STRETCHES = (1.0, 0.8, 1.25)
_SHIFTS = tuple(itertools.product((-1, 0, 1), repeat=2))
_ALIKE = 0.8  # cosine below which two plates differ without a closer comparison


def candidates() -> list[str]:
    """List the characters of :data:`CATEGORIES` that enough faces have and that are more than a bar, by code point.

    Characters that Unicode derives from another (accented letters, ligatures, superscripts) are left out: they differ
    from it by a mark of a few pixels, or not at all.
    """
    count = collections.Counter(itertools.chain.from_iterable(map(characters_of, FACES)))
    return sorted(
        character
        for character, faces in count.items()
        if faces >= MIN_FACES
        and unicodedata.category(character) in CATEGORIES
        and unicodedata.normalize("NFKD", character) == character
        and all(_has_structure(face, character) for face in faces_of(character))
    )


def distinct(characters: Sequence[str], min_difference: float = MIN_DIFFERENCE) -> list[str]:
    """Select the characters that differ enough from all those selected before.

    Only earlier characters decide about a later one, so a prefix of ``characters`` gives a prefix of the result.

    Args:
        characters (sequence of str): The candidates, in order of preference.
        min_difference (float): The smallest of the :func:`differences` between two selected characters.
    """
    difference = differences(characters)
    selected: list[int] = []
    for i in range(len(characters)):
        if not selected or difference[i, selected].min() >= min_difference:
            selected.append(i)
    return [characters[i] for i in selected]


def differences(characters: Sequence[str]) -> np.ndarray:
    """Measure how visibly each pair of characters differs, in the face in which it differs least.

    Returns:
        (N, N) float32, symmetric: the largest local difference in ink that remains when one is laid over the other as
        well as rotation, stretch and shift allow; infinite for pairs that resemble each other in no face.
    """
    result = np.full((len(characters), len(characters)), np.inf, np.float32)
    for face in FACES:
        rows = np.array([i for i, character in enumerate(characters) if character in characters_of(face)], dtype=int)
        if len(rows):
            cells = np.ix_(rows, rows)
            result[cells] = np.minimum(result[cells], _differences_in(face, [characters[i] for i in rows]))
    return np.minimum(result, result.T)


def _differences_in(face: str, characters: Sequence[str]) -> np.ndarray:
    result = np.full((len(characters), len(characters)), np.inf, np.float32)
    fixed = np.stack([_plate(face, character, 0, 1.0).ravel() for character in characters])
    fixed_unit = fixed / np.linalg.norm(fixed, axis=1, keepdims=True)
    for angle, stretch in itertools.product(_ANGLES, _STRETCHES):
        plates = np.stack([_plate(face, character, angle, stretch) for character in characters])
        for shift in _SHIFTS:
            moved = np.roll(plates, shift, axis=(1, 2)).reshape(len(characters), -1)
            alike = fixed_unit @ (moved / np.linalg.norm(moved, axis=1, keepdims=True)).T > _ALIKE
            for i, j in _chunks(np.argwhere(alike)):
                result[i, j] = np.minimum(result[i, j], np.abs(fixed[i] - moved[j]).max(axis=1))
    return result


def _chunks(pairs: np.ndarray, size: int = 20_000) -> Iterable[np.ndarray]:
    return (pairs[start : start + size].T for start in range(0, len(pairs), size))


def _plate(face: str, character: str, angle: float, stretch: float) -> np.ndarray:
    """The character rotated and stretched, scaled to one size and blurred: (28, 28) float32 in 0..1."""
    ink = draw(face, character, 4 * _INK)
    ink = ink.resize((max(1, round(ink.width * stretch)), ink.height), Image.Resampling.BILINEAR)
    ink = ink.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    ink = ink.crop(ink.getbbox())
    scale = _INK / max(ink.size)
    ink = ink.resize((max(1, round(ink.width * scale)), max(1, round(ink.height * scale))), Image.Resampling.BOX)
    plate = Image.new("L", (_SIDE, _SIDE))
    plate.paste(ink, ((_SIDE - ink.width) // 2, (_SIDE - ink.height) // 2))
    return np.asarray(plate.filter(ImageFilter.GaussianBlur(1)), dtype=np.float32) / 255


def _has_structure(face: str, character: str) -> bool:
    ink = np.asarray(draw(face, character, 4 * _INK))
    return ink.size > 0 and ink.mean() <= MAX_FILL * 255


def script_of(character: str) -> str:
    """Return the script of a letter, in one word, or ``signs`` for all other characters."""
    name = unicodedata.name(character).split()[0].lower()
    return name if unicodedata.category(character)[0] == "L" and name in SCRIPTS else "signs"


def main() -> None:
    """Print the literal for ``characters.py``."""
    characters = distinct(candidates())
    for script in SCRIPTS:
        own = "".join(character for character in characters if script_of(character) == script)
        lines = "\n".join(f"            {json.dumps(line, ensure_ascii=False)}" for line in textwrap.wrap(own, 90))
        sys.stdout.write(f'        "{script}": (\n{lines}\n        ),\n')


if __name__ == "__main__":
    main()
