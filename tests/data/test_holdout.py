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
