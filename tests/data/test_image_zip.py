"""image_zip: the same data set as the unpacked folder, read in place; damage is found and named."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowshot.data import BadImageError, build_dataset
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise, pixels, write_tree, zip_tree


@pytest.fixture
def zipped(parts: Path, tmp_path: Path) -> Path:
    return zip_tree(parts, tmp_path / "parts.zip")


LAYOUTS = [
    (["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"], {}),
    (["outer/x/1.png", "outer/x/2.png", "outer/y/1.png", "outer/y/3.png"], {"test_per_class": 1}),
    (["L/c1/1.png", "L/c1/2.png", "G/c1/1.png", "G/c1/deep/2.png"], {"class_depth": 2, "test_per_class": 1}),
    (["up/train/ä b/1.png", "up/val/ä b/1.png", "up/.hid/1.png"], {"test_folder": "val"}),
]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("paths", "options"), LAYOUTS)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_zip_and_its_folder_are_the_same_data_set(
    tmp_path: Path, paths: list[str], options: dict[str, object], part: str, method: int
) -> None:
    root = write_tree(tmp_path / "tree", paths)
    folder = build_dataset("image_folder", part, root, **options)
    archive = build_dataset("image_zip", part, zip_tree(root, tmp_path / "tree.zip", method), **options)
    assert archive.paths == folder.paths
    assert archive.labels.tolist() == folder.labels.tolist()
    assert archive.class_names == folder.class_names
    assert all(np.array_equal(a, b) for a, b in zip(pixels(archive), pixels(folder), strict=True))


@pytest.mark.parametrize(
    ("path", "message"),
    [("train/dog/", "class folder 'train/dog' holds no images"), ("stray.png", "stray.png .* lies outside a class")],
)
def test_a_zip_is_refused_for_what_its_folder_is_refused(parts: Path, tmp_path: Path, path: str, message: str) -> None:
    write_tree(parts, [path])
    if path == "stray.png":
        shutil.rmtree(parts / "test")
        (parts / "train").rename(parts / "classes")
    for name, root in (("image_folder", parts), ("image_zip", zip_tree(parts, tmp_path / "parts.zip"))):
        with pytest.raises(InputError, match=message):
            build_dataset(name, root=root)


def test_what_macos_and_windows_leave_in_zips_does_no_harm(tmp_path: Path) -> None:
    target = tmp_path / "odd.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name in ("a/1.png", "__MACOSX/a/._1.png", "b\\1.png", ".DS_Store", "a/.DS_Store"):
            archive.writestr(name, encoded(noise(0)))
    assert build_dataset("image_zip", root=target).paths == ["a/1.png", "b/1.png"]


def test_a_pickled_data_set_is_small_and_opens_the_zip_again(zipped: Path, tmp_path: Path) -> None:
    dataset = build_dataset("image_zip", root=zipped)
    dataset.load(0)
    (tmp_path / "dataset.pickle").write_bytes(pickle.dumps(dataset))
    assert (tmp_path / "dataset.pickle").stat().st_size < 4000
    script = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).load(3).getpixel((1, 2)))"
    command = [sys.executable, "-c", script, str(tmp_path / "dataset.pickle")]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert out.stdout.strip() == str(dataset.load(3).getpixel((1, 2)))


def test_a_data_set_closes_its_zip(zipped: Path) -> None:
    dataset = build_dataset("image_zip", root=zipped)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    dataset.load(0)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del dataset
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_changed_image_changes_the_fingerprint_though_its_size_stays(tmp_path: Path) -> None:
    prints = set()
    for content in (b"one", b"two"):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("a/1.png", content)
        prints.add(build_dataset("image_zip", root=tmp_path / "x.zip").fingerprint)
    assert len(prints) == 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_zip_is_refused(zipped: Path, share: float) -> None:
    data = zipped.read_bytes()
    zipped.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"parts.zip is not a zip, or its end is missing"):
        build_dataset("image_zip", root=zipped)


def test_what_is_no_zip_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.zip").write_bytes(encoded(noise(0)))
    with pytest.raises(InputError, match=r"photo.zip is not a zip"):
        build_dataset("image_zip", root=tmp_path / "photo.zip")
    with pytest.raises(InputError, match=r"none.zip does not exist"):
        build_dataset("image_zip", root=tmp_path / "none.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_a_bad_image_and_the_others_still_load(parts: Path, tmp_path: Path, method: int) -> None:
    archive = zip_tree(parts, tmp_path / "parts.zip", method)
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("train/ant/1.png").header_offset
    data = bytearray(archive.read_bytes())
    data[start + 90] ^= 255
    archive.write_bytes(data)
    dataset = build_dataset("image_zip", root=archive)
    with pytest.raises(BadImageError, match=r"image train/ant/1.png cannot be read: "):
        dataset.load(1)
    assert dataset.load(0).size == dataset.load(2).size == (8, 8)


def test_a_zip_that_is_replaced_by_another_while_open_gives_no_wrong_pixels(zipped: Path) -> None:
    dataset = build_dataset("image_zip", root=zipped)
    zipped.write_bytes(bytes(100))
    with pytest.raises(BadImageError, match=r"image train/ant/1.png cannot be read"):
        dataset.load(1)


def test_members_with_long_extra_fields_are_read(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a/1.png")
    info.extra = b"\x99\x99" + (3000).to_bytes(2, "little") + bytes(3000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, encoded(noise(5)))
    assert np.array_equal(pixels(build_dataset("image_zip", root=tmp_path / "x.zip"))[0], np.asarray(noise(5)))


def test_a_bomb_in_the_zips_own_packing_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(2**25))
    dataset = build_dataset("image_zip", root=tmp_path / "x.zip", max_pixels=1000)
    with pytest.raises(BadImageError, match=r"a/1.png unpacks to 33554432 bytes.*decompression bomb"):
        dataset.load(0)


def test_encrypted_and_oddly_packed_members_are_refused_by_name(tree: Callable[..., Path], tmp_path: Path) -> None:
    root = tree("a/1.png")
    with pytest.raises(InputError, match=r"a/1.png in .* is packed by method 14: use deflate or store"):
        build_dataset("image_zip", root=zip_tree(root, tmp_path / "lzma.zip", zipfile.ZIP_LZMA))
    stored = zip_tree(root, tmp_path / "locked.zip", zipfile.ZIP_STORED)
    data = bytearray(stored.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    stored.write_bytes(data)
    with pytest.raises(InputError, match=r"a/1.png in .* is encrypted"):
        build_dataset("image_zip", root=stored)
