"""The file of the shots: rows are appended, joined, and read as they were written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.recogniser import shots as module
from lowshot.recogniser.shots import Shots, append_shots, read_shots, read_thumbnails


def some(n: int, seed: int = 0) -> Shots:
    rng = np.random.default_rng(seed)
    return Shots(
        rng.normal(size=(n, 3)).astype(np.float32),
        rng.integers(0, 5, n),
        [f"photo {seed} {i} ö.jpg" for i in range(n)],
        [f"{seed:032x}{i:032x}" for i in range(n)],
        rng.integers(0, 2**63, n, dtype=np.uint64),
        [bytes(rng.integers(0, 256, int(rng.integers(0, 9)), dtype=np.uint8)) for _ in range(n)],
    )


def check_equal(found: Shots, expected: Shots) -> None:
    for name in ("features", "labels", "looks"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    for name in ("names", "digests", "thumbnails"):
        assert getattr(found, name) == getattr(expected, name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=7),
    limit=st.sampled_from([0, 10**9]),
    joined_at=st.sampled_from([0.0, 0.5, 100.0]),
)
def test_appending_to_any_length_leaves_what_was_before(
    steps: list[tuple[int, int]], limit: int, joined_at: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A step goes back by some rows, as undoing does, and appends new ones; a list is the oracle."""
    folder = tmp_path_factory.mktemp("shots")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REWRITTEN_BYTES", limit)
        patch.setattr(module, "JOINED_AT", joined_at)
        expected = Shots.none(3)
        for number, (back, n) in enumerate(steps):
            expected = expected.take(np.arange(max(0, len(expected) - back)))
            new = some(n, number)
            append_shots(folder, len(expected), 3, new)
            expected = expected.joined(new)
            check_equal(read_shots(folder, len(expected), 3, thumbnails=True), expected)
            rows = list(range(len(expected)))[::-2]
            assert read_thumbnails(folder, rows) == [expected.thumbnails[row] for row in rows]


def test_erased_rows_hold_nothing(tmp_path: Path) -> None:
    append_shots(tmp_path, 0, 3, some(4))
    append_shots(tmp_path, 4, 3, some(1, 1), erased=[1, 2])
    found = read_shots(tmp_path, 5, 3, thumbnails=True)
    assert [found.names[row] for row in (1, 2)] == ["", ""]
    assert not found.features[[1, 2]].any()
    assert found.thumbnails[1] == b""
    check_equal(found.take([0, 3]), some(4).take([0, 3]))


@pytest.mark.parametrize("name", ["features", "labels", "names", "digests", "looks", "thumbnails", "thumbnail_ends"])
def test_a_missing_foreign_or_external_data_set_is_refused(tmp_path: Path, name: str) -> None:
    append_shots(tmp_path, 0, 3, some(4))
    path = tmp_path / "shots.h5"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros(4)
    whole = path.read_bytes()
    for change in ("missing", "link", "kind", "short"):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            del file[name]
            if change == "link":
                file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
            elif change == "kind":
                file[name] = np.zeros((4, 2, 2), np.complex64)
            elif change == "short":
                file[name] = some(3).features if name == "features" else np.zeros(3, np.uint64)
        with pytest.raises(InputError, match=r"shots\.h5") as caught:
            read_shots(tmp_path, 4, 3, thumbnails=True)
        assert str(caught.value).count("shots.h5") == 1


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    bad = some(4)
    bad.features[2, 1] = np.nan
    append_shots(tmp_path, 0, 3, bad)
    with pytest.raises(InputError, match="NaN"):
        read_shots(tmp_path, 4, 3)
