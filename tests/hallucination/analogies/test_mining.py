"""Claims about mine_analogies; the oracle compares every difference with every other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.hallucination import Analogies, mine_analogies
from lowshot.hallucination.analogies import native, pairs
from lowshot.hallucination.analogies.clusters import Centroids
from lowshot.hallucination.analogies.eager import EagerMiner
from tests.reference.mining import mine

needs_compiler = pytest.mark.skipif(native.load_kernel() is None, reason="no C compiler here")


@pytest.fixture(params=["native", "eager"])
def miner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The two implementations of mining: the C kernel and eager torch."""
    if request.param == "eager":
        monkeypatch.setattr(native, "load_kernel", lambda: None)
    elif native.load_kernel() is None:
        pytest.skip("no C compiler here")
    return request.param


def assert_as_defined(classes: list[np.ndarray]) -> Analogies:
    mined = mine_analogies(classes)
    quadruples, scores = mine(classes)
    np.testing.assert_array_equal(mined.quadruples, quadruples)
    np.testing.assert_allclose(mined.scores, scores, rtol=1e-6)
    assert mined.quadruples.dtype == np.int64
    assert mined.scores.dtype == np.float32
    return mined


def normal(sizes: list[int], dim: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(size, dim)).astype(np.float32) for size in sizes]


sizes = st.lists(st.integers(1, 6), min_size=2, max_size=4)


@settings(deadline=None, max_examples=25)
@given(sizes, st.integers(1, 6), st.integers(0, 2**32))
def test_random_centroids_give_what_the_definition_gives(sizes: list[int], dim: int, seed: int) -> None:
    assert_as_defined(normal(sizes, dim, seed))


@settings(deadline=None, max_examples=40)
@given(st.data(), sizes, st.integers(1, 4), st.integers(1, 3))
def test_ties_fall_to_the_lowest_class_and_then_the_lowest_pair(
    data: st.DataObject, sizes: list[int], dim: int, reach: int
) -> None:
    number = st.integers(-reach, reach)
    assert_as_defined(
        [
            np.array(data.draw(st.lists(st.lists(number, min_size=dim, max_size=dim), min_size=n, max_size=n)), float)
            for n in sizes
        ]
    )


