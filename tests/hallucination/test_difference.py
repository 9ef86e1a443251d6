from __future__ import annotations

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.hallucination import DifferenceGenerator


def test_what_is_added_is_a_difference_of_two_examples_of_one_class(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    fitted = DifferenceGenerator(max_per_class=None).fit(features, labels)
    made = fitted.generate(features[:1], [0], 200)[0][1:] - features[0]
    i, j = np.nonzero((labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool))
    apart = np.abs(made[:, None] - (features[i] - features[j])).max(axis=2)
    assert apart.min(axis=1).max() < 1e-5
    classes = labels[i[apart.argmin(axis=1)]]
    assert set(classes) == set(labels)


def test_at_most_so_many_examples_are_kept(base: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = DifferenceGenerator(max_per_class=4).fit(*base)
    assert fitted.counts_.tolist() == [4] * 4
    assert set(map(tuple, fitted.examples_)) <= set(map(tuple, base[0]))


def test_classes_of_one_example_have_no_difference() -> None:
    with pytest.raises(InputError, match="two examples"):
        DifferenceGenerator().fit(np.eye(3), [0, 1, 2])
    fitted = DifferenceGenerator().fit(np.eye(3), [0, 1, 1])
    assert fitted.counts_.tolist() == [2]
