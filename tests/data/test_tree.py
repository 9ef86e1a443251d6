"""Folder layouts: the rows and labels of each part, and every layout that is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.data.listing import Listing
from lowshot.data.parts import Layout
from lowshot.data.tree import Table, image_table
from lowshot.errors import InputError


def table(paths: list[str], part: str = "train", folders: tuple[str, ...] = (), **layout: object) -> Table:
    parents = {"/".join(path.split("/")[:i]) for path in paths for i in range(1, path.count("/") + 1)}
    listing = Listing("data", paths, list(range(len(paths))), parents | set(folders))
    return image_table(listing, part, Layout(**layout))  # type: ignore[arg-type]


def test_labels_are_the_sorted_class_names_and_rows_are_sorted_by_class_then_path() -> None:
    found = table(["b/2.png", "a b/1.png", "b/1.png", "a/9.png", "a/sub/0.png"])
    assert found.class_names == ["a", "a b", "b"]
    assert found.paths == ["a/9.png", "a/sub/0.png", "a b/1.png", "b/1.png", "b/2.png"]
    assert found.labels.tolist() == [0, 0, 1, 2, 2]
    assert found.files.tolist() == [3, 4, 1, 2, 0]


PARTS = ["train/a/1.png", "train/b/1.png", "test/b/2.png", "test/a/2.png"]


def test_part_folders_are_found_and_stay_in_the_paths() -> None:
    assert table(PARTS).paths == ["train/a/1.png", "train/b/1.png"]
    assert table(PARTS, "test").paths == ["test/a/2.png", "test/b/2.png"]
    assert table(PARTS).class_names == table(PARTS, "test").class_names == ["a", "b"]


def test_part_folders_may_have_other_names_and_depths() -> None:
    paths = ["x/training/a/1.png", "x/val/a/2.png", "other/3.png"]
    options = {"train_folder": "x/training", "test_folder": "x/val"}
    assert table(paths, **options).paths == ["x/training/a/1.png"]
    assert table(paths, "test", **options).paths == ["x/val/a/2.png"]


def test_a_class_may_be_called_train() -> None:
    found = table(["bus/1.png", "train/1.png", "plane/1.png"])
    assert found.class_names == ["bus", "plane", "train"]


def test_class_depth_names_classes_by_several_folders() -> None:
    found = table(["Greek/character01/1.png", "Greek/character02/1.png", "Latin/character01/1.png"], class_depth=2)
    assert found.class_names == ["Greek/character01", "Greek/character02", "Latin/character01"]


def test_lone_outer_folders_are_entered() -> None:
    found = table(["zip/images/a/1.png", "zip/images/b/1.png"])
    assert (found.prefix, found.paths) == ("zip/images/", ["a/1.png", "b/1.png"])
    assert table([f"zip/{path}" for path in PARTS], "test").paths == ["test/a/2.png", "test/b/2.png"]


def test_a_lone_class_is_not_taken_for_an_outer_folder() -> None:
    assert table(["cat/1.png", "cat/2.png"]).class_names == ["cat"]


def test_prefix_chooses_where_the_tree_starts() -> None:
    paths = ["raw/a/1.png", "clean/a/1.png", "clean/b/1.png"]
    assert table(paths, prefix="clean").paths == ["a/1.png", "b/1.png"]
    assert table(["zip/a/1.png", "zip/b/1.png"], prefix="").class_names == ["zip"]
    with pytest.raises(InputError, match=r"no images under prefix 'none'.*'clean', 'raw'"):
        table(paths, prefix="none")


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(2, 9), min_size=1, max_size=5).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.integers(1, min(sizes) - 1), st.integers(0, 3))
    )
)
def test_a_holdout_divides_every_class_without_loss(case: tuple[list[int], int, int]) -> None:
    sizes, held, seed = case
    paths = [f"{label}/{i}.png" for label, size in enumerate(sizes) for i in range(size)]
    train = table(paths, prefix="", test_per_class=held, seed=seed)
    test = table(paths, "test", prefix="", test_per_class=held, seed=seed)
    assert sorted(train.paths + test.paths) == sorted(paths)
    assert np.bincount(test.labels).tolist() == [held] * len(sizes)
    assert train.class_names == test.class_names


def test_a_holdout_depends_on_the_seed_but_not_on_other_classes() -> None:
    paths = [f"{cls}/{i:02d}.png" for cls in "ab" for i in range(20)]
    alone = table(paths[:20], "test", test_per_class=10).paths
    assert table(paths, "test", test_per_class=10).paths[:10] == alone
    assert table(paths, "test", test_per_class=10, seed=1).paths[:10] != alone


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ([], {}, "data holds no images .*.png"),
        (["a/1.png", "stray.png"], {}, "image stray.png in data lies outside a class folder: expected CLASS/IMAGE"),
        (["a/b/1.png", "c/1.png"], {"class_depth": 2}, "image c/1.png .* expected LEVEL1/LEVEL2/IMAGE"),
        (["a/1.png"], {"folders": ("a", "dog", "owl")}, "class folder 'dog', 'owl' holds no images"),
        (["a/b/1.png"], {"folders": ("c",), "class_depth": 2}, "class folder 'c' holds no images"),
        (PARTS, {"folders": ("test/c",)}, "class folder 'test/c' holds no images"),
        ([*PARTS, "train/c/1.png"], {}, "'train/' has classes that 'test/' lacks: 'c'"),
        ([*PARTS, "test/c/1.png"], {"part": "test"}, "'test/' has classes that 'train/' lacks: 'c'"),
        (["a/1.png"], {"part": "test"}, "no test part: add a folder 'test'.*test_per_class"),
        (["test/a/1.png", "b/a/1.png"], {}, "test folder 'test/' but no train folder.*'b', 'test'"),
        (PARTS, {"train_folder": "training"}, "no images in train_folder 'training'.*'test', 'train'"),
        (PARTS, {"test_per_class": 1}, "has a test folder already: leave test_per_class out"),
        (["a/1.png", "a/2.png", "b/1.png"], {"test_per_class": 1}, "class 'b' has 1 images: test_per_class 1"),
        (["a/1.png"], {"test_per_class": 0}, "test_per_class=0 must be a whole number of at least 1"),
        (["a/1.png"], {"test_per_class": "ten"}, "test_per_class='ten'"),
        (["a/1.png"], {"class_depth": 0}, "class_depth=0"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(paths: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(paths, **options)  # type: ignore[arg-type]


FILLED = [f"{part}/{cls}/{number}.png" for part in ("train", "test") for cls in ("ant", "bee") for number in (1, 2)]


@pytest.mark.parametrize("strays", [["train/folder.jpg"], ["test/folder.jpg"], ["train/folder.jpg", "test/folder.jpg"]])
def test_a_stray_picture_in_a_part_changes_no_class_and_is_counted(strays: list[str]) -> None:
    for part in ("train", "test"):
        found = table([*FILLED, *strays], part)
        assert found.class_names == ["ant", "bee"]
        assert found.paths == [path for path in FILLED if path.startswith(part)]
        assert found.left_out == {f"outside class folders ({', '.join(sorted(strays))})": len(strays)}


def test_a_stray_picture_beside_class_folders_is_left_out_and_many_are_refused() -> None:
    classes = ["a/1.png", "b/1.png", "c/1.png"]
    assert table([*classes, "cover.jpg"]).left_out == {"outside class folders (cover.jpg)": 1}
    with pytest.raises(InputError, match=r"image 1\.jpg and 2 more in data lies outside a class folder"):
        table([*classes, "1.jpg", "2.jpg", "3.jpg"])


def test_unlabelled_test_pictures_beside_class_folders_are_no_class() -> None:
    paths = ["cat/1.png", "dog/1.png", "test/1.png", "test/2.png"]
    found = table(paths)
    assert found.class_names == ["cat", "dog"]
    assert found.left_out == {"in test/ (no class folders)": 2}
    with pytest.raises(InputError, match=r"no test part \('test/' holds images but no class folders\)"):
        table(paths, "test")
    assert table(paths, train_folder=".").class_names == ["cat", "dog", "test"]


def test_unlabelled_test_pictures_beside_a_train_folder_are_counted() -> None:
    paths = ["train/cat/1.png", "train/dog/1.png", "test/1.png"]
    assert table(paths).left_out == {"in test/": 1}
    with pytest.raises(InputError, match="no test part"):
        table(paths, "test")


def test_parts_without_class_folders_are_refused_as_unlabelled() -> None:
    with pytest.raises(InputError, match="'test/', 'train/' hold images but no class folders, so no image has a label"):
        table(["train/1.png", "train/2.png", "test/1.png"])


def test_part_folders_may_be_written_in_capitals() -> None:
    paths = [path.replace("train", "Train").replace("test", "TEST") for path in FILLED]
    assert table(paths).class_names == table(paths, "test").class_names == ["ant", "bee"]
    assert table(paths, "test").paths[0] == "TEST/ant/1.png"


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("training", "validation"), ("training", "val")])
def test_folders_that_look_like_parts_are_refused_with_options_that_work(train: str, test: str) -> None:
    paths = [path.replace("train", train).replace("test", test) for path in FILLED]
    with pytest.raises(InputError, match="seem to be parts, and not classes: set data") as caught:
        table(paths)
    assert table(paths, "test", **advised(caught)).class_names == ["ant", "bee"]
    assert len(table(paths, "test", **advised(caught)).paths) == 4


def advised(caught: pytest.ExceptionInfo[InputError]) -> dict[str, object]:
    """The options that an error tells to set."""
    found = re.findall(r"data\.options\.(\w+)=([\w.-]+)", str(caught.value))
    return {key: int(value) if value.isdigit() else value for key, value in found}


@pytest.mark.parametrize(
    "paths",
    [
        [path.replace("test/", "val/") for path in FILLED],  # a part of another name
        [path.removeprefix("train/") for path in FILLED if path.startswith("train")],  # only classes
        [path for path in FILLED if path.startswith("train")],
        ["test/ant/1.png", "test/bee/1.png", "other/ant/1.png", "other/bee/1.png"],
        ["test/ant/1.png", "test/bee/1.png", "ant/1.png", "bee/1.png"],
    ],
)
def test_a_tree_without_two_parts_is_refused_with_options_of_which_one_works(paths: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        table(paths, "test")
    options = advised(caught)
    assert options
    for key in options if "test_folder" not in options else ["test_folder"]:
        both = [table(paths, part, **{key: options[key]}) for part in ("train", "test")]
        assert [one.class_names for one in both] == [["ant", "bee"]] * 2
        assert all(len(one.paths) for one in both)


def test_folders_inside_class_folders_are_counted() -> None:
    assert table(["a/1.png", "a/old/2.png", "b/x/y/1.png"]).taken_in == {"from folders inside class folders": 2}
    assert table(["a/1.png", "b/1.png"]).taken_in == {}


def test_what_lies_outside_the_parts_is_counted_by_folder() -> None:
    found = table([*FILLED, "val/ant/1.png", "val/bee/1.png", "extra/1.png", "poster.jpg"])
    assert found.left_out == {"in val/": 2, "in extra/": 1, "outside the parts": 1}
    assert table(["raw/a/1.png", "clean/a/1.png", "clean/b/1.png"], prefix="clean").left_out == {
        "outside the prefix": 1
    }


def test_a_class_folder_without_pictures_is_refused_with_what_it_holds() -> None:
    listing = Listing("data", ["a/1.png"], [1], {"a", "b"}, [("b/1.nef", ".nef"), ("b/2.nef", ".nef")])
    message = (
        r"class folder 'b' holds no images but 2 \.nef \(camera raw: export them as JPEG\): put images in it, or move"
    )
    with pytest.raises(InputError, match=message):
        image_table(listing, "train", Layout())
    with pytest.raises(InputError, match=r"data holds no images .*: it has 1 \.mp4, 1 \.txt$"):
        image_table(Listing("data", [], [], set(), [("a/1.mp4", ".mp4"), ("1.txt", ".txt")]), "train", Layout())
