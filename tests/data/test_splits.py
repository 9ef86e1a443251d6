"""ClassSplit: disjoint groups, the original's file, and every split that is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.data import ClassSplit
from lowshot.errors import InputError

NAMES = ["ant", "bee", "cow", "dog", "eel", "fox"]
ORIGINAL = {
    "base_classes_1": [0, 3],
    "base_classes_2": [5],
    "base_classes": [0, 3, 5],
    "novel_classes_1": [4],
    "novel_classes_2": [1, 2],
    "label_names": NAMES,
}


def write(folder: Path, **changed: Any) -> Path:
    value = {key: item for key, item in {**ORIGINAL, **changed}.items() if item is not ...}
    (folder / "label_idx.json").write_text(json.dumps(value))
    return folder / "label_idx.json"


sizes = st.tuples(*[st.integers(1, 6)] * 4)


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(0, 5), st.integers(0, 2**31))
def test_a_random_split_is_disjoint_and_has_the_sizes_asked_for(
    halves: tuple[int, int, int, int], spare: int, seed: int
) -> None:
    names = [f"c{i}" for i in range(sum(halves) + spare)]
    split = ClassSplit.random(names, halves[:2], halves[2:], seed)
    groups = [split.base_1, split.base_2, split.novel_1, split.novel_2]
    assert tuple(map(len, groups)) == halves
    together = np.concatenate(groups)
    assert len(set(together.tolist())) == sum(halves)
    assert set(together.tolist()) <= set(range(len(names)))
    assert set(split.base.tolist()) | set(split.novel.tolist()) == set(together.tolist())
    split.check(names)


def test_a_seed_gives_the_same_split_and_another_seed_another() -> None:
    names = [str(i) for i in range(100)]
    one, again, other = (ClassSplit.random(names, (20, 20), (30, 30), seed) for seed in (1, 1, 2))
    assert one == again != other
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_setups_are_the_halves() -> None:
    split = ClassSplit([0, 3], [5], [4], [1, 2], NAMES)
    val, test = split.setup("val"), split.setup("test")
    assert (val.name, val.base.tolist(), val.novel.tolist()) == ("val", [0, 3], [4])
    assert (test.name, test.base.tolist(), test.novel.tolist()) == ("test", [5], [1, 2])
    assert split.base.tolist() == [0, 3, 5]
    assert split.novel.tolist() == [1, 2, 4]
    with pytest.raises(InputError, match="setup 'train': expected 'val'"):
        split.setup("train")


def test_the_originals_file_is_read_and_written_without_loss(tmp_path: Path) -> None:
    split = ClassSplit.from_json(write(tmp_path))
    split.to_json(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == ORIGINAL
    assert ClassSplit.from_json(tmp_path / "again.json") == split


@settings(deadline=None, max_examples=20)
@given(sizes, st.integers(0, 99))
def test_what_is_written_is_read_back(tmp_path_factory: Any, halves: tuple[int, int, int, int], seed: int) -> None:
    names = [f"ç{i}" for i in range(sum(halves))]
    split = ClassSplit.random(names, halves[:2], halves[2:], seed)
    file = tmp_path_factory.mktemp("split") / "label_idx.json"
    split.to_json(file)
    assert ClassSplit.from_json(file) == split


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"novel_classes_1": [4, 3]}, r"base_classes_1 and novel_classes_1 overlap in label 3 \('dog'\)"),
        ({"base_classes_2": [5, 0]}, r"base_classes_1 and base_classes_2 overlap in label 0 \('ant'\)"),
        ({"novel_classes_2": [1, 4]}, r"novel_classes_1 and novel_classes_2 overlap in label 4 \('eel'\)"),
        ({"base_classes_1": [0, 3, 0]}, r"base_classes_1 lists label 0 \('ant'\) more than once"),
        ({"base_classes_1": [0, 6]}, r"base_classes_1 holds label 6, outside 0\.\.5"),
        ({"base_classes_1": [0, -1]}, r"base_classes_1 holds label -1, outside 0\.\.5"),
        ({"base_classes_1": [0, "3"]}, "base_classes_1 holds '3', which is no label"),
        ({"base_classes_1": [0, 3.0]}, r"base_classes_1 holds 3\.0, which is no label"),
        ({"base_classes_1": [0, True]}, "base_classes_1 holds True, which is no label"),
        ({"novel_classes_2": []}, "novel_classes_2 is empty"),
        ({"base_classes": [0, 3]}, r"base_classes is not the union .* differ in label 5 \('fox'\)"),
        ({"base_classes": [0, 3, 5, 1]}, r"base_classes is not the union .* differ in label 1 \('bee'\)"),
        ({"base_classes": ...}, "needs the key 'base_classes' with a list"),
        ({"novel_classes_1": ...}, "needs the key 'novel_classes_1' with a list"),
        ({"label_names": "ant"}, "needs the key 'label_names' with a list"),
    ],
)
def test_a_wrong_split_file_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        ClassSplit.from_json(write(tmp_path, **change))
    assert "label_idx.json" in str(error.value)


def test_files_that_are_no_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"class split .*none.json does not exist"):
        ClassSplit.from_json(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="holds a list: expected an object"):
        ClassSplit.from_json(tmp_path / "list.json")


def test_a_split_asks_for_no_more_classes_than_there_are() -> None:
    with pytest.raises(InputError, match=r"need 7 classes, but the data set has 6"):
        ClassSplit.random(NAMES, (2, 2), (2, 1))
    with pytest.raises(InputError, match="two halves of at least one class"):
        ClassSplit.random(NAMES, (2, 0), (2, 1))


def test_classes_are_chosen_by_name_and_the_rest_is_drawn_from_the_others() -> None:
    split = ClassSplit.random(NAMES, (["fox", "ant"], 1), (["dog"], 2), seed=3)
    assert split.base_1.tolist() == [0, 5]
    assert split.novel_1.tolist() == [3]
    assert sorted([*split.base_2, *split.novel_2]) == [1, 2, 4]
    assert split == ClassSplit.random(NAMES, (["ant", "fox"], 1), (["dog"], 2), seed=3)


def test_names_leave_the_draw_of_a_split_by_numbers_as_it_is() -> None:
    by_number = ClassSplit.random(NAMES, (1, 2), (1, 1), seed=5)
    groups = (by_number.base_1, by_number.base_2, by_number.novel_1, by_number.novel_2)
    named = [[NAMES[label] for label in group] for group in groups]
    assert ClassSplit.random(NAMES, tuple(named[:2]), tuple(named[2:])) == by_number


@pytest.mark.parametrize(
    ("base", "novel", "message"),
    [
        ((["ant", "cows"], 1), (1, 1), r"split.novel names 'cows', which is no class of the data\. Did you mean 'cow'"),
        ((["ant"], 1), (["ant"], 1), r"base_classes_1 and novel_classes_1 overlap in label 0 \('ant'\)"),
        ((["ant", "ant"], 1), (1, 1), r"base_classes_1 lists label 0 \('ant'\) more than once"),
        (([], 1), (1, 1), r"base \(0 by name, 1\) and novel \(1, 1\): give each two halves of at least one class"),
        ((["ant"], 2), (2, 2), r"base \(1 by name, 2\) and novel \(2, 2\) need 7 classes, but the data set has 6"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(base: Any, novel: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClassSplit.random(NAMES, base, novel)


@pytest.mark.parametrize("count", [4, 5, 6, 7, 12, 13])
def test_the_split_that_a_refusal_advises_fits(count: int) -> None:
    names = [str(number) for number in range(count)]
    with pytest.raises(InputError) as caught:
        ClassSplit.random(names, (64, 1), (1, 1))
    advised = re.search(r"set split\.base=\[(\d+),(\d+)\] split\.novel=\[(\d+),(\d+)\]", str(caught.value))
    assert advised is not None
    base_1, base_2, novel_1, novel_2 = (int(size) for size in advised.groups())
    assert ClassSplit.random(names, (base_1, base_2), (novel_1, novel_2)).num_classes == count


def test_three_classes_are_too_few_for_any_split_and_the_message_says_so() -> None:
    with pytest.raises(InputError, match="A split takes four classes at least"):
        ClassSplit.random(NAMES[:3], (1, 1), (1, 1))


def test_a_data_set_with_another_label_space_is_refused() -> None:
    split = ClassSplit([0, 3], [5], [4], [1, 2], NAMES)
    split.check(NAMES)
    split.check(6)
    with pytest.raises(InputError, match=r"labels outside the split: 7 classes.*label 6 \('gnu'\)"):
        split.check([*NAMES, "gnu"])
    with pytest.raises(InputError, match=r"names 6 classes, but the data set has 5: label 5 \('fox'\)"):
        split.check(5)
    with pytest.raises(InputError, match="label 1 is 'bee' in the split but 'cow' in the data set"):
        split.check(["ant", "cow", "bee", "dog", "eel", "fox"])


def test_labels_outside_the_split_are_refused_by_row() -> None:
    split = ClassSplit([0, 3], [5], [4], [1, 2], NAMES)
    split.check_labels(np.array([0, 5]))
    with pytest.raises(InputError, match=r"row 1 has label 6, outside the split: it knows 0\.\.5"):
        split.check_labels(np.array([0, 6, 7]))
