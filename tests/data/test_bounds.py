"""Hostile files cost a bounded amount of memory and time, and are refused in one line that names them."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.data import BadImageError, build_dataset
from lowshot.data.decode import decode
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise, write_tree

MEASURED = """
import sys
from lowshot.data import build_dataset
from lowshot.errors import InputError
from tests.memory import peak_bytes

before = peak_bytes()
try:
    dataset = build_dataset(sys.argv[1], "train", sys.argv[2])
    print("loaded", dataset.load(0).size)
except InputError as error:
    print(error)
print((peak_bytes() - before) // 2**20)
"""


def measured(kind: str, root: Path) -> tuple[str, int]:
    """Open the first image of a data set in another process; return its output and the MB that it took."""
    command = [sys.executable, "-c", MEASURED, kind, str(root)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=20, cwd=Path(__file__).parents[2]
    )
    text, megabytes = done.stdout.splitlines()
    return text, int(megabytes)


def rewritten(source: Path, **fields: int) -> Path:
    """A zip of one member whose directory and local header lie about ``size``, ``packed`` or ``offset``."""
    data = bytearray(source.read_bytes())
    entry, local = data.rindex(b"PK\1\2"), data.index(b"PK\3\4")
    for name, value in fields.items():
        if name in ("size", "packed"):
            struct.pack_into("<I", data, entry + {"packed": 20, "size": 24}[name], value)
            struct.pack_into("<I", data, local + {"packed": 18, "size": 22}[name], value)
        else:
            struct.pack_into("<I", data, entry + 42, value)
    source.write_bytes(data)
    return source


def zip64(path: Path, packed: int, size: int, offset: int) -> Path:
    """A zip of one member whose directory states 64-bit numbers."""
    picture = encoded(noise(0))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 0, zlib.crc32(picture), 0, 0, 7, 0) + b"a/1.png"
    extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset)
    in_extra = 2**32 - 1
    entry = struct.pack("<4s6H", b"PK\1\2", 45, 45, 0, 0, 0, 0)
    entry += struct.pack("<3I5H2I", zlib.crc32(picture), in_extra, in_extra, 7, 28, 0, 0, 0, 0, in_extra)
    start = len(local) + len(picture)
    directory = entry + b"a/1.png" + extra
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), start, 0)
    path.write_bytes(local + picture + directory + end)
    return path


def deflated(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", content)
    return path


@pytest.mark.parametrize("declared", [0, 1, 100])
def test_a_member_that_inflates_to_more_than_it_declares_is_refused(tmp_path: Path, declared: int) -> None:
    path = rewritten(deflated(tmp_path / "x.zip", bytes(2**20)), size=declared)
    with pytest.raises(BadImageError, match=f"it unpacks to more than the {declared} bytes that the zip declares"):
        build_dataset("image_zip", "train", path).load(0)


def test_a_member_that_declares_no_bytes_and_inflates_to_many_is_unpacked_no_further(tmp_path: Path) -> None:
    path = rewritten(deflated(tmp_path / "x.zip", bytes(150 * 2**20)), size=0)
    text, megabytes = measured("image_zip", path)
    assert text == "image a/1.png cannot be read: it unpacks to more than the 0 bytes that the zip declares"
    assert megabytes < 30


@pytest.mark.parametrize(
    ("packed", "size", "offset"),
    [
        *((2**50, 100, 0), (2**63 + 5, 100, 0), (2**31, 2**31, 0), (100, 2**50, 0), (100, 100, 2**50)),
        *((100, 100, 2**63 + 5), (100, 100, 2**64 - 1), (2**64 - 1, 2**64 - 1, 2**64 - 1)),
    ],
)
def test_a_directory_that_declares_absurd_numbers_is_not_believed(
    tmp_path: Path, packed: int, size: int, offset: int
) -> None:
    dataset = build_dataset("image_zip", "train", zip64(tmp_path / "x.zip", packed, size, offset))
    with pytest.raises(BadImageError, match=r"image a/1.png (cannot be read: .*|unpacks to \d+ bytes.*bomb)$"):
        dataset.load(0)


def test_packed_bytes_are_not_read_beyond_what_an_image_may_have(tmp_path: Path) -> None:
    path = deflated(tmp_path / "x.zip", encoded(noise(0)))
    os.truncate(rewritten(path, packed=2**31), path.stat().st_size)
    with pytest.raises(BadImageError, match=r"a/1.png cannot be read: the zip declares \d+ bytes for it, 2147483648"):
        build_dataset("image_zip", "train", path).load(0)


def test_a_zip_of_too_many_entries_is_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"a/{number:020d}.png", b"")
    assert len(build_dataset("image_zip", "train", path)) == 20_000
    monkeypatch.setattr("lowshot.data.archive.MOST_ENTRIES", 10_000)
    with pytest.raises(InputError, match=r"many.zip is too large to be read in place: it has 20000 entries.*Unpack it"):
        build_dataset("image_zip", "train", path)


def test_a_sparse_file_of_a_terabyte_is_refused_by_its_size(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/1.png"])
    os.truncate(tmp_path / "a/1.png", 2**40)
    text, megabytes = measured("image_folder", tmp_path)
    assert text.startswith("image a/1.png has 1099511627776 bytes, more than an image of max_pixels")
    assert megabytes < 50


def test_a_sparse_zip_of_a_terabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with open(path, "wb") as file:
        file.seek(2**40)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 2**32 - 2, 0, 0))
    text, megabytes = measured("image_zip", path)
    assert text.startswith(f"zip {path} is too large to be read in place: its directory has 4294967294 bytes")
    assert megabytes < 50


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "CMYK"])
def test_decoding_takes_three_copies_of_the_pixels_at_most(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new(mode, (4400, 4500), 7 if mode == "I;16" else (1, 2, 3, 4)[: len(mode)])
    image.save(tmp_path / "a" / "1.x", "TIFF" if mode == "CMYK" else "PNG", exif=exif, compress_level=1)
    del image
    text, megabytes = measured("image_folder", tmp_path)
    assert text == "loaded (4500, 4400)"
    imports = 16  # what opening a first image imports
    assert megabytes < 3 * 4 * 4400 * 4500 / 2**20 + imports  # at the default max_pixels: a gigabyte


@pytest.mark.parametrize("format", ["WEBP", "JPEG2000"])
def test_formats_whose_decoders_take_twice_the_memory_may_have_half_the_pixels(format: str) -> None:
    data = encoded(noise(0, (20, 10)), format)
    assert decode(io.BytesIO(data), "a", max_pixels=400).size == (20, 10)
    with pytest.raises(BadImageError, match=rf"20 x 10 pixels; max_pixels is 399, and {format} takes twice the memory"):
        decode(io.BytesIO(data), "a", max_pixels=399)


def test_a_jpeg_of_thousands_of_scans_is_refused_and_one_of_ten_is_read() -> None:
    data = encoded(Image.new("RGB", (2000, 2000)), "JPEG", progressive=True)
    assert decode(io.BytesIO(data), "a").size == (2000, 2000)
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(BadImageError, match="has 5010 scans: it would be decoded for minutes"):
        decode(io.BytesIO(data[:-2] + 5000 * last + data[-2:]), "a")


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", ["a/1.png", "b/1.png"])
    os.mkfifo(root / "a/2.png")
    os.mkfifo(root / "a/notes")
    (root / "a/3.png").symlink_to("/dev/zero")
    (root / "a/4").symlink_to("/dev/zero")
    dataset = build_dataset("image_folder", "train", root)
    assert dataset.paths == ["a/1.png", "b/1.png"]
    assert dataset.left_out == {"no regular file": 4}


def test_a_list_that_names_a_pipe_or_a_device_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    names = '{"image_names": ["pipe.png", "/dev/zero", "."], "image_labels": [0, 0, 0]}'
    (tmp_path / "train.json").write_text(names)
    dataset = build_dataset("json_list", "train", tmp_path)
    for row, name in enumerate(("pipe.png", "/dev/zero")):
        with pytest.raises(BadImageError, match=f"image {name} cannot be read: Not a regular file"):
            dataset.load(row)
    with pytest.raises(BadImageError, match=r"image \. cannot be read: Is a directory"):
        dataset.load(2)


@pytest.mark.parametrize("kind", ["auto", "image_folder", "image_zip", "json_list"])
def test_a_device_or_a_pipe_as_root_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    os.mkfifo(tmp_path / "pipe.json")
    for root in (Path("/dev/zero"), tmp_path / "pipe.zip", tmp_path / "pipe.json"):
        with pytest.raises(InputError):
            build_dataset(kind, "train", root)


def test_a_label_of_two_billion_makes_no_list_of_that_many_names(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('{"image_names": ["a.png"], "image_labels": [2000000000]}')
    with pytest.raises(InputError, match=r"row 0 \(a.png\): label 2000000000.*at most 1000000 classes"):
        build_dataset("json_list", "train", tmp_path)
    (tmp_path / "train.json").write_text('{"image_names": ["a.png"], "image_labels": [0], "num_classes": 2000000000}')
    with pytest.raises(InputError, match=r"num_classes.*at most 1000000"):
        build_dataset("json_list", "train", tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_damage_of_every_format_is_a_bad_image_and_no_other_error() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "QOI", "DDS", "SGI", "BMP", "PPM"):
        data = encoded(noise(1, (32, 24)), format)
        for _ in range(20):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, min(len(data), 300), 4)] = rng.integers(0, 256, 4)
            try:
                decode(io.BytesIO(damaged.tobytes()), "a/b.x")
            except BadImageError as error:  # some damage does no harm
                assert str(error).startswith("image a/b.x ") and "\n" not in str(error)  # noqa: PT017, PT018


def test_a_heif_whose_pixels_are_more_than_its_container_declares_is_refused() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    data = bytearray(encoded(Image.new("RGB", (3000, 3000)), "HEIF"))
    struct.pack_into(">II", data, data.index(b"ispe") + 8, 16, 16)
    with pytest.raises(BadImageError, match=r"^image a is damaged or truncated: [^\n]*$"):
        decode(io.BytesIO(bytes(data)), "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"train_per_class": 10**9},
            r"bytes, and 2147483648 are allowed: set data\.options\.train_per_class=3495",
        ),
        (
            {"image_size": 256, "train_per_class": 60},
            r"set data\.options\.train_per_class=54 at most, or a smaller",
        ),
    ],
)
def test_more_glyphs_than_memory_holds_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_dataset("glyphs", "train", **options)


def test_transforms_to_images_of_any_size_are_refused() -> None:
    from lowshot.data import build_transforms

    for options in ({"image_size": 100_000}, {"resize": 100_000}):
        with pytest.raises(InputError, match="=100000 must be a whole number of at least 1 and at most "):
            build_transforms("imagenet", **options)


def test_the_bounds_of_the_documentation_are_todays() -> None:
    from lowshot.data import archive, decode, experiments
    from lowshot.data.sets import json_list

    page = " ".join((Path(__file__).parents[2] / "docs" / "images.md").read_text().split())
    for number, text in (
        (decode.MAX_PIXELS, "89 million"),
        (decode._LARGE, "33 million pixels"),
        (archive.MOST_ENTRIES, "1.5 million entries"),
        (experiments.MOST_EXPERIMENTS, "10 000 experiments"),
        (json_list.MOST_CLASSES, "a million classes"),
    ):
        said = re.match(r"([\d. ]+|a) ?(million)?", text)
        assert said is not None
        value = (1 if said[1].strip() == "a" else float(said[1].replace(" ", ""))) * (10**6 if said[2] else 1)
        assert abs(number - value) < 0.02 * number
        assert text in page
