"""Fractions of the classes become numbers of classes that use all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowshot.data import ClassSplit
from lowshot.data.halves import whole_numbers
from lowshot.errors import InputError

QUARTERS = ((0.25, 0.25), (0.25, 0.25))


@pytest.mark.parametrize(
    ("count", "numbers"),
    [
        (4, ((1, 1), (1, 1))),
        (5, ((1, 1), (1, 2))),
        (6, ((1, 2), (1, 2))),
        (7, ((1, 2), (2, 2))),
        (12, ((3, 3), (3, 3))),
        (48, ((12, 12), (12, 12))),
    ],
)
def test_quarters_use_every_class_and_what_is_left_over_is_reported_on(
    count: int, numbers: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    assert whole_numbers(*QUARTERS, count) == numbers
    names = [f"class {label}" for label in range(count)]
    split = ClassSplit.random(names, *QUARTERS)
    assert split == ClassSplit.random(names, *numbers)
    assert len(split.base) + len(split.novel) == count


@given(st.integers(4, 300), st.floats(0.01, 0.98), st.floats(0, 1))
def test_each_half_has_a_class_and_no_more_are_taken_than_there_are(count: int, base: float, rest: float) -> None:
    novel = max((1 - base) * rest, 0.01)
    (base_1, base_2), (novel_1, novel_2) = whole_numbers((base / 2, base / 2), (novel / 2, novel / 2), count)
    numbers = [base_1, base_2, novel_1, novel_2]
    assert min(numbers) >= 1
    assert sum(numbers) <= max(count * (base + novel) + 1e-6, 4)
    assert abs(base_1 - base_2) <= 1
    assert abs(novel_1 - novel_2) <= 1


def test_numbers_and_names_stay_as_they_are() -> None:
    assert whole_numbers((3, ["ant"]), (2, 4), 99) == ((3, ["ant"]), (2, 4))
    assert whole_numbers((3, ["ant"]), (0.5, 0.25), 8) == ((3, ["ant"]), (4, 2))


def test_fractions_that_mean_nothing_are_refused() -> None:
    for wrong in (1.5, 0.0, -0.25):
        with pytest.raises(InputError, match=f"{wrong} is no fraction of the classes"):
            whole_numbers((wrong, 1), (1, 1), 12)
    with pytest.raises(InputError, match=r"ask for 1\.2 of the classes together.*split\.base=0\.5 split\.novel=0\.5"):
        whole_numbers((0.3, 0.3), (0.3, 0.3), 12)


def test_classes_of_few_images_are_drawn_as_base_classes_alone() -> None:
    names = [f"class {label}" for label in range(12)]
    for seed in range(20):
        plain = ClassSplit.random(names, (3, 3), (3, 3), seed)
        small = [0, 1, 2, 11]
        split = ClassSplit.random(names, (3, 3), (3, 3), seed, only_base=small)
        assert set(small) <= set(split.base.tolist())
        assert len(np.union1d(split.base, split.novel)) == 12
        assert split == (plain if set(small) <= set(plain.base.tolist()) else split)
        without = ClassSplit.random(names, (2, 2), (2, 2), seed, only_base=small[:2], without=[5, 6, 7])
        assert not {5, 6, 7} & {*without.base.tolist(), *without.novel.tolist()}
        assert not {0, 1} & set(without.novel.tolist())
    with pytest.raises(InputError, match="need 12 classes, but the data set has 11"):
        ClassSplit.random(names, (3, 3), (3, 3), without=[4])
