"""json_list: the original's lists of image names and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowshot.data import BadImageError, build_dataset
from lowshot.errors import InputError
from lowshot.files import write_json

TRAIN = {"image_names": ["train/cow/0.png", "train/ant/1.png", "train/bee/2.png"], "image_labels": [2, 0, 1]}
TEST = {"image_names": ["test/ant/0.png"], "image_labels": [0]}


def lists(root: Path, train: Any = TRAIN, test: Any = TEST) -> Path:
    write_json(root / "train.json", train)
    if test is not None:
        write_json(root / "test.json", test)
    return root


def test_names_labels_and_row_order_are_those_of_the_list(parts: Path) -> None:
    dataset = build_dataset("json_list", root=lists(parts))
    assert dataset.paths == TRAIN["image_names"]
    assert dataset.labels.tolist() == [2, 0, 1]
    folder = build_dataset("image_folder", root=parts)
    assert dataset.load(1) == folder.load(folder.paths.index("train/ant/1.png"))


def test_train_and_test_share_the_label_space(parts: Path) -> None:
    test = build_dataset("json_list", "test", lists(parts))
    assert test.labels.tolist() == [0]
    assert test.class_names == ["0", "1", "2"]
    wider = build_dataset("json_list", root=lists(parts, test={**TEST, "image_labels": [6]}))
    assert wider.num_classes == 7
    assert build_dataset("json_list", root=lists(parts), num_classes=1000).num_classes == 1000


def test_label_names_become_class_names(parts: Path) -> None:
    named = {**TRAIN, "label_names": ["ant", "bee", "cow"]}
    assert build_dataset("json_list", "test", lists(parts, named)).class_names == ["ant", "bee", "cow"]


def test_lists_may_lie_apart_from_the_images(parts: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "lists/base.json", TRAIN)
    dataset = build_dataset("json_list", root=tmp_path / "lists", train_list="base.json", image_root=parts)
    assert dataset.load(0).size == (8, 8)


def test_without_a_test_list_images_can_be_held_out(parts: Path) -> None:
    train = {"image_names": [f"train/ant/{i}.png" for i in range(3)], "image_labels": [0, 0, 0]}
    lists(parts, train, None)
    held = build_dataset("json_list", "test", parts, test_per_class=1)
    rest = build_dataset("json_list", "train", parts, test_per_class=1)
    assert sorted(held.paths + rest.paths) == train["image_names"]
    with pytest.raises(InputError, match=r"has no test.json: name a test_list"):
        build_dataset("json_list", "test", parts)


def test_a_missing_image_is_named_when_it_is_loaded(parts: Path) -> None:
    dataset = build_dataset("json_list", root=lists(parts, {"image_names": ["gone.png"], "image_labels": [0]}))
    with pytest.raises(BadImageError, match=r"image gone.png cannot be read"):
        dataset.load(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_names": None}, "needs the key 'image_names' with a list"),
        ({"image_labels": {"a": 1}}, "needs the key 'image_labels' with a list"),
        ({"image_labels": [2, 0]}, "3 image_names but 2 image_labels"),
        ({"image_labels": [2, 0, -1]}, r"row 2 \(train/bee/2.png\): label -1 is not an integer from 0"),
        ({"image_labels": [2, "0", 1]}, "row 1 .*label '0' is not an integer"),
        ({"image_labels": [2, 0.0, 1]}, "row 1 .*label 0.0 is not an integer"),
        ({"image_labels": [2, True, 1]}, "row 1 .*label True is not an integer"),
        ({"image_names": ["a.png", 3, "b.png"]}, "row 1: image name 3 is not a path"),
        ({"image_names": [], "image_labels": []}, "lists no images"),
        ({"num_classes": 2}, r"row 0 .*label 2 is outside 0\.\.1"),
        ({"num_classes": "3"}, "image list .*: num_classes='3'"),
        ({"label_names": ["a", "b"]}, r"label 2 is outside 0\.\.1"),
        ({"label_names": ["a", "b", 3]}, "label_names must be a list of strings"),
        ({"label_names": ["a", "b", "c"], "num_classes": 4}, "3 label_names for 4 classes"),
    ],
)
def test_a_wrong_list_is_refused_with_file_and_row(parts: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build_dataset("json_list", root=lists(parts, {**TRAIN, **change}))
    assert "train.json" in str(error.value)


def test_what_does_not_fit_together_is_refused(parts: Path) -> None:
    with pytest.raises(InputError, match="different label_names"):
        build_dataset(
            "json_list",
            root=lists(parts, {**TRAIN, "label_names": ["a", "b", "c"]}, {**TEST, "label_names": ["a", "c", "b"]}),
        )
    with pytest.raises(InputError, match=r"num_classes is 2, but .* need 3"):
        build_dataset("json_list", root=lists(parts), num_classes=2)
    with pytest.raises(InputError, match="is a test list already"):
        build_dataset("json_list", root=lists(parts), test_per_class=1)
    with pytest.raises(InputError, match="holds a list: expected an object"):
        build_dataset("json_list", root=lists(parts, [1, 2]))


def test_missing_files_and_folders_are_refused_at_once(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"image list .*train.json does not exist"):
        build_dataset("json_list", root=parts)
    with pytest.raises(InputError, match="nowhere does not exist"):
        build_dataset("json_list", root=lists(parts), image_root=tmp_path / "nowhere")
    (parts / "train.json").write_text('{"image_names": [')
    with pytest.raises(InputError, match="is not valid JSON"):
        build_dataset("json_list", root=parts)
