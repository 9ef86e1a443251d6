"""Decoding: every pixel format becomes RGB; damaged and too large images are refused by name."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from lowshot.data.decode import BadImageError, decode
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise, png_that_claims


def decoded(data: bytes, **options: int) -> Image.Image:
    return decode(io.BytesIO(data), "a/b.png", **options)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1"])
def test_every_8_bit_png_becomes_rgb_with_the_same_colours(mode: str) -> None:
    image = noise(1).convert(mode)
    out = decoded(encoded(image))
    assert out.mode == "RGB"
    assert np.array_equal(np.asarray(out), np.asarray(image.convert("RGB")))


def test_transparent_pixels_lie_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    assert [decoded(encoded(image)).getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


def test_a_transparent_palette_entry_lies_on_white_and_warns_of_nothing() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = decoded(encoded(image, transparency=bytes([255, 0])))
    assert [out.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    image = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    assert np.asarray(decoded(encoded(image)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_cmyk_photograph_becomes_rgb() -> None:
    out = decoded(encoded(Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK"), "JPEG", quality=95))
    assert out.mode == "RGB"
    assert np.allclose(np.asarray(out), (200, 30, 40), atol=6)


def test_a_photograph_is_turned_upright_by_its_exif_record() -> None:
    image = Image.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must turn a quarter clockwise
    out = decoded(encoded(image, "JPEG", exif=exif))
    assert out.size == (16, 32)
    assert out.getpixel((8, 4))[0] > 200 > 50 > out.getpixel((8, 28))[0]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("record", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0"])
def test_intact_pixels_are_read_despite_a_damaged_exif_record(record: bytes) -> None:
    assert decoded(encoded(noise(0, (16, 8)), "JPEG", exif=record)).size == (16, 8)


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(BadImageError, match=r"a/b.png has floating-point pixels"):
        decoded(encoded(Image.new("F", (4, 4)), "TIFF"))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_image_is_refused_by_name(format: str, share: float) -> None:
    data = encoded(noise(3, (64, 64)), format)
    with pytest.raises(BadImageError, match=r"a/b.png"):
        decoded(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data", [b"", b"not an image", bytes(4096), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(BadImageError, match=r"a/b\.png is not one of JPEG, PNG"):
        decoded(data)


def test_a_bad_image_is_bad_input() -> None:
    assert issubclass(BadImageError, InputError)


@pytest.mark.parametrize("side", [10_000, 12_000, 50_000])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_a_decompression_bomb_is_refused_from_its_header(side: int, action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        with pytest.raises(BadImageError, match=r"a/b\.png is larger than allowed .*decompression bomb"):
            decoded(png_that_claims(side, side))


def test_max_pixels_is_the_largest_size_allowed() -> None:
    data = encoded(noise(0, (10, 10)))
    assert decoded(data, max_pixels=100).size == (10, 10)
    with pytest.raises(BadImageError, match="10 x 10 pixels; max_pixels is 99"):
        decoded(data, max_pixels=99)


def test_decode_size_shrinks_a_large_jpeg_but_never_below_itself() -> None:
    data = encoded(noise(0, (640, 480)), "JPEG")
    assert decoded(data).size == (640, 480)
    assert decoded(data, decode_size=100).size == (160, 120)
    assert decoded(data, decode_size=400).size == (640, 480)


def test_decode_size_does_not_touch_other_formats() -> None:
    assert decoded(encoded(noise(0, (640, 480))), decode_size=100).size == (640, 480)
