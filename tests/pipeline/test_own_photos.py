"""Photos of one's own: every refusal names the key to set with a value that works, and a line says what was found."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lowshot.cli import run
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from lowshot.recipe import load_recipe
from tests.data.conftest import write_tree
from tests.pipeline.recipes import IMAGES, due, run_recipe, write_image_recipe

CLASSES = [f"class{label:02d}" for label in range(12)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve classes of five small photos, in no parts, beside a note."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(5):
            Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "photos" / "notes.txt").write_text("words")
    return tmp_path / "photos"


@pytest.fixture
def recipe(photos: Path, tmp_path: Path) -> Path:
    """A recipe that was written for larger data."""
    return write_photo_recipe(tmp_path, photos)


def write_photo_recipe(folder: Path, root: Path, **sections: Any) -> Path:
    data = {**IMAGES["data"], "dataset": "auto", "root": str(root), "options": {}}
    split = {"base": [20, 20], "novel": [30, 30], "experiments": 2, "max_shots": 20}
    evaluate = {"n_shots": [1, 2, 5, 10, 20], "methods": {"plain": {"classifier": "nearest_mean"}}}
    given = {"data": data, "split": split, "evaluate": evaluate, "representations": {"net": {}}}
    return write_image_recipe(folder, **{**given, **sections})


ADVISED = re.compile(r"\b((?:data\.options|split|evaluate|episodes|tune)\.\w+=(?:\[[\d,]+\]|[\w.-]+))")


def test_following_the_advice_of_each_refusal_leads_to_a_run(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: list[str] = []
    for _ in range(3):
        if run(["validate", str(recipe), *changes]) == 0:
            break
        advised = ADVISED.findall(capsys.readouterr().err)
        assert advised
        changes += advised
    assert changes == [
        *("split.base=[3,3]", "split.novel=[3,3]", "data.options.test_per_class=1"),
        "evaluate.n_shots=[1,2]",
    ]
    line = f"{tmp_path / 'photos'}: 12 classes, 60 images (48 train, 12 test); left out: 1 .txt"
    assert line in capsys.readouterr().err
    assert run(["run", str(recipe), "--dry-run", *changes]) == 0
    assert run(["split", str(recipe), *changes]) == 0
    assert capsys.readouterr().err.count(line) == 2
    assert ClassSplit.from_json(tmp_path / "out" / "split" / "label_idx.json").num_classes == 12


HELD_OUT = ["data.options.test_per_class=1", "split.base=[3,3]", "split.novel=[3,3]", "evaluate.n_shots=[1]"]


@pytest.mark.parametrize(
    ("changes", "message", "advised"),
    [
        (["evaluate.n_shots=[1,5]"], "has 4 training images, but .* asks for 5", ["evaluate.n_shots=[1]"]),
        (["data.options.test_per_class=5"], "leaves none to train on", ["data.options.test_per_class=4"]),
        (["split.base=[7,3]"], "need 16 classes", ["split.base=[3,3]", "split.novel=[3,3]"]),
        (["split.max_shots=2", "evaluate.n_shots=[1,4]"], "split.max_shots is 2", ["split.max_shots=4"]),
        (["split.max_shots=2", "evaluate.n_shots=[1,4]"], "split.max_shots is 2", ["evaluate.n_shots=[1]"]),
        (["split.experiments=10001"], "split.experiments: input should be less than or equal to 10000", []),
        (["episodes={n_shots: [1], n_query: 2}"], "setup 'test' has 3", ["episodes.n_way=3"]),
        (["episodes={n_way: 3, n_shots: [1], n_query: 9}"], "need 10 images", ["episodes.n_query=3"]),
        (["split.base=[[class0],3]"], "'class0', which is no class of the data. Did you mean 'class10'", []),
    ],
)
def test_validate_a_dry_run_and_a_run_refuse_the_same_with_advice_that_helps(
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: list[str],
    message: str,
    advised: list[str],
) -> None:
    for command in (["validate"], ["run", "--dry-run"], ["run"]):
        assert run([command[0], str(recipe), *command[1:], *HELD_OUT, *changes]) == 2
        error = capsys.readouterr().err
        assert re.search(message, error)
        assert all(advice in error for advice in advised)
    assert not (tmp_path / "out" / "split" / "label_idx.json").exists()
    if advised:
        assert run(["validate", str(recipe), *HELD_OUT, *changes, *advised]) == 0


def test_a_half_that_is_not_given_takes_what_the_other_leaves(recipe: Path) -> None:
    for changes, sizes in (
        (["split.base=null", "split.novel=null"], (3, 3, 3, 3)),
        (["split.base=[4,4]", "split.novel=null"], (4, 4, 2, 2)),
        (["split.base=null", "split.novel=[1,1]"], (3, 3, 1, 1)),
    ):
        run_recipe(recipe, [*HELD_OUT, *changes], only="split")
        split = ClassSplit.from_json(recipe.parent / "out" / "split" / "label_idx.json")
        assert tuple(map(len, (split.base_1, split.base_2, split.novel_1, split.novel_2))) == sizes


def test_classes_are_chosen_by_name(recipe: Path) -> None:
    run_recipe(recipe, [*HELD_OUT, "split.novel=[[class07,class01],2]"], only="split")
    split = ClassSplit.from_json(recipe.parent / "out" / "split" / "label_idx.json")
    assert split.novel_1.tolist() == [1, 7]
    assert len(split.novel_2) == 2
    file = str(recipe.parent / "out" / "split" / "label_idx.json")
    again = [*HELD_OUT, f"split.file={file}"]
    assert "sound" in validate_recipe(recipe, [*again, "split.novel=[[class01,class07],2]"])
    message = (
        r"has 2 \+ 2 novel classes, but split\.novel says class01, class02 \+ 2: give the file .* split\.novel=null"
    )
    with pytest.raises(InputError, match=message):
        validate_recipe(recipe, [*again, "split.novel=[[class01,class02],2]"])
    assert "sound" in validate_recipe(recipe, [*again, "split.novel=null"])


@pytest.mark.parametrize(("damage", "said"), [(b"no image", "is not one of"), (b"", "is empty")])
def test_an_unreadable_image_is_found_before_a_run_and_can_be_skipped(
    recipe: Path, photos: Path, capsys: pytest.CaptureFixture[str], damage: bytes, said: str
) -> None:
    (photos / "class03" / "0.png").write_bytes(damage)
    (photos / "class04" / "gone.png").symlink_to("nowhere.png")
    for command in (["validate"], ["run", "--dry-run"]):
        assert run([command[0], str(recipe), *command[1:], *HELD_OUT]) == 2
        error = capsys.readouterr().err
        assert re.search(rf"class03/0.png {said}|class04/gone.png cannot be read", error)
        assert "data.on_bad_image=skip leaves unreadable images out" in error
    assert run(["validate", str(recipe), *HELD_OUT, "data.on_bad_image=skip"]) == 0
    assert "left out: 1 .txt, 2 unreadable" in capsys.readouterr().err


def test_a_class_without_a_test_image_is_named_before_a_run(photos: Path, tmp_path: Path) -> None:
    names = [f"{cls}/{number}.png" for cls in CLASSES for number in range(5)]
    labels = [label for label in range(12) for _ in range(5)]
    lists = {
        "train": (names, labels),
        "test": (names[:50], labels[:50]),  # none of the last two classes
    }
    for part, (images, numbers) in lists.items():
        text = f'{{"image_names": {images}, "image_labels": {numbers}, "label_names": {CLASSES}}}'.replace("'", '"')
        (photos / f"{part}.json").write_text(text)
    recipe = write_photo_recipe(tmp_path, photos)
    changes = ["split.base=[3,3]", "split.novel=[3,3]", "evaluate.n_shots=[1]"]
    with pytest.raises(
        InputError, match=r"class 1\d \('class1\d'\) has no test image, which setup '.*name the classes"
    ):
        validate_recipe(recipe, changes)
    named = [f"split.base=[[{','.join(CLASSES[:3])}],[{','.join(CLASSES[3:6])}]]", "split.novel=[[class06],[class07]]"]
    assert "sound" in validate_recipe(recipe, [*changes, *named])


def test_pictures_in_both_parts_are_counted(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in CLASSES:
        shutil.copytree(photos / name, tmp_path / "parts" / "train" / name)
        write_tree(tmp_path / "parts", [f"test/{name}/new.png"])
        shutil.copy(photos / name / "1.png", tmp_path / "parts" / "test" / name / "copy.png")
    recipe = write_photo_recipe(tmp_path, tmp_path / "parts")
    assert run(["split", str(recipe), *HELD_OUT[1:]]) == 0
    assert "12 test images are also training images, such as test/class00/copy.png = train/class00/1.png" in (
        capsys.readouterr().err
    )
    due_before = due(recipe, *HELD_OUT[1:])
    assert "split" not in due_before


def test_a_key_of_another_section_is_suggested(recipe: Path) -> None:
    for change, meant in (
        ("data.test_per_class=1", "data.options.test_per_class"),
        ("test_per_class=1", "data.options.test_per_class"),
        ("data.image_size=32", "data.transform.image_size"),
        ("epochs=3", "train.epochs"),
        ("evaluate.max_shots=3", "split.max_shots"),
        ("train.stem=small", "train.backbone_options.stem"),
    ):
        with pytest.raises(InputError, match=rf"{change.partition('=')[0]}: unknown key\. Did you mean .*'{meant}'"):
            load_recipe(recipe, [change])


def test_options_that_are_texts_stay_texts_and_paths_know_the_home_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "2024").mkdir()
    photos.rename(tmp_path / "2024" / "no")
    recipe = write_photo_recipe(tmp_path, tmp_path / "2024")
    (tmp_path / "2024" / "1e5").mkdir()
    shutil.copytree(tmp_path / "2024" / "no" / "class00", tmp_path / "2024" / "1e5" / "class00")
    changes = [*HELD_OUT, "data.options.prefix=no"]
    assert load_recipe(recipe, changes).data.options["prefix"] == "no"
    assert "sound" in validate_recipe(recipe, changes)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = [f"{cls}/{number}.png" for cls in CLASSES for number in range(5)]
    text = f'{{"image_names": {names}, "image_labels": {[label for label in range(12) for _ in range(5)]}}}'
    (tmp_path / "train.json").write_text(text.replace("'", '"'))
    changes = [*HELD_OUT, f"data.root={tmp_path}", "data.options.train_list=~/train.json"]
    assert "sound" in validate_recipe(recipe, [*changes, "data.options.image_root=~/2024/no"])


def test_a_pipe_among_the_photos_and_a_device_as_root_stop_nothing(
    recipe: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(photos / "class00" / "2a.png")
    assert run(["validate", str(recipe), *HELD_OUT]) == 0
    assert "1 no regular file" in capsys.readouterr().err
    for root in ("/dev/zero", str(photos / "class00" / "2a.png")):
        assert run(["validate", str(recipe), *HELD_OUT, f"data.root={root}"]) == 2
        assert "is neither a folder nor a regular file" in capsys.readouterr().err
