"""The cache of a process: what it counts, what it forgets, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from lowshot.parallel.cache import Cache, clear_caches, held_bytes

MIB = 1 << 20


def memory(mebibytes: int) -> np.ndarray:
    """An array of that size, which costs nothing until it is written."""
    return np.zeros(mebibytes * MIB, np.uint8)


class Estimator(BaseEstimator):
    """An estimator that has learned an array of a mebibyte, and holds half of it twice."""

    def fit(self) -> Estimator:
        self.learned_ = memory(1)
        self.parts_ = {"halves": [self.learned_[: MIB // 2]], "name": "half"}
        return self


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (memory(1), MIB),
        (memory(1)[::2], MIB // 2),
        (np.zeros((3, 5), np.float64), 3 * 5 * 8),
        ({"a": memory(1), "b": {"c": memory(2)}}, 3 * MIB),
        ((memory(1), [memory(1), "text", None, 5]), 2 * MIB),
        (Estimator().fit(), MIB + MIB // 2),
        ([Estimator().fit(), Estimator()], MIB + MIB // 2),
        ("text", 0),
        (None, 0),
    ],
)
def test_the_arrays_of_a_value_are_counted_wherever_they_are(value: object, expected: int) -> None:
    assert held_bytes(value) == expected


def test_arrays_that_are_mapped_from_a_file_cost_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", memory(1))
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert held_bytes(mapped) == held_bytes(np.asarray(mapped)) == held_bytes(mapped[3:].reshape(-1, 1)) == 0
    assert held_bytes({"mapped": mapped, "copy": mapped.copy()}) == MIB


def test_making_room_forgets_the_oldest_and_keeps_the_latest() -> None:
    cache = Cache()
    for number in range(4):
        cache.make_room()
        cache.put(f"{number}", memory(200))
    assert [cache.get(f"{number}") is not None for number in range(4)] == [False, True, True, True]
    cache.make_room()
    assert [cache.get(f"{number}") is not None for number in range(4)] == [False, False, True, True]


def test_a_value_that_is_asked_for_is_younger_than_the_others() -> None:
    cache = Cache()
    for key in ("first", "second", "third"):
        cache.put(key, memory(200))
    assert cache.get("first") is not None
    cache.make_room()
    assert cache.get("second") is None
    assert cache.get("first") is not None
    assert cache.get("third") is not None


def test_nothing_is_forgotten_while_everything_fits() -> None:
    cache = Cache()
    for number in range(1000):
        cache.make_room()
        cache.put(f"{number}", np.zeros(10))
    assert all(cache.get(f"{number}") is not None for number in range(1000))


def test_a_value_larger_than_the_cache_is_held_until_the_next_is_made() -> None:
    cache = Cache()
    cache.put("small", memory(1))
    cache.make_room()
    cache.put("large", memory(2000))
    assert cache.get("small") is not None
    assert cache.get("large") is not None
    cache.make_room()
    assert cache.get("large") is None


def test_clearing_empties_every_cache_of_the_process() -> None:
    caches = [Cache(), Cache()]
    for cache in caches:
        cache.put("key", "value")
    clear_caches()
    assert [cache.get("key") for cache in caches] == [None, None]


def test_a_value_that_is_replaced_is_the_latest() -> None:
    cache = Cache()
    for key in ("first", "second", "third", "first"):
        cache.put(key, memory(200))
    cache.make_room()
    assert cache.get("second") is None
    assert cache.get("first") is not None
