from __future__ import annotations

import math

import numpy as np
import pytest

from lowshot.checks import as_features, check_choice, check_count, check_number
from lowshot.errors import InputError


@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, True, "3", None, math.nan])
def test_a_count_is_an_integer_from_the_least_up(value: object) -> None:
    with pytest.raises(InputError, match=r"^n_steps=.* must be a whole number of at least 1$"):
        check_count("n_steps", value)
    assert check_count("n_steps", np.int32(7)) == 7
    assert check_count("n_steps", 0, least=0) == 0


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        ({}, [-1, 0, 1e300], [math.nan, math.inf, "1", None, True], "a finite number"),
        ({"least": 0}, [0, 0.5], [-0.1, math.inf], "a finite number of at least 0"),
        ({"above": 0}, [1e-9, np.float32(3)], [0, -1, math.nan], "a finite number above 0"),
        ({"least": 0, "below": 1}, [0, 0.99], [-0.1, 1], "a finite number of at least 0 and below 1"),
    ],
)
def test_a_number_is_finite_and_within_its_bounds(bounds, inside, outside, words) -> None:
    for value in inside:
        assert check_number("lr", value, **bounds) == value
    for value in outside:
        with pytest.raises(InputError, match=f"^lr=.* must be {words}$"):
            check_number("lr", value, **bounds)


def test_a_wrong_choice_is_answered_with_the_nearest() -> None:
    assert check_choice("metric", "cosine", ("cosine", "euclidean")) == "cosine"
    with pytest.raises(InputError, match=r"^metric='cosin' is not one of its choices\. Did you mean 'cosine'\?"):
        check_choice("metric", "cosin", ("cosine", "euclidean"))


def test_features_of_a_float_type_are_not_copied_and_others_become_float32() -> None:
    for dtype in (np.float32, np.float64):
        X = np.ones((2, 3), dtype)
        assert as_features(X, "features") is X
    assert as_features([[1, 2]], "features").dtype == np.float32
    with pytest.raises(InputError, match="features: expected numbers"):
        as_features([["a"]], "features")
