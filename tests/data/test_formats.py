"""A picture is known by its content: every format that is read, from any name, and nothing that is none."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from lowshot.data.decode import BadImageError, decode
from lowshot.data.formats import EXTENSIONS, FORMATS, SIGNATURE_BYTES, is_picture
from lowshot.data.listing import kind_of_content, kind_of_name
from tests.data.conftest import encoded, noise

SIGNED = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "QOI", "DDS", "SGI")
BY_NAME = {"TGA": ".tga", "PCX": ".pcx", "DIB": ".dib"}


def photoshop(image: Image.Image) -> bytes:
    """The flat image of a Photoshop file, without layers."""
    planes = b"".join(np.asarray(image)[:, :, channel].tobytes() for channel in range(3))
    header = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, image.height, image.width, 8, 3)
    return header + bytes(12) + b"\0\0" + planes


def sun(image: Image.Image) -> bytes:
    """An uncompressed Sun raster, whose rows are of even length."""
    pixels = np.asarray(image)[:, :, ::-1].tobytes()
    return struct.pack(">8I", 0x59A66A95, image.width, image.height, 24, len(pixels), 1, 0, 0) + pixels


@pytest.fixture(scope="module")
def smooth() -> Image.Image:
    """A picture that lossy formats keep nearly as it is."""
    ramp = np.linspace(30, 220, 64)
    return Image.fromarray(np.stack([*np.meshgrid(ramp, ramp), np.full((64, 64), 99.0)], axis=2).astype(np.uint8))


def in_format(image: Image.Image, format: str) -> bytes:
    made = {"PSD": photoshop, "SUN": sun}
    return made[format](image) if format in made else encoded(image, format)


@pytest.fixture(scope="module", autouse=True)
def heif_writer() -> None:
    """Tests write HEIF as well, which Pillow learns from pillow-heif."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def test_the_formats_of_this_file_are_all_that_are_read() -> None:
    assert {*SIGNED, *BY_NAME, "PSD", "SUN"} == set(FORMATS)


@pytest.mark.parametrize("format", [*SIGNED, "PSD", "SUN"])
@pytest.mark.parametrize("name", ["photo", "photo.jpg", "photo.dat"])
def test_a_picture_is_read_under_any_name(smooth: Image.Image, format: str, name: str) -> None:
    data = in_format(smooth, format)
    assert is_picture(data[:SIGNATURE_BYTES])
    assert kind_of_content(name, data[:SIGNATURE_BYTES]) is None
    out = np.asarray(decode(io.BytesIO(data), name)).astype(int)
    assert np.abs(out - np.asarray(smooth)).mean() < 6  # a GIF has 256 colours


@pytest.mark.parametrize(("format", "name"), BY_NAME.items())
def test_formats_without_a_signature_are_known_by_their_name(smooth: Image.Image, format: str, name: str) -> None:
    data = encoded(smooth, format)
    assert kind_of_name(f"a/b{name}") is None
    assert np.array_equal(np.asarray(decode(io.BytesIO(data), f"a/b{name.upper()}")), np.asarray(smooth))
    with pytest.raises(BadImageError, match="is not one of"):
        decode(io.BytesIO(data), "a/b.jpg")


def test_every_extension_that_pillow_has_for_these_formats_is_one_of_a_picture() -> None:
    Image.init()
    of_formats = {extension for extension, format in Image.EXTENSION.items() if format in (*FORMATS, "MPO")}
    assert of_formats <= EXTENSIONS | {".pfm"}  # floating-point pixels


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P1 is the first of five points",
        b"BMW, Audi, Opel and many more makers of cars",
        b"a,b\n1,2\n",
        b'{"images": []}',
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"PK\3\4",
        bytes(64),
        np.random.default_rng(0).bytes(64),
    ],
)
def test_what_is_no_picture_is_not_taken_for_one(data: bytes) -> None:
    assert not is_picture(data[:SIGNATURE_BYTES])
    assert kind_of_content("notes", data[:SIGNATURE_BYTES]) == "without extension"
    assert kind_of_content("a.b/notes.TXT", data[:SIGNATURE_BYTES]) == ".txt"


def test_a_camera_raw_file_is_no_picture_though_it_begins_like_a_tiff() -> None:
    assert kind_of_content("a/1.NEF", encoded(noise(0), "TIFF")[:SIGNATURE_BYTES]) == ".nef"
