"""Decode images to RGB: all of an image of bounded size, or an error."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image

from lowshot.errors import InputError

MAX_PIXELS = 2**28 // 3
"""Default size limit in pixels, Pillow's own: 256 MiB of RGB, beyond any photograph of a low-shot data set."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""The formats that are decoded. Those whose readers start other programs (EPS: Ghostscript) are left out."""

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"}
)

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImageError(InputError):
    """An image that cannot be used: missing, damaged, of an unknown format, or larger than allowed."""


def decode(
    file: BinaryIO,
    name: str,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
    as_stored: bool = False,
) -> Image.Image:
    """Decode one image completely.

    Args:
        file (binary file): The encoded image, which is read from the current position.
        name (str): The name of the image in error messages.
        max_pixels (int): The largest size of an image. A larger one is refused from its header, before any pixel is
            decoded.
        decode_size (int or None): When given, a JPEG may come out at 1/2, 1/4 or 1/8 scale, with both sides at least
            this long; large photographs then decode several times faster.
        as_stored (bool): Ignore the EXIF record, and drop transparency instead of laying the image on white.

    Returns:
        An image of mode RGB, turned upright if its EXIF record says so, unless ``as_stored``.

    Raises:
        BadImageError: The image is damaged, truncated, of an unknown format, or larger than ``max_pixels``.
    """
    try:
        image = Image.open(file, formats=FORMATS)
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise BadImageError(_too_large(name, f"{image.width} x {image.height} pixels", max_pixels))
        if decode_size is not None:
            image.draft("RGB", (decode_size, decode_size))
        image.load()
        if as_stored:
            return image.convert("RGB")
        return _upright(to_rgb(image, name), image)
    except BadImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImageError(_too_large(name, str(error), max_pixels)) from None
    except Image.UnidentifiedImageError:
        raise BadImageError(
            f"image {name} is not one of {', '.join(FORMATS)}, or its first bytes are damaged"
        ) from None
    except Exception as error:  # on damaged bytes Pillow's readers raise errors of any kind
        raise BadImageError(f"image {name} is damaged or truncated: {error or type(error).__name__}") from None


def to_rgb(image: Image.Image, name: str = "") -> Image.Image:
    """Convert an image to 8-bit RGB: transparency on white, 16-bit grey scaled, other modes as Pillow converts them.

    Raises:
        BadImageError: The pixels are floating-point numbers, whose range is unknown.
    """
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise BadImageError(f"image {name} has floating-point pixels: save it with 8 or 16 bits per channel")
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image).clip(0, 65535).astype(np.uint16)
        return Image.fromarray((grey // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    if "exif" not in source.info:
        return rgb
    try:
        transpose = _UPRIGHT.get(source.getexif().get(_ORIENTATION, 1))
    except Exception:  # a few ImageNet photographs have a damaged record and intact pixels
        return rgb
    return rgb if transpose is None else rgb.transpose(transpose)


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return (
        f"image {name} is larger than allowed ({size}; max_pixels is {max_pixels}). It may be a decompression bomb; "
        "if it is a real photograph, make it smaller"
    )
