"""Flat folders of photos need no settings: held-out images, class halves and shots are derived from what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lowshot.cli import run
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.files import write_json
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.plan import Plan
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import IMAGES, due, records, run_recipe, write_image_recipe

DERIVED: dict[str, Any] = {
    "split": {"base": 0.5, "novel": 0.5, "experiments": 2},
    "evaluate": {"n_shots": "auto", "methods": {"plain": {"classifier": "nearest_mean"}}},
    "representations": {"net": {}},
}


def write_photos(root: Path, sizes: Sequence[int]) -> list[str]:
    """A flat folder of small photos, class after class of these sizes, and their paths."""
    rng = np.random.default_rng(0)
    paths = []
    for label, size in enumerate(sizes):
        for number in range(size):
            path = root / f"class{label:02d}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
            paths.append(str(path.relative_to(root)))
    return paths


def write_recipe(folder: Path, root: Path, options: Mapping[str, Any] | None = None) -> Path:
    data = {**IMAGES["data"], "dataset": "auto", "root": str(root), "options": {"test_per_class": "auto"}}
    return write_image_recipe(folder, **{**DERIVED, "data": {**data, **(options or {})}})


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        ([2] * 4, "4 classes; 1 of each held out; base 1 + 1 and novel 1 + 1 classes (val + test); n = 1"),
        ([3] * 5, "5 classes; 2 of each held out; base 1 + 1 and novel 1 + 2 classes (val + test); n = 1"),
        ([5] * 12, "12 classes; 3 of each held out; base 3 + 3 and novel 3 + 3 classes (val + test); n = 1, 2"),
        ([5] * 48, "48 classes; 3 of each held out; base 12 + 12 and novel 12 + 12 classes (val + test); n = 1, 2"),
        (
            [31, 33, 36, 40, 40, 40],
            "6 classes; 16 to 20 of each held out; base 1 + 2 and novel 1 + 2 classes (val + test); "
            "n = 1, 2, 5, 10, 20",
        ),
        (
            [2, 2, 5, 5, 5, 9, 9, 9],
            "8 classes; 1 to 5 of each held out; base 2 + 2 and novel 2 + 2 classes (val + test); n = 1, 2",
        ),
        (
            [1, 4, 4, 4, 4],
            "5 classes; 2 of each held out; base 1 + 1 and novel 1 + 1 classes (val + test); n = 1, 2",
        ),
    ],
    ids=str,
)
def test_a_line_says_what_was_derived_and_commands_agree(
    sizes: list[int], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", sizes)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    for command in (["validate", str(recipe)], ["run", str(recipe), "--dry-run"], ["split", str(recipe)]):
        assert run(command) == 0
        assert line in capsys.readouterr().err
    split = ClassSplit.from_json(tmp_path / "out" / "split" / "label_idx.json")
    novel = [sizes[label] for label in split.novel]
    assert min(novel) // 2 >= max(map(int, line.partition("n = ")[2].split(", ")))
    resolved = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())
    assert resolved["evaluate"]["n_shots"] == [int(n) for n in line.partition("n = ")[2].split(", ")]


def test_small_classes_are_base_classes_and_single_photos_take_no_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", [1, 2, 10, 10, 10, 2, 10, 1, 10, 10])
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    assert run(["split", str(recipe)]) == 0
    said = capsys.readouterr().err
    assert "10 classes: 8 take part, 2 are unused" in said
    assert "too few images: class00 (1 image), class07 (1 image)" in said
    assert "n = 1, 2, 5" in said
    split = ClassSplit.from_json(tmp_path / "out" / "split" / "label_idx.json")
    assert {1, 5} <= set(split.base.tolist())
    assert not {0, 7} & {*split.base.tolist(), *split.novel.tolist()}


def test_a_run_from_a_flat_folder_ends_in_a_report_and_again_has_nothing_to_do(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [5] * 8)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    resolved = run_recipe(recipe)
    assert resolved.evaluate.n_shots == (1, 2)
    assert {record["n_shots"] for record in records(tmp_path / "out")} == {1, 2}
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert "8 classes; 3 of each held out; base 2 + 2 and novel 2 + 2 classes (val + test); n = 1, 2" in page
    assert "n = 2 takes all there are, so every draw is the same and its interval says nothing." in page
    assert due(recipe) == []
    written = tmp_path / "again.yaml"
    written.write_text((tmp_path / "out" / "recipe.yaml").read_text())
    assert due(written) == []  # the recipe of the results says what was derived


def test_more_photos_change_what_is_derived_and_run_what_follows(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [3] * 4)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    run_recipe(recipe, only="split")
    before = load_recipe(recipe).fingerprint
    assert Plan(load_recipe(recipe)).stages[0].key == "split"
    assert "split" not in due(recipe)
    write_photos(tmp_path / "photos", [5] * 4)
    assert "split" in due(recipe)
    plan = Plan(load_recipe(recipe))
    plan.settle()
    assert plan.recipe.evaluate.n_shots == (1, 2)
    assert plan.recipe.fingerprint != before


def test_a_list_in_any_order_derives_the_same_as_the_folder(tmp_path: Path) -> None:
    paths = write_photos(tmp_path / "photos", [5, 2, 5, 5, 7, 5])
    splits, held = [], []
    rng = np.random.default_rng(0)
    roots = [tmp_path / "photos"]
    for number in range(2):
        order = rng.permutation(len(paths))
        lines = [f"{paths[row]},{paths[row].partition('/')[0]}" for row in order]
        roots.append(tmp_path / "photos" / f"list{number}.csv")
        roots[-1].write_text("\n".join(lines))
    for root in roots:
        plan = Plan(load_recipe(write_recipe(tmp_path, root)))
        plan.settle()
        splits.append(plan.inputs.split)
        held.append(sorted(plan.inputs.test_images.paths))
        assert plan.recipe.evaluate.n_shots == (1, 2)
    assert splits[0] == splits[1] == splits[2]
    assert held[0] == held[1] == held[2]


def test_what_the_user_sets_is_kept_and_the_rest_follows(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [6] * 10)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    for changes, sizes, n_shots in (
        (["data.options.test_per_class=1"], (2, 3, 2, 3), (1, 2, 5)),
        (["split.max_shots=2"], (2, 3, 2, 3), (1, 2)),
        (["evaluate.n_shots=[3]"], (2, 3, 2, 3), (3,)),
        (["split.base=[1,3]", "split.novel=null"], (1, 3, 2, 2), (1, 2)),
        (["split.base=0.8", "split.novel=0.2"], (4, 4, 1, 1), (1, 2)),
        (["split.base=[0.4,2]", "split.novel=[[class01,class02],[class03]]"], (4, 2, 2, 1), (1, 2)),
    ):
        resolved = run_recipe(recipe, changes, only="split")
        split = ClassSplit.from_json(tmp_path / "out" / "split" / "label_idx.json")
        assert tuple(map(len, (split.base_1, split.base_2, split.novel_1, split.novel_2))) == sizes, changes
        assert resolved.evaluate.n_shots == n_shots, changes
        draws = Experiments.from_files(tmp_path / "out" / "split" / "splitfile_{:d}.json")
        assert len(draws.shots(1, max(n_shots), split.novel)) == len(split.novel) * max(n_shots)
    file = tmp_path / "out" / "split" / "label_idx.json"
    again = [f"split.file={file}", "split.base=null", "split.novel=null"]
    assert "sound" in validate_recipe(recipe, again)
    assert "sound" in validate_recipe(recipe, [f"split.file={file}", "split.base=[4,2]", "split.novel=[0.2,0.1]"])


def test_given_test_images_are_taken_before_any_are_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos" / "train", [5] * 4)
    write_photos(tmp_path / "photos" / "test", [2] * 4)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    assert run(["validate", str(recipe)]) == 0
    said = capsys.readouterr().err
    assert "4 classes, 28 images (20 train, 8 test)" in said
    assert "4 classes; 2 test images of each; base 1 + 1 and novel 1 + 1 classes (val + test); n = 1, 2, 5" in said


@pytest.mark.parametrize(
    ("sizes", "changes", "message"),
    [
        ([5], [], r"has one class only, 'class00': there is nothing to tell it from\. Set data\.root"),
        ([5, 5], [], "has 2 classes, but a split takes four at least: a base and a novel one in each half"),
        (
            [5, 5, 5],
            [],
            r"has 3 classes, .*Set data\.root to a folder with more class folders \(data\.opt",
        ),
        ([1] * 5, [], r"every class has a single image, so none can be held out.*data\.root"),
        (
            [1, 1, 4, 4, 4],
            [],
            r"5 classes, of which 3 have .*Too small: class00 \(1 image\), class01 \(1 image\)\.",
        ),
        ([5] * 8, ["split.base=0.9"], r"ask for 1\.4 of the classes together"),
        ([5] * 8, ["split.base=[5,2]", "split.novel=[1,1]"], r"need 9 classes, .*set split\.base=\[2,2\]"),
        ([5] * 8, ["split.novel=[[clas01],2]"], "'clas01', which is no class of the data. Did you mean 'class01'"),
        (
            [5] * 8,
            ["split.base=1.5"],
            r"split\.base: expected two halves such as \[3, 3\].*0\.5, got 1\.5",
        ),
        ([5] * 8, ["split.base=[1.5,2]"], r"split\.base\.0: expected a number of classes, a fraction .*got 1\.5"),
        ([5] * 8, ["split.base=4"], r"split\.base: expected two halves such as \[3, 3\]"),
        ([5] * 8, ["evaluate.n_shots=all"], r"evaluate\.n_shots: input should be a valid tuple"),
        ([5] * 8, ["evaluate.n_shots=[]"], r"evaluate\.n_shots"),
        (
            [5] * 8,
            ["evaluate.n_shots=[1,4]"],
            r"has 2 training .*set evaluate\.n_shots=\[1\], or hold out .*data\.options\.test_per_class=1, or name",
        ),
    ],
)
def test_every_refusal_says_why_and_names_the_key(
    sizes: list[int], changes: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", sizes)
    recipe = write_recipe(tmp_path, tmp_path / "photos")
    for command in (["validate"], ["run", "--dry-run"], ["run"]):
        assert run([command[0], str(recipe), *command[1:], *changes]) == 2
        error = capsys.readouterr().err
        assert re.search(message, error), error
    assert not (tmp_path / "out" / "split").exists()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_images_that_a_list_names_and_that_are_not_there_are_counted_before_anything_runs(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_photos(tmp_path / "photos", [5] * 4)
    for path in paths[:6]:
        (tmp_path / "photos" / path).unlink()
    root = tmp_path / "photos" / f"list.{kind}"
    if kind == "csv":
        root.write_text("\n".join(f"{path},{path.partition('/')[0]}" for path in paths))
    else:
        write_json(root, {"image_names": paths, "image_labels": [int(path[5:7]) for path in paths]})
    recipe = write_recipe(tmp_path, root)
    for command in (["validate"], ["run", "--dry-run"], ["run"]):
        assert run([command[0], str(recipe), *command[1:]]) == 2
        assert re.search(
            rf"list\.{kind}: 6 of 20 listed images are missing in .*: class00/0\.png, .*, class00/4\.png and 1 more.*"
            r"data\.options\.image_root, .*data\.on_bad_image=skip",
            capsys.readouterr().err,
        )
    with pytest.raises(InputError, match=r"class '(class00|0)' has no good image"):
        validate_recipe(recipe, ["data.on_bad_image=skip"])
    write_photos(tmp_path / "photos", [4])
    assert "sound" in validate_recipe(recipe, ["data.on_bad_image=skip", "evaluate.n_shots=[1]"])
