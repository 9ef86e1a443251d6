"""Pickles of every protocol from 2 on, in either of torch's formats or by themselves, are read as data."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.torch_files import load_torch
from lowshot.torch_files.protocols import translate_protocol

FORMATS = ("zip", "legacy", "plain")
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def save(path: Path, value: Any, form: str, protocol: int) -> Path:
    if form == "plain":
        path.write_bytes(pickle.dumps(value, protocol=protocol))
    else:
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form == "zip")
    return path


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, torch.Tensor | np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and bool((a == b).all())
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_checkpoint_is_read_in_every_protocol_and_format(tmp_path: Path, form: str, protocol: int) -> None:
    shared = torch.randn(3, 4)
    content = {
        "epoch": np.int64(7),
        "state": {"module.a": shared, "module.b": torch.arange(5), "module.again": shared},
        "array": np.random.default_rng(0).random((3, 2)),
        "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros(0),
        "history": [1, (2.0, "x"), None, True, -70_000, 10**30],
        "module.a": "a string that is a key as well",
        "long": "é" * 300,
    }
    found = load_torch(save(tmp_path / "x.tar", content, form, protocol))
    assert equal({**content, "epoch": 7}, found)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from(PROTOCOLS))
def test_translated_pickles_of_plain_values_are_of_protocol_2_and_mean_the_same(value: Any, protocol: int) -> None:
    """The same object twice in a value comes twice by reference, as dictionaries of a checkpoint often have it."""
    file = io.BytesIO(translate_protocol(pickle.dumps([value, value], protocol=protocol)))
    head = [pickle.load(file) for _ in range(3)]
    assert head[:2] == [0x1950A86A20F9469CFC6C, 1001]
    begin = file.tell()
    assert pickle.load(file) == [value, value]
    assert file.getvalue()[begin : begin + 2] == b"\x80\x02"
    assert pickle.load(file) == []


class Bomb:
    """Writes a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_refused_by_name_in_every_protocol_and_never_runs(tmp_path: Path, form: str, protocol: int) -> None:
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Bomb(marker), protocol))
    marker.unlink()
    path = save(tmp_path / "bad.tar", {"epoch": 3, "state": Bomb(marker)}, form, protocol)
    with pytest.raises(InputError, match=r"bad\.tar was refused: it calls for '\w*io\.open'"):
        load_torch(path)
    assert not marker.exists()


@pytest.mark.parametrize("names", [[b"torch\nx", b"load"], [b"torch", b""], [b"torch"]])
def test_a_name_that_would_smuggle_an_opcode_in_is_not_translated(tmp_path: Path, names: list[bytes]) -> None:
    pushed = b"".join(b"\x8c" + bytes([len(name)]) + name for name in names)
    content = b"\x80\x04" + pushed + b"\x93."
    with pytest.raises(ValueError, match="looks up a name"):
        translate_protocol(content)
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.tar"):
        load_torch(tmp_path / "bad.tar")


def test_archives_keep_their_other_entries(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tar", {"a": torch.ones(3)}, "zip", 4)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(io.BytesIO(translate_protocol(path.read_bytes()))) as after:
        assert before.namelist() == after.namelist()
        for name in before.namelist():
            assert (before.read(name) == after.read(name)) == (not name.endswith("data.pkl"))


@pytest.mark.parametrize("form", FORMATS)
def test_truncated_files_of_later_protocols_are_named_wherever_they_end(tmp_path: Path, form: str) -> None:
    path = save(tmp_path / "short.tar", {"epoch": 3, "state": {"a": torch.randn(40)}, "c": np.ones(3)}, form, 4)
    whole = path.read_bytes()
    for size in {0, 1, 2, 7, 30, *range(50, len(whole), 40), len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"short\.tar"):
            load_torch(path)
