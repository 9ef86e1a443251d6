"""Arrays that processes share: the content that was given, whole or not at all."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.parallel.cache import held_bytes
from lowshot.parallel.shared_arrays import Scratch, SharedArrays, scratch_for, write_once

MATRIX = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)


def saved(values: np.ndarray, folder: Path) -> bytes:
    """The bytes of an array in a file that NumPy wrote."""
    np.save(folder / "expected.npy", values)
    return (folder / "expected.npy").read_bytes()


@pytest.mark.parametrize(
    "values", [MATRIX, np.arange(7), np.zeros((0, 3)), MATRIX[::2].T, np.array([True, False])], ids=repr
)
def test_an_array_has_the_bytes_that_numpy_saves(values: np.ndarray, tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path / "arrays")
    arrays.write("values", values)
    assert (arrays.folder / "values.npy").read_bytes() == saved(values, tmp_path)
    np.testing.assert_array_equal(arrays["values"], values, strict=True)


@settings(deadline=None, max_examples=25)  # files are synced to disk, which takes as long as it takes
@given(cuts=st.lists(st.integers(0, len(MATRIX)), max_size=5).map(sorted), dtype=st.sampled_from(["<f4", "<f8", ">f4"]))
def test_rows_in_blocks_are_the_rows_at_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    arrays = SharedArrays(folder / "arrays")
    arrays.write_rows("rows", MATRIX.shape, lambda: iter(np.split(MATRIX.astype(dtype), cuts)))
    assert (arrays.folder / "rows.npy").read_bytes() == saved(MATRIX, folder)


def test_one_block_of_rows_is_in_memory_at_a_time(tmp_path: Path) -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def blocks() -> Iterator[np.ndarray]:
        for start in range(len(MATRIX)):
            assert sum(block() is not None for block in made) <= 1
            block = MATRIX[start : start + 1].copy()
            made.append(weakref.ref(block))
            yield block

    SharedArrays(tmp_path).write_rows("rows", MATRIX.shape, blocks)
    assert len(made) == len(MATRIX)


def test_an_array_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path)
    arrays.write("values", MATRIX)
    arrays.write("values", MATRIX + 1)
    arrays.write_rows("values", MATRIX.shape, lambda: pytest.fail("the rows were read again"))
    np.testing.assert_array_equal(arrays["values"], MATRIX)


def test_arrays_are_mapped_and_read_only_here_and_in_other_processes(tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path)
    arrays.write("values", MATRIX)
    pickled = pickle.dumps(arrays)
    assert len(pickled) < 1000
    for found in (arrays, pickle.loads(pickled)):
        values = found["values"]
        assert type(values) is np.ndarray
        assert held_bytes(values) == 0
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_a_write_that_fails_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path)

    def dies() -> Iterator[np.ndarray]:
        yield MATRIX[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arrays.write_rows("rows", MATRIX.shape, dies)
    assert not list(tmp_path.iterdir())
    arrays.write_rows("rows", MATRIX.shape, lambda: [MATRIX])
    np.testing.assert_array_equal(arrays["rows"], MATRIX)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from lowshot.parallel.shared_arrays import SharedArrays

def blocks():
    yield np.ones((40000, 4))
    os.kill(os.getpid(), signal.SIGKILL)

SharedArrays(Path(sys.argv[1])).write_rows("rows", (80000, 4), blocks)
"""


def test_a_killed_write_leaves_no_array(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    process = subprocess.run([sys.executable, "-c", KILLED, str(scratch.folder)])
    assert process.returncode == -signal.SIGKILL
    assert scratch.folder.exists()
    assert not list(scratch.folder.glob("*.npy"))
    arrays = SharedArrays(scratch.folder)
    arrays.write_rows("rows", MATRIX.shape, lambda: [MATRIX])
    np.testing.assert_array_equal(arrays["rows"], MATRIX)
    scratch.remove()
    assert not list(tmp_path.iterdir())


def killed_with_an_array(file: Path | None, folders: list[Path]) -> None:
    """Write an array to the scratch of a file, add the folder to a list, and die."""
    with scratch_for(file) as scratch:
        SharedArrays(scratch.folder).write("values", MATRIX)
        folders.append(scratch.folder)
        raise KeyboardInterrupt


def test_scratch_beside_a_file_is_left_by_a_kill_and_removed_by_success(tmp_path: Path) -> None:
    folders: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        killed_with_an_array(tmp_path / "results.jsonl", folders)
    assert folders == [tmp_path / "results.scratch"]
    with scratch_for(tmp_path / "results.jsonl") as scratch:
        np.testing.assert_array_equal(SharedArrays(scratch.folder)["values"], MATRIX)
    assert not list(tmp_path.iterdir())


def test_scratch_without_a_file_is_always_removed() -> None:
    folders: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        killed_with_an_array(None, folders)
    with scratch_for(None) as scratch:
        SharedArrays(scratch.folder).write("values", MATRIX)
    assert scratch.folder not in folders
    assert not any(folder.exists() for folder in (*folders, scratch.folder))


def test_what_is_written_once_is_never_written_again(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_once(tmp_path / "folder" / "file", lambda temporary, text=text: temporary.write_text(text))  # type: ignore[misc]
    assert (tmp_path / "folder" / "file").read_text() == "first"
