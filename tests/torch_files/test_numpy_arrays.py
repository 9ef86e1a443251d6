from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowshot.errors import InputError
from lowshot.torch_files import load_torch
from tests.torch_files.old_formats import save

kinds = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
)
numbers = arrays.arrays(kinds, arrays.array_shapes(min_dims=0, min_side=0, max_side=4))


@settings(max_examples=60, deadline=None)
@given(numbers, st.booleans(), st.booleans())
def test_arrays_of_numbers_are_read_as_they_were(tmp_path_factory, array, by_columns, new):
    path = tmp_path_factory.mktemp("numpy") / "x.tar"
    array = np.asfortranarray(array) if by_columns else array
    scalars = [array.flat[0]] if array.size else []
    torch.save({"a": array, "again": [array, (array,)], "scalars": scalars}, path, _use_new_zipfile_serialization=new)
    found = load_torch(path)
    for copy in (found["a"], found["again"][0], found["again"][1][0]):
        assert copy.dtype == array.dtype
        np.testing.assert_array_equal(copy, array)
        assert copy.flags.writeable
    np.testing.assert_array_equal(found["scalars"], scalars)
    assert all(type(value) in (bool, int, float) for value in found["scalars"])


@pytest.mark.parametrize("n", [2, 200])
def test_arrays_that_python_2_wrote_are_read(tmp_path, n):
    array = np.random.default_rng(0).random((n, 3))
    path = save(tmp_path / "x.tar", {"a": array, "n": np.int64(n), "t": torch.ones(2)}, "python 2")
    with pytest.raises((UnicodeDecodeError, pickle.UnpicklingError)):
        torch.load(path, weights_only=True)
    found = load_torch(path)
    np.testing.assert_array_equal(found["a"], array)
    assert (found["n"], found["t"].tolist()) == (n, [1, 1])


@pytest.mark.parametrize(
    "array",
    [
        np.array([None], dtype=object),
        np.array(["text"]),
        np.array([b"text"]),
        np.zeros(1, dtype=[("x", "f4")]),
        np.zeros(1, dtype="M8[s]"),
        np.zeros(1, dtype="V3"),
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_arrays_of_anything_else_are_refused(tmp_path, array, new):
    torch.save({"a": array}, tmp_path / "x.tar", _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"x\.tar .*more than numbers"):
        load_torch(tmp_path / "x.tar")
