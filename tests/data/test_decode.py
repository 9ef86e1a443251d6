"""Decoding: every pixel format becomes RGB; damaged and too large images are refused by name."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lowshot.data.decode import BadImageError, decode, to_rgb
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise, png_of, png_that_claims


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


def grey_tiff(pixels: bytes, width: int, bits: int, photometric: int = 1, order: str = "<") -> bytes:
    """A TIFF of one row of grey pixels."""
    values = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 1, 279: len(pixels)}
    values[273] = 8 + 2 + 12 * len(values) + 4
    tags = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in values.items())
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(values))
    return head + tags + bytes(4) + pixels


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_of_either_byte_order_is_scaled(order: str) -> None:
    pixels = np.array([0, 257, 32896, 65535], dtype=f"{order}u2").tobytes()
    assert np.asarray(decoded(grey_tiff(pixels, 4, 16, order=order)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_grey_whose_zero_is_white_is_inverted() -> None:
    pixels = np.array([0, 65535], dtype="<u2").tobytes()
    assert np.asarray(decoded(grey_tiff(pixels, 2, 16, photometric=0)))[0, :, 0].tolist() == [255, 0]


def test_12_bit_grey_has_its_full_range() -> None:
    assert np.asarray(decoded(grey_tiff(bytes([0x00, 0x0F, 0xFF]), 2, 12)))[0, :, 0].tolist() == [0, 255]


def test_16_bit_colour_keeps_the_upper_8_bits() -> None:
    row = b"\0" + struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1234, 0x5678, 0x9ABC)
    out = decoded(png_of(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), row))
    assert [out.getpixel((x, 0)) for x in (0, 1)] == [(0, 0x80, 0xFF), (0x12, 0x56, 0x9A)]


def test_a_transparent_colour_of_an_rgb_image_lies_on_white() -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (40, 50, 60))
    out = decoded(encoded(image, transparency=(40, 50, 60)))
    assert [out.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_an_animation_or_of_several_pages_the_first_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    out = decoded(encoded(frames[0], format, save_all=True, append_images=frames[1:]))
    assert out.size == (32, 32)
    assert np.allclose(np.asarray(out), (200, 0, 0), atol=8)


def test_conversion_in_bands_changes_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in ("RGBA", "LA", "P", "CMYK", "L", "1"):
        image = noise(7, (37, 41)).convert(mode)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        whole = np.asarray(to_rgb(image))
        monkeypatch.setattr("lowshot.data.decode._BAND", 100)
        assert np.array_equal(np.asarray(to_rgb(image)), whole)
        monkeypatch.undo()


def test_a_photograph_is_turned_upright_by_its_exif_record() -> None:
    image = Image.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must turn a quarter clockwise
    out = decoded(encoded(image, "JPEG", exif=exif))
    assert out.size == (16, 32)
    assert out.getpixel((8, 4))[0] > 200 > 50 > out.getpixel((8, 28))[0]


def records(orientation: int) -> tuple[bytes, bytes]:
    """The EXIF and the XMP record that state an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    text = f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
    return exif.tobytes(), f"<x:xmpmeta><rdf:RDF>{text}</rdf:RDF></x:xmpmeta>".encode()


def raw_profile(kind: str, record: bytes) -> PngImagePlugin.PngInfo:
    """The text of a PNG into which ImageMagick packs a record."""
    lines = [record.hex()[start : start + 72] for start in range(0, 2 * len(record), 72)]
    text = PngImagePlugin.PngInfo()
    text.add_text(f"Raw profile type {kind}", "\n".join(["", kind, f"{len(record):8d}", *lines, ""]), zip=True)
    return text


def marked(format: str, place: str, orientation: int) -> bytes:
    """A 32 x 16 picture, white on its left half, with an orientation in one of the places that programs use."""
    image = Image.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif, xmp = records(orientation)
    if place == "exif":
        return encoded(image, format, exif=exif)
    if place == "tag":
        return encoded(image, format, tiffinfo={0x0112: orientation})
    if place == "xmp":
        if format == "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_itxt("XML:com.adobe.xmp", xmp.decode())
            return encoded(image, format, pnginfo=text)
        return encoded(image, format, **({"tiffinfo": {700: xmp}} if format == "TIFF" else {"xmp": xmp}))
    kind, _, record = place.partition(" ")
    packed = {"exif": exif, "xmp": xmp, "xap": b"http://ns.adobe.com/xap/1.0/\0" + xmp}[record]
    return encoded(image, format, pnginfo=raw_profile(kind, packed))


@pytest.mark.parametrize(
    ("format", "place"),
    [
        *(("JPEG", "exif"), ("JPEG", "xmp"), ("MPO", "exif"), ("WEBP", "exif"), ("WEBP", "xmp"), ("AVIF", "exif")),
        *(("TIFF", "tag"), ("TIFF", "xmp"), ("PNG", "exif"), ("PNG", "xmp"), ("PNG", "exif exif")),
        *(("PNG", "APP1 exif"), ("PNG", "APP1 xap"), ("PNG", "xmp xmp")),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_wherever_its_orientation_is_stored(
    format: str, place: str, orientation: int
) -> None:
    out = np.asarray(decoded(marked(format, place, orientation))).astype(int)[:, :, 0]
    assert out.shape == ((16, 32) if orientation < 5 else (32, 16))
    sides = {"left": out[:, :8], "right": out[:, -8:], "top": out[:8], "bottom": out[-8:]}
    white = ["left", "right", "right", "left", "top", "top", "bottom", "bottom"][orientation - 1]
    assert sides[white].min() > 200
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[white]
    assert sides[opposite].max() < 50


@pytest.mark.parametrize("record", ["<tiff:Orientation>6</tiff:Orientation>", "tiff:Orientation = '6'"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le"])
def test_xmp_is_understood_in_its_other_spellings(record: str, coding: str) -> None:
    assert decoded(encoded(noise(0, (32, 16)), "JPEG", xmp=record.encode(coding))).size == (16, 32)


def test_exif_is_believed_before_xmp() -> None:
    exif, _ = records(1)
    _, xmp = records(6)
    assert decoded(encoded(noise(0, (32, 16)), "JPEG", exif=exif, xmp=xmp)).size == (32, 16)


def test_an_iphone_photograph_is_turned_once_by_its_container() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = Image.new("RGB", (64, 32), "black")
    image.paste((255, 255, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    data = encoded(image, "HEIF")  # pillow-heif writes the orientation as the container's rotation, as phones do
    out = np.asarray(decoded(data))
    assert out.shape == (64, 32, 3)
    assert out[:24].min() > 200 > 50 > out[-24:].max()


@pytest.mark.parametrize("key", ["Raw profile type exif", "Raw profile type xmp"])
def test_intact_pixels_are_read_despite_a_damaged_raw_profile(key: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(key, "\nexif\n 9\nnot hexadecimal")
    assert decoded(encoded(noise(0, (16, 8)), pnginfo=text)).size == (16, 8)


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


@pytest.mark.parametrize("data", [b"not an image", bytes(4096), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(BadImageError, match=r"a/b\.png is not one of JPEG, PNG"):
        decoded(data)


def test_a_file_without_content_is_called_empty() -> None:
    with pytest.raises(BadImageError, match=r"a/b\.png is empty"):
        decoded(b"")


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
