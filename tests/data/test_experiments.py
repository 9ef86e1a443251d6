"""Experiments: the draws are right, the files round-trip, and rows of other data are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.data import Experiments
from lowshot.errors import InputError

LABELS = np.array([1, 0, 1, 0, 2, 1, 0])
PATHS = [f"{label}/{row}.png" for row, label in enumerate(LABELS)]
NAMES = ["ant", "bee", "cow"]

label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=40)


def drawn(n_experiments: int = 5, max_shots: int = 2, **options: Any) -> Experiments:
    return Experiments.random(LABELS, PATHS, NAMES, n_experiments, max_shots, **options)


def same(one: Experiments, other: Experiments) -> bool:
    rows = [[shots.tolist() for shots in draw] for draw in one.rows]
    return rows == [[shots.tolist() for shots in draw] for draw in other.rows] and one.paths == other.paths


@settings(deadline=None, max_examples=60)
@given(label_lists, st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**31))
def test_draws_hold_distinct_rows_of_the_right_class_as_many_as_there_are(
    labels: list[int], n_experiments: int, max_shots: int, seed: int
) -> None:
    names = [str(i) for i in range(5)]
    found = Experiments.random(np.array(labels), None, names, n_experiments, max_shots, seed)
    assert len(found) == n_experiments
    for draw in found.rows:
        for label, shots in enumerate(draw):
            assert all(labels[row] == label for row in shots)
            assert len(set(shots.tolist())) == len(shots) == min(max_shots, labels.count(label))
    found.check(np.array(labels))


@settings(deadline=None, max_examples=30)
@given(label_lists, st.integers(1, 5), st.booleans())
def test_what_is_written_is_read_back(tmp_path_factory: Any, labels: list[int], n_experiments: int, bare: bool) -> None:
    paths = None if bare else [f"ü/{row}" for row in range(len(labels))]
    made = Experiments.random(np.array(labels), paths, None, n_experiments, 3)
    pattern = tmp_path_factory.mktemp("experiments") / "splitfile_{:d}.json"
    made.write(pattern, bare=bare)
    assert same(Experiments.from_files(pattern), made)


def test_more_experiments_include_the_first_ones_and_another_seed_changes_all() -> None:
    labels = np.repeat(np.arange(3), 30)
    few, many = (Experiments.random(labels, None, NAMES, n) for n in (2, 100))
    assert same(few, Experiments(many.rows[:2], None, NAMES))
    other = Experiments.random(labels, None, NAMES, 2, seed=1)
    assert not any(np.array_equal(a[0], b[0]) for a, b in zip(few.rows, other.rows))
    assert not np.array_equal(many.rows[0][0], many.rows[1][0])


def test_shots_are_the_first_n_of_each_class_in_the_order_of_the_classes() -> None:
    experiments = Experiments([[[1, 3], [0, 2], [4]], [[6, 1], [5, 0], [4]]], None, NAMES)
    assert experiments.shots(1, 2, [1, 0]).tolist() == [0, 2, 1, 3]
    assert experiments.shots(2, 1, np.array([2, 1, 0])).tolist() == [4, 5, 6]
    assert experiments.shots(2, 1, []).dtype == np.int64


def test_a_class_with_fewer_images_than_shots_is_named() -> None:
    with pytest.raises(InputError, match=r"class 2 \('cow'\) has 1 images in experiment 3, but 2 shots are asked for"):
        drawn().shots(3, 2, [0, 2])


def test_shots_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match=r"experiment 6 does not exist: there are 1\.\.5"):
        drawn().shots(6, 1, [0])
    with pytest.raises(InputError, match="experiment 0 does not exist"):
        drawn().shots(0, 1, [0])
    with pytest.raises(InputError, match=r"has no class 3: it lists 0\.\.2"):
        drawn().shots(1, 1, [3])
    with pytest.raises(InputError, match="n_shots is 0"):
        drawn().shots(1, 0, [0])


def test_the_originals_files_are_read_checked_by_label_and_written_again(tmp_path: Path) -> None:
    original = [[1, 3], [0, 2], [4]]
    (tmp_path / "splitfile_1.json").write_text(json.dumps(original))
    experiments = Experiments.from_files(tmp_path / "splitfile_{:d}.json")
    assert experiments.paths is None
    experiments.check(LABELS, PATHS)
    with pytest.raises(InputError, match="experiment 1 lists row 1 as a shot of class 0, but the data have label 1"):
        experiments.check(np.array([1, 1, 1, 0, 2, 1, 0]))
    experiments.write(tmp_path / "again_{:d}.json", bare=True)
    assert json.loads((tmp_path / "again_1.json").read_text()) == original


def test_data_with_other_labels_in_those_rows_are_refused() -> None:
    labels = LABELS.copy()
    row = int(drawn().rows[0][1][0])
    labels[row] = 2
    with pytest.raises(
        InputError, match=rf"experiment 1 lists row {row} as a shot of class 1 \('bee'\), .* label 2 \('cow'\)"
    ):
        drawn().check(labels, PATHS)


def test_the_same_images_in_another_order_are_refused_though_the_labels_agree() -> None:
    first, second = (int(row) for row in np.flatnonzero(LABELS == 0)[:2])
    paths = list(PATHS)
    paths[first], paths[second] = paths[second], paths[first]
    message = r"experiment \d expects image '0/\d.png' \(class 0 \('ant'\)\) in row \d, but .* '0/\d.png'"
    with pytest.raises(InputError, match=message):
        drawn(max_shots=20).check(LABELS, paths)
    drawn(max_shots=20).check(LABELS)


def test_data_that_are_too_short_are_refused() -> None:
    with pytest.raises(InputError, match="but the data have only 4 rows there"):
        drawn(max_shots=20).check(LABELS[:4])


def test_files_must_be_complete_and_belong_together(tmp_path: Path) -> None:
    pattern = tmp_path / "splitfile_{:d}.json"
    with pytest.raises(InputError, match=r"splitfile_1.json does not exist"):
        Experiments.from_files(pattern)
    drawn(3).write(pattern)
    assert len(Experiments.from_files(pattern, 2)) == 2
    with pytest.raises(InputError, match=r"splitfile_4.json does not exist"):
        Experiments.from_files(pattern, 4)
    (tmp_path / "splitfile_2.json").unlink()
    with pytest.raises(InputError, match=r"splitfile_2.json does not exist"):
        Experiments.from_files(pattern)
    (tmp_path / "splitfile_2.json").write_text("[[1], [0], [4]]")
    with pytest.raises(InputError, match=r"splitfile_1.json and .*splitfile_2.json were made for different data"):
        Experiments.from_files(pattern)


def test_leftovers_of_a_larger_set_are_not_mixed_in(tmp_path: Path) -> None:
    drawn(6).write(tmp_path / "splitfile_{:d}.json")
    with pytest.raises(InputError, match=r"splitfile_6.json is left from another set"):
        drawn(5).write(tmp_path / "splitfile_{:d}.json")


def test_a_pattern_needs_a_place_for_the_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a place for the experiment's number"):
        drawn().write(tmp_path / "splitfile.json")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"shots": [[1], [0], [4]]}, "has version None"),
        ({"version": 2, "shots": []}, "has version 2: this lowshot reads 1"),
        ({"rows": []}, "is neither an object with 'shots' nor a list of lists"),
        ("text", "is neither an object with 'shots' nor a list of lists"),
        ([1, 2, 3], "experiment 1, class 0: 1 is no row number"),
        ([[1], [0, "2"]], "experiment 1, class 1: '2' is no row number"),
        ([[1], [0, -2]], "experiment 1, class 1: -2 is no row number"),
        ([[1], [0, 2.0]], r"experiment 1, class 1: 2\.0 is no row number"),
        ([[1], [0, 1]], "experiment 1 lists row 1 more than once"),
        ({"version": 1, "shots": [[1], [0]], "paths": [["a"], []]}, "one image path per row"),
        ({"version": 1, "shots": [[1], [0]], "paths": [["a"], [3]]}, "'paths' must be a list of lists of image paths"),
        ({"version": 1, "shots": [[1]], "class_names": ["a", "b"]}, "2 class names for experiments of 1 classes"),
        ({"version": 1, "shots": [[1]], "class_names": "a"}, "'class_names' must be a list of names"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "splitfile_1.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=message) as error:
        Experiments.from_files(tmp_path / "splitfile_{:d}.json")
    assert "splitfile_" in str(error.value)


def test_draws_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="experiment 2 must be a list of 2 lists, one per class"):
        Experiments([[[1], [0]], [[1]]])
    with pytest.raises(InputError, match="there is no experiment"):
        Experiments([])


def test_labels_beyond_the_named_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"label 2 is outside 0\.\.1, the named classes"):
        Experiments.random(LABELS, PATHS, NAMES[:2])
    with pytest.raises(InputError, match="0 experiments of 20 shots"):
        Experiments.random(LABELS, PATHS, NAMES, n_experiments=0)


@pytest.mark.parametrize("asked", [2_000_000, 10_001])
def test_the_largest_number_of_experiments_is_named_and_works(asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"are too many: set split\.experiments=10000 at most$"):
        Experiments.random(np.array([0, 1]), None, n_experiments=asked, max_shots=1)
    monkeypatch.setattr("lowshot.data.experiments.MOST_ROWS", 100)
    labels = np.repeat([0, 1], 50)
    message = (
        r"experiments that list 20 images each are too many: set split\.experiments=5 at most, or a smaller split\.max"
    )
    with pytest.raises(InputError, match=message):
        Experiments.random(labels, None, n_experiments=asked, max_shots=10)
    assert len(Experiments.random(labels, None, n_experiments=5, max_shots=10)) == 5
