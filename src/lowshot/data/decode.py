"""Decode images to RGB: all of an image of bounded size, or an error."""

from __future__ import annotations

import os
import re
import threading
from contextlib import nullcontext, suppress
from functools import cache
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from lowshot.data.formats import FORMATS, SIGNATURE_BYTES, formats_of
from lowshot.errors import InputError

MAX_PIXELS = 2**28 // 3
"""Default size limit in pixels, Pillow's own: 256 MiB of RGB, beyond any photograph of a low-shot data set."""

_COSTLY = {"JPEG2000": 2, "WEBP": 2}
"""The memory per pixel that these formats take while they are decoded, as a multiple of that of other formats."""

_LARGE = 2**25  # pixels: larger images are decoded one at a time in a process
_BAND = 2**22  # pixels that are converted at a time
_MOST_SCANNED = 2**33  # pixels times scans of a JPEG, ten seconds of decoding; photographs have ten scans at most
_SCAN = b"\xff\xda"
_SCAN_BYTES = 8  # the least that a scan takes in the file
_READ = 2**20

_ORIENTATION = 0x0112  # tags of TIFF and EXIF
_BITS_PER_SAMPLE = 0x0102
_PHOTOMETRIC = 0x0106
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILES = ("exif", "xmp", "XML:com.adobe.xmp")
_RAW_PROFILE = "Raw profile type "  # ImageMagick's way to put any profile into the text of a PNG
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")


class BadImageError(InputError):
    """An image that cannot be used: missing, damaged, of an unknown format, or larger than allowed."""


def decode(
    file: BinaryIO,
    name: str,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
    as_stored: bool = False,
) -> Image.Image:
    """Decode one image completely; of an animation or a file of several pages, the first.

    Args:
        file (binary file): The encoded image, which is read from its start.
        name (str): The name of the image in error messages. Its extension matters for TGA, PCX and DIB alone.
        max_pixels (int): The largest size of an image, for WebP and JPEG 2000 half of it. A larger one is refused from
            its header, before any pixel is decoded.
        decode_size (int or None): When given, a JPEG may come out at 1/2, 1/4 or 1/8 scale, with both sides at least
            this long; large photographs then decode several times faster.
        as_stored (bool): Ignore the EXIF and XMP records, and drop transparency instead of laying the image on white.

    Returns:
        An image of mode RGB, turned upright if its EXIF or XMP record says so, unless ``as_stored``.

    Raises:
        BadImageError: The image is damaged, truncated, of an unknown format, or larger than ``max_pixels``.
    """
    try:
        image = open_checked(file, name, max_pixels)
        with _large_images if image.width * image.height > _LARGE else nullcontext():
            if decode_size is not None and image.format in ("JPEG", "MPO"):
                image.draft("RGB", (decode_size, decode_size))
            image.load()
            if as_stored:
                stored = image.convert("RGB")
                stored.info.pop("transparency", None)  # Pillow keeps the transparent colour, which is not asked for
                return stored
            turn = _UPRIGHT.get(_orientation(image))
            rgb = to_rgb(image, name)
            if rgb is not image:
                image.close()  # frees its pixels before there is a third copy of them
            return rgb if turn is None else rgb.transpose(turn)
    except BadImageError:
        raise
    except Exception as error:  # on damaged bytes Pillow's readers raise errors of any kind
        raise BadImageError(_damaged(name, error)) from None


def is_large(file: BinaryIO, name: str) -> bool:
    """True for an image that :func:`decode` decodes while no other large one is decoded; by its header.

    Args:
        file (binary file): The encoded image.
        name (str): Its name.

    Raises:
        BadImageError: It is no image.
    """
    image = open_checked(file, name)
    return image.width * image.height > _LARGE