@pytest.mark.usefixtures("miner")
class TestBothMiners:
    def test_more_centroids_than_a_vector_register_holds(self) -> None:
        assert_as_defined(normal([19, 5, 2], 7))

    def test_many_centroids_agree_with_dense_products(self) -> None:
        classes = normal([35, 66], 12)
        mined = mine_analogies(classes)
        np.testing.assert_array_equal(mined.quadruples, _dense(classes))

    def test_every_tie_of_a_grid(self) -> None:
        grid = np.stack(np.meshgrid(range(3), range(2)), -1).reshape(-1, 2).astype(np.float32)
        assert_as_defined([grid, grid + 10, 2 * grid])

    def test_copies_of_a_class_lose_to_the_first(self) -> None:
        first, other = normal([4, 4], 3)
        mined = assert_as_defined([other, first, first, first])
        assert set(mined.quadruples[:12, 2] // 4) == {1}

    def test_equal_centroids_have_no_analogy_and_are_no_partner(self) -> None:
        a, b = normal([4, 4], 3)
        a[1], b[3] = a[0], b[2]
        mined = assert_as_defined([a, b])
        assert not {(0, 1), (1, 0), (6, 7), (7, 6)} & set(map(tuple, mined.quadruples[:, :2]))

    def test_all_centroids_equal_give_nothing(self) -> None:
        assert mine_analogies(np.ones((3, 4, 2))).quadruples.shape == (0, 4)

    def test_one_cluster_each_gives_nothing(self) -> None:
        assert len(mine_analogies(np.eye(3)[:, None, :])) == 0

    def test_differences_at_right_angles_are_no_analogies(self) -> None:
        along = [np.outer(np.arange(3), axis) + 0.3 for axis in np.eye(2)]
        assert len(mine_analogies(along)) == 0

    def test_two_points_a_class(self) -> None:
        assert_as_defined(normal([2, 2], 1))

    def test_a_common_offset_changes_nothing(self) -> None:
        classes = [np.random.default_rng(c).integers(-4, 5, (5, 3)) for c in range(3)]
        plain = mine_analogies(classes)
        moved = mine_analogies([np.float32(part + 1_000_000 * (c + 1)) for c, part in enumerate(classes)])
        np.testing.assert_array_equal(plain.quadruples, moved.quadruples)
        np.testing.assert_array_equal(plain.scores, moved.scores)

    def test_centroids_a_hair_apart_are_told_apart(self) -> None:
        classes = normal([6, 6, 6], 4)
        for part in classes:
            part[1] = part[0] + np.float32(1e-3) * part[2]
        assert_as_defined(classes)

    def test_nan_one_class_and_unlike_widths_are_refused(self) -> None:
        with pytest.raises(InputError, match="at least two classes"):
            mine_analogies(np.zeros((1, 3, 2)))
        with pytest.raises(InputError, match="class 1 hold NaN"):
            mine_analogies([np.zeros((2, 2)), np.array([[0, np.nan]])])
        with pytest.raises(InputError, match="class 1 have shape"):
            mine_analogies([np.zeros((2, 2)), np.zeros((2, 3))])
        with pytest.raises(InputError, match="no centroids"):
            mine_analogies([])
        with pytest.raises(InputError, match="scale the features down"):
            mine_analogies([np.array([[0.0], [1e30]])] * 2)


@needs_compiler
@settings(deadline=None, max_examples=10)
@given(sizes, st.integers(0, 2**32), st.integers(1, 30))
def test_blocks_of_classes_change_nothing(sizes: list[int], seed: int, block: int) -> None:
    classes = normal(sizes, 3, seed)
    one_block = mine_analogies(classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "BLOCK_VALUES", block)
        split = mine_analogies(classes)
    np.testing.assert_array_equal(one_block.quadruples, split.quadruples)
    np.testing.assert_array_equal(one_block.scores, split.scores)


def test_chunks_of_rows_change_nothing() -> None:
    table = pairs.PairTable(Centroids.of(normal([7, 4, 5], 3)))
    miner = EagerMiner(table, "cpu")
    one_chunk = miner.best_of(0)
    miner.chunk = 40
    chunked = miner.best_of(0)
    for name in vars(one_chunk):
        np.testing.assert_array_equal(getattr(one_chunk, name), getattr(chunked, name))


@needs_compiler
def test_the_number_of_threads_changes_nothing() -> None:
    classes = normal([9] * 5, 4)
    one, three = mine_analogies(classes, n_jobs=1), mine_analogies(classes, n_jobs=3)
    np.testing.assert_array_equal(one.quadruples, three.quadruples)
    np.testing.assert_array_equal(one.scores, three.scores)


def test_a_killed_mining_continues_to_the_same_result(
    miner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = normal([5] * 6, 3)
    kind = native.NativeMiner if miner == "native" else EagerMiner
    mined_rows: list[int] = []
    best_of = kind.best_of

    def fragile(self: native.NativeMiner | EagerMiner, row: int) -> pairs.Best:
        if row == 3 and 3 not in mined_rows:
            mined_rows.append(3)
            raise KeyboardInterrupt
        mined_rows.append(row)
        return best_of(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "best_of", fragile)
    with pytest.raises(KeyboardInterrupt):
        mine_analogies(classes, cache=tmp_path, n_jobs=1)
    finished = len(list(tmp_path.iterdir()))
    assert 1 <= finished <= 3
    mined_rows[:] = [3]
    resumed = mine_analogies(classes, cache=tmp_path, n_jobs=1)
    assert mined_rows[1:] == list(range(finished, 6))

    uninterrupted = mine_analogies(classes)
    np.testing.assert_array_equal(resumed.quadruples, uninterrupted.quadruples)
    np.testing.assert_array_equal(resumed.scores, uninterrupted.scores)


def test_a_finished_mining_is_read_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    classes = normal([4] * 3, 3)
    first = mine_analogies(classes, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs.Best, "none", None)
        again = mine_analogies(classes, cache=tmp_path)
    np.testing.assert_array_equal(first.quadruples, again.quadruples)
    file.write_bytes(file.read_bytes()[:-9])
    np.testing.assert_array_equal(first.quadruples, mine_analogies(classes, cache=tmp_path).quadruples)
    assert mine_analogies([2 * part for part in classes], cache=tmp_path).quadruples.shape == first.quadruples.shape
    assert len(list(tmp_path.iterdir())) == 2


class TestTheCompiler:
    @pytest.fixture(autouse=True)
    def _fresh(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.found = native.compiler()
        for cached in (native.compiler, native.load_kernel):
            cached.cache_clear()
        yield
        for cached in (native.compiler, native.load_kernel):
            cached.cache_clear()

    @pytest.mark.parametrize("command", ["no-such-compiler", "false"])
    def test_without_one_that_works_torch_mines(self, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", command)
        assert native.load_kernel() is None
        assert_as_defined(normal([3, 3], 2))

    @needs_compiler
    def test_is_called_once_per_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert native.load_kernel() is not None
        (built,) = (tmp_path / "lowshot").iterdir()
        before = built.stat().st_mtime_ns
        native.load_kernel.cache_clear()
        assert native.load_kernel() is not None
        assert built.stat().st_mtime_ns == before

    @needs_compiler
    def test_is_enough_where_no_folder_can_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert native.load_kernel() is not None


def _dense(classes: list[np.ndarray]) -> np.ndarray:
    """Quadruples of two classes by one product of all unit differences; for centroids without ties."""
    units, ids, start = [], [], 0
    for part in classes:
        i, j = np.nonzero(~np.eye(len(part), dtype=bool))
        difference = part[i].astype(float) - part[j].astype(float)
        units.append(difference / (np.linalg.norm(difference, axis=1, keepdims=True) + 1e-5))
        ids.append(np.stack([i, j], 1) + start)
        start += len(part)
    cosines = units[0] @ units[1].T
    there = np.concatenate([ids[0], ids[1][cosines.argmax(axis=1)]], axis=1)
    back = np.concatenate([ids[1], ids[0][cosines.argmax(axis=0)]], axis=1)
    return np.concatenate([there, back])


def test_a_device_that_torch_does_not_know_is_an_input_error() -> None:
    with pytest.raises(InputError, match="device 'abacus' cannot be used here"):
        mine_analogies(normal([2, 2], 3), device="abacus")
