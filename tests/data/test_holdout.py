"""A holdout that a class is too small for names the number that works, and that number works."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lowshot.data.holdout import holdout
from lowshot.errors import InputError

NAMES = ["ant", "bee", "cow", "dog"]
LABELS = np.repeat([0, 1, 2], [9, 4, 3])  # no dog


def test_the_advice_for_small_classes_works() -> None:
    message = r"class 'cow' has 3 images: test_per_class 5 leaves none to train on \(and 1 more classes have too few\)"
    with pytest.raises(InputError, match=message) as caught:
        holdout(LABELS, NAMES, "test", 5, seed=0)
    advised = re.search(r"data\.options\.test_per_class=(\d+)", str(caught.value))
    assert advised is not None
    assert len(holdout(LABELS, NAMES, "test", int(advised[1]), seed=0)) == 3 * int(advised[1])


def test_a_class_of_one_image_is_named_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"class 'bee' has 1 images.*give that class a second image, or leave it out"):
        holdout(np.array([0, 0, 0, 1]), NAMES, "test", 1, seed=0)
    assert len(holdout(np.array([0, 0, 0, 1, 1]), NAMES, "test", 1, seed=0)) == 2
    assert len(holdout(np.array([0, 0, 0]), NAMES, "test", 1, seed=0)) == 1


SIZES = (1, 2, 3, 5, 31, 40, 400)


def test_half_of_each_class_is_held_out_and_a_single_image_is_kept() -> None:
    labels = np.repeat(np.arange(len(SIZES)), SIZES)
    names = [f"class {size}" for size in SIZES]
    train, test = (holdout(labels, names, part, "auto", seed=0) for part in ("train", "test"))
    assert np.bincount(labels[test], minlength=len(SIZES)).tolist() == [0, 1, 2, 3, 16, 20, 50]
    assert sorted([*train, *test]) == list(range(len(labels)))
    with pytest.raises(InputError, match="every class has a single image, so none can be held out"):
        holdout(np.arange(4), NAMES, "test", "auto", seed=0)


def test_what_is_held_out_follows_paths_and_seed_and_neither_row_order_nor_other_classes() -> None:
    labels = np.repeat([0, 1, 2], [9, 4, 3])
    paths = [f"{label}/{row}.png" for row, label in enumerate(labels)]

    def held(order: np.ndarray, seed: int = 0) -> set[str]:
        shuffled = [paths[row] for row in order]
        return {shuffled[row] for row in holdout(labels[order], NAMES, "test", "auto", seed, shuffled)}

    whole = held(np.arange(16))
    rng = np.random.default_rng(0)
    assert all(held(rng.permutation(16)) == whole for _ in range(5))
    assert held(np.arange(13)) == {path for path in whole if not path.startswith("2/")}
    assert held(np.arange(16), seed=1) != whole
