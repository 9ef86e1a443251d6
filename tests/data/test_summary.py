"""A line says what a data set holds and what was left out, and another which pictures are in both parts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.data import ImageDataset, build_dataset
from lowshot.data.duplicates import shared_pictures
from lowshot.data.summary import shared_line, summary
from tests.data.conftest import MemoryImages, write_tree, zip_tree


def both(root: Path, **options: object) -> tuple[ImageDataset, ImageDataset]:
    return build_dataset("auto", "train", root, **options), build_dataset("auto", "test", root, **options)


def test_the_line_counts_classes_images_and_what_was_left_out(parts: Path) -> None:
    assert summary("photos", *both(parts)) == "photos: 3 classes, 18 images (9 train, 9 test)"
    write_tree(parts, ["train/ant/old/4.png", "train/folder.jpg", ".git/1.png"])
    (parts / "train/ant/1.txt").write_text("words")
    assert summary("photos", *both(parts), unreadable=2) == (
        "photos: 3 classes, 19 images (10 train, 9 test); taken in: 1 from folders inside class folders; "
        "left out: 1 outside class folders (train/folder.jpg), 1 .txt, 1 hidden, 2 unreadable"
    )


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_of_both_parts_are_found_by_content(parts: Path, tmp_path: Path, zipped: bool) -> None:
    for number in (0, 2):
        shutil.copy(parts / f"train/cow/{number}.png", parts / f"test/bee/{number}.png")
    shutil.copy(parts / "train/cow/0.png", parts / "train/ant/0.png")
    train, test = both(zip_tree(parts, tmp_path / "parts.zip") if zipped else parts)
    pairs = [(train.paths[one], test.paths[other]) for one, other in shared_pictures(train, test)]
    assert pairs == [("train/ant/0.png", "test/bee/0.png"), ("train/cow/2.png", "test/bee/2.png")]
    assert shared_line("photos", train, test) == (
        "photos: 2 test images are also training images, such as test/bee/0.png = train/ant/0.png: accuracies on them "
        "say nothing about new images"
    )


def test_pictures_of_equal_size_are_not_taken_for_equal(tmp_path: Path) -> None:
    for number, path in enumerate(("train/a/1.bmp", "train/a/2.bmp", "test/a/1.bmp", "test/a/2.bmp")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / path)
    train, test = both(tmp_path)
    assert len(shared_pictures(train, test)) == 0
    assert shared_line("photos", train, test) is None


def test_a_holdout_of_a_tree_with_copies_is_noticed(tmp_path: Path) -> None:
    root = write_tree(tmp_path, [f"a/{number}.png" for number in range(6)])
    for number in range(6):
        shutil.copy(root / f"a/{number}.png", root / f"a/copy{number}.png")
    train, test = both(root, test_per_class=6)
    assert len(shared_pictures(train, test)) > 0


def test_pictures_that_are_no_files_or_cannot_be_read_are_not_compared(parts: Path) -> None:
    images = MemoryImages([0, 1], 2)
    assert len(shared_pictures(images, images)) == 0
    train, test = both(parts)
    (parts / "train/ant/0.png").unlink()
    assert len(shared_pictures(train, test)) == 0