def open_checked(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Read the header of an image; parameters and errors are those of :func:`decode`."""
    try:
        file.seek(0)
        formats = formats_of(file.read(SIGNATURE_BYTES), name)
        if "HEIF" in formats:
            _register_heif()
        file.seek(0)
        image = Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImageError(_too_large(name, str(error), max_pixels)) from None
    except Image.UnidentifiedImageError:
        file.seek(0)
        if not file.read(1):
            raise BadImageError(f"image {name} is empty: its file has no bytes") from None
        raise BadImageError(
            f"image {name} is not one of {', '.join(FORMATS)}, or its first bytes are damaged"
        ) from None
    except Exception as error:
        raise BadImageError(_damaged(name, error)) from None
    pixels = image.width * image.height * _COSTLY.get(image.format or "", 1)
    if pixels > max_pixels:
        raise BadImageError(_too_large(name, f"{image.width} x {image.height} pixels", max_pixels, image.format))
    if image.format in ("JPEG", "MPO"):
        _check_scans(file, name, image.width * image.height)
    return image


def to_rgb(image: Image.Image, name: str = "") -> Image.Image:
    """Convert an image to 8-bit RGB: transparency on white, 12- and 16-bit grey scaled, other modes by Pillow.

    Raises:
        BadImageError: The pixels are floating-point numbers, whose range is unknown.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise BadImageError(f"image {name} has floating-point pixels: save it with 8 or 16 bits per channel")
    tags = getattr(image, "tag_v2", {})
    bits = 12 if tags.get(_BITS_PER_SAMPLE) == (12,) else 16
    inverted = tags.get(_PHOTOMETRIC) == 0
    if image.width * image.height <= _BAND:
        return _to_rgb(image, bits, inverted)
    rgb = Image.new("RGB", image.size)
    height = max(1, _BAND // image.width)
    for top in range(0, image.height, height):  # conversions on the way take several copies
        band = image.crop((0, top, image.width, min(top + height, image.height)))
        rgb.paste(_to_rgb(band, bits, inverted), (0, top))
    return rgb


def _to_rgb(image: Image.Image, bits: int, inverted: bool) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        white = 2**bits - 1
        grey = np.asarray(image).clip(0, white).astype(np.uint16)
        if inverted:
            grey = white - grey
        return Image.fromarray((grey // (white // 255)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The orientation that the records of a picture state, in the numbers of EXIF; 1, upright, if none does.

    EXIF is believed before XMP. AVIF and HEIF turn their pixels themselves, so XMP is not asked there.
    """
    info = image.info
    raw = [key for key in info if isinstance(key, str) and key.startswith(_RAW_PROFILE)]
    if not raw and not any(key in info for key in _PROFILES):
        return 1
    with suppress(Exception):  # a few ImageNet photographs have a damaged record and intact pixels
        if "exif" in info and (stated := image.getexif().get(_ORIENTATION, 0)) in range(1, 9):
            return int(stated)
    if image.format in ("AVIF", "HEIF"):
        return 1
    profiles = [info[key] for key in _PROFILES[1:] if key in info]
    for key in raw:
        with suppress(Exception):
            profile = bytes.fromhex("".join(info[key].split("\n")[3:]))
            if key.endswith("exif") or profile.startswith(b"Exif\0\0"):
                exif = Image.Exif()
                exif.load(profile)
                if (stated := exif.get(_ORIENTATION, 0)) in range(1, 9):
                    return int(stated)
            profiles.append(profile)
    for profile in profiles:
        text = profile if isinstance(profile, bytes) else str(profile).encode()
        if (found := _XMP_ORIENTATION.search(text.replace(b"\0", b""))) is not None:  # it may be UTF-16
            return int(found[1])
    return 1


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _check_scans(file: BinaryIO, name: str, pixels: int) -> None:
    """Refuse a JPEG that makes a decoder go over its pixels thousands of times."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    if pixels * (size // _SCAN_BYTES) > _MOST_SCANNED:
        file.seek(0)
        scans, last = 0, b""
        while block := file.read(_READ):
            scans += (last + block).count(_SCAN)
            last = block[-1:]
        if pixels * scans > _MOST_SCANNED:
            raise BadImageError(f"image {name} has {scans} scans: it would be decoded for minutes")
    file.seek(position)


_large_images = threading.Lock()


def _new_lock() -> None:
    global _large_images
    _large_images = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)  # another thread may have held it


def _damaged(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"image {name} is damaged or truncated: {reason}"


def _too_large(name: str, size: str, max_pixels: int, format: str | None = None) -> str:
    factor = f", and {format} takes twice the memory" if format in _COSTLY else ""
    return (
        f"image {name} is larger than allowed ({size}; max_pixels is {max_pixels}{factor}). It may be a decompression "
        "bomb; if it is a real photograph, make it smaller"
    )
