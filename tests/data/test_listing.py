"""The files listed under a root: pictures by content, everything else counted, from a folder as from a zip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lowshot.data import BadImageError, ImageDataset, build_dataset, drop_bad_images
from lowshot.data.archive import open_zip
from lowshot.data.listing import list_folder
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise, write_tree, zip_tree


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures under every kind of name, and other files beside pictures."""
    root = write_tree(tmp_path / "mixed", ["ant/1.png", "ant/2.PNG", "bee/1.png", ".trash/1.png", "@eaDir/x/1.png"])
    for name, format in (("3.jfif", "JPEG"), ("4.jpe", "JPEG"), ("5.avif", "AVIF"), ("6.jp2", "JPEG2000")):
        (root / "ant" / name).write_bytes(encoded(noise(1), format))
    for name, format in (("7.tga", "TGA"), ("8", "JPEG"), ("9.photo", "WEBP")):
        (root / "ant" / name).write_bytes(encoded(noise(1), format))
    for name in ("notes.txt", "bee/labels.CSV", "bee/README", "bee/movie.mp4", "bee/._1.png"):
        (root / name).write_bytes(b"\0\0\0\x20ftypisom" if name.endswith("mp4") else b"words")
    (root / "bee/2.dng").write_bytes(encoded(noise(2), "TIFF"))
    return root


LEFT_OUT = {".txt": 1, ".csv": 1, "without extension": 1, ".mp4": 1, ".dng": 1, "hidden": 3}


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_are_known_by_content_and_the_rest_is_counted(mixed: Path, tmp_path: Path, zipped: bool) -> None:
    dataset = build_dataset("auto", root=zip_tree(mixed, tmp_path / "mixed.zip") if zipped else mixed)
    assert [path.rpartition("/")[2] for path in dataset.paths if path.startswith("ant")] == [
        *("1.png", "2.PNG", "3.jfif", "4.jpe", "5.avif", "6.jp2", "7.tga", "8", "9.photo")
    ]
    assert dataset.class_names == ["ant", "bee"]
    assert {dataset.load(row).size for row in range(len(dataset))} == {(8, 8)}
    assert dataset.left_out == LEFT_OUT


@pytest.mark.parametrize("zipped", [False, True])
def test_a_class_wholly_of_iphone_photographs_is_a_class(tmp_path: Path, zipped: bool) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    root = write_tree(tmp_path / "photos", ["cat/1.png", "dog/"])
    (root / "dog/IMG_1.HEIC").write_bytes(encoded(noise(1, (16, 16)), "HEIF"))
    (root / "dog/IMG_2").write_bytes(encoded(noise(2, (16, 16)), "HEIF"))
    dataset = build_dataset("auto", root=zip_tree(root, tmp_path / "photos.zip") if zipped else root)
    assert dataset.paths == ["cat/1.png", "dog/IMG_1.HEIC", "dog/IMG_2"]
    assert dataset.load(2).size == (16, 16)


def test_a_zip_is_listed_as_its_folder(mixed: Path, tmp_path: Path) -> None:
    folder, (archive, _) = list_folder(mixed), open_zip(zip_tree(mixed, tmp_path / "mixed.zip"))
    assert sorted(archive.files) == sorted(folder.files)
    assert archive.folders == folder.folders
    assert sorted(archive.others) == sorted(folder.others)
    assert archive.hidden == folder.hidden


def with_broken_links(root: Path) -> Path:
    (root / "ant/gone.png").symlink_to(root / "nowhere.png")
    (root / "ant/circle.png").symlink_to(root / "ant/circle.png")
    (root / "ant/gone.txt").symlink_to(root / "nowhere.txt")
    return root


def test_a_broken_link_is_refused_when_it_is_loaded_and_can_be_skipped(tmp_path: Path) -> None:
    root = with_broken_links(write_tree(tmp_path, ["ant/1.png", "bee/1.png"]))
    dataset = build_dataset("image_folder", root=root)
    assert dataset.paths == ["ant/1.png", "ant/circle.png", "ant/gone.png", "bee/1.png"]
    assert dataset.left_out == {"broken link": 1}
    with pytest.raises(BadImageError, match=r"image ant/gone.png cannot be read: No such file"):
        dataset.load(2)
    good, skipped = drop_bad_images(dataset, progress=False)
    assert good.paths == ["ant/1.png", "bee/1.png"]
    assert [image.path for image in skipped] == ["ant/circle.png", "ant/gone.png"]


def test_links_to_pictures_are_pictures(tmp_path: Path) -> None:
    root = write_tree(tmp_path, ["ant/1.png", "bee/1.png"])
    (root / "ant/again").symlink_to(root / "bee/1.png")
    assert build_dataset("image_folder", root=root).paths == ["ant/1.png", "ant/again", "bee/1.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_counted_or_refused_by_name(tmp_path: Path) -> None:
    root = write_tree(tmp_path, ["ant/1.png", "ant/2.png"])
    (root / "ant/notes").write_text("words")
    for name in ("ant/2.png", "ant/notes"):
        (root / name).chmod(0)
    dataset = build_dataset("image_folder", root=root)
    assert dataset.left_out == {"unreadable": 1}
    with pytest.raises(BadImageError, match=r"ant/2.png cannot be read: Permission denied"):
        dataset.load(1)


def test_a_class_of_files_that_are_not_read_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    root = write_tree(tmp_path, ["ant/1.png", "bee/"])
    (root / "bee/1.svg").write_text("<svg/>")
    with pytest.raises(InputError, match=r"class folder 'bee' holds no images but 1 \.svg: put images in it, or move"):
        build_dataset("image_folder", root=root)
    (root / "bee").rename(tmp_path.parent / "bee")  # the second advice
    assert build_dataset("image_folder", root=root).class_names == ["ant"]


def test_views_keep_what_was_left_out(mixed: Path) -> None:
    dataset: ImageDataset = build_dataset("auto", root=mixed)
    assert dataset.subset([0, 1]).left_out == LEFT_OUT
