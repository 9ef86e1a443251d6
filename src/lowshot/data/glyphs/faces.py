"""The typefaces, their characters, and a character drawn in one of them.

A face draws only the characters in its character map, so the box that it draws for a missing glyph never becomes an
image.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageFont

from lowshot.errors import LowshotError
from lowshot.files import is_file
from lowshot.plotting import import_matplotlib

# Computer Modern predates Unicode: outside letters and digits its character map has other glyphs.
_LETTERS_AND_DIGITS = frozenset(string.ascii_letters + string.digits)
_STYLES = {
    "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
}

FACES: Mapping[str, frozenset[str] | None] = MappingProxyType(
    dict.fromkeys(f"{family}{style}" for family, styles in _STYLES.items() for style in styles)
    | dict.fromkeys(("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"), _LETTERS_AND_DIGITS)
)
"""The characters that each face may be used for; None for all that it has."""


@functools.cache
def path_of(face: str) -> Path:
    """Return the file of a face in matplotlib's own folder.

    Raises:
        LowshotError: matplotlib was installed without it.
    """
    matplotlib = import_matplotlib()  # here, not above: only rendering needs it, and its import is slow
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{face}.ttf")
    if not is_file(path):
        raise LowshotError(f"matplotlib's typeface {path} is missing: reinstall matplotlib to render the glyphs")
    return path


@functools.cache
def characters_of(face: str) -> frozenset[str]:
    """Return the characters that may be drawn in a face."""
    from matplotlib.ft2font import FT2Font

    available = frozenset(map(chr, FT2Font(str(path_of(face))).get_charmap()))
    allowed = FACES[face]
    return available if allowed is None else available & allowed


@functools.cache
def faces_of(character: str) -> tuple[str, ...]:
    """Return the faces that have a character, in the order of :data:`FACES`."""
    return tuple(face for face in FACES if character in characters_of(face))


def draw(face: str, character: str, size: int) -> Image.Image:
    """Draw a character and crop the image to its ink.

    Args:
        face (str): The name of the typeface.
        character (str): The character.
        size (int): The longer side of the ink in pixels.

    Returns:
        A greyscale image, 255 for ink and 0 for none; 0 × 0 pixels if the glyph is blank.
    """
    font = _font(face, 2 * size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    plate = Image.new("L", (max(right - left, 0) + 4, max(bottom - top, 0) + 4))
    ImageDraw.Draw(plate).text((2 - left, 2 - top), character, fill=255, font=font)
    ink = plate.crop(plate.getbbox() or (0, 0, 0, 0))
    if not ink.width:
        return ink
    scale = size / max(ink.size)
    return ink.resize((max(1, round(ink.width * scale)), max(1, round(ink.height * scale))), Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=64)
def _font(face: str, pixels: int) -> ImageFont.FreeTypeFont:
    # The basic layout maps one character to one glyph; the other engine may substitute, and may be absent.
    return ImageFont.truetype(path_of(face), pixels, layout_engine=ImageFont.Layout.BASIC)
