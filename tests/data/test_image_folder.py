"""image_folder: files on disk."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowshot.data import BadImageError, build_dataset
from lowshot.errors import InputError
from tests.data.conftest import noise, pixels


def test_rows_load_the_files_they_name(parts: Path) -> None:
    dataset = build_dataset("image_folder", "test", parts)
    assert dataset.class_names == ["ant", "bee", "cow"]
    assert dataset.paths[:3] == ["test/ant/0.png", "test/ant/1.png", "test/ant/2.png"]
    assert np.array_equal(np.asarray(dataset.load(0)), np.asarray(noise(12)))


def test_hidden_files_and_what_is_no_image_are_ignored(tree: Callable[..., Path]) -> None:
    root = tree("a/1.png", "a/._1.png", ".git/x/2.png", "__MACOSX/a/1.png", "b/1.png", ".b/")
    (root / "labels.csv").write_text("a,b")
    assert build_dataset("image_folder", root=root).paths == ["a/1.png", "b/1.png"]


def test_extensions_are_known_in_capitals(tree: Callable[..., Path]) -> None:
    root = tree("a/1.PNG", "b/2.JPEG")
    assert len(build_dataset("image_folder", root=root)) == 2


def test_a_changed_file_changes_the_fingerprint(parts: Path) -> None:
    before = build_dataset("image_folder", root=parts).fingerprint
    assert build_dataset("image_folder", root=parts).fingerprint == before
    (parts / "train/ant/0.png").write_bytes(b"other")
    assert build_dataset("image_folder", root=parts).fingerprint != before


def test_it_works_from_another_working_folder_and_after_pickling(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parts.parent)
    dataset = build_dataset("image_folder", root=parts.name)
    monkeypatch.chdir("/")
    assert len(pixels(pickle.loads(pickle.dumps(dataset)))) == 9


def test_an_image_that_vanished_is_named(parts: Path) -> None:
    dataset = build_dataset("image_folder", root=parts)
    (parts / "train/ant/0.png").unlink()
    with pytest.raises(BadImageError, match=r"image train/ant/0.png cannot be read: No such file"):
        dataset.load(0)


def test_a_missing_folder_and_a_file_are_refused(parts: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        build_dataset("image_folder", root=parts / "nowhere")
    with pytest.raises(InputError, match=r"0.png is not a folder"):
        build_dataset("image_folder", root=parts / "train/ant/0.png")


def test_an_empty_class_folder_is_named(parts: Path) -> None:
    (parts / "train/dog").mkdir()
    with pytest.raises(InputError, match="class folder 'train/dog' holds no images"):
        build_dataset("image_folder", root=parts)


def test_links_are_followed_but_not_in_circles(parts: Path) -> None:
    root = parts.parent / "links"
    root.mkdir()
    (root / "x").symlink_to(parts / "train/ant")
    (root / "y").symlink_to(parts / "train/ant")
    assert build_dataset("image_folder", root=root).class_names == ["x", "y"]
    (parts / "train/ant/up").symlink_to(parts)
    with pytest.raises(InputError, match="ant/up links back to a folder that it lies in"):
        build_dataset("image_folder", root=parts)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_not_utf8_is_refused(parts: Path) -> None:
    try:
        (parts / os.fsdecode(b"train/ant/\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system stores UTF-8 names only")
    with pytest.raises(InputError, match="is not UTF-8"):
        build_dataset("image_folder", root=parts)
