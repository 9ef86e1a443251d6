"""Torch files that would run code are refused, with the reason, and nothing in them runs."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from lowshot.errors import InputError
from lowshot.torch_files import load_torch
from tests.torch_files.bombs import Bomb, Eval, Hidden
from tests.torch_files.old_formats import CONTAINERS


def test_the_bombs_go_off_in_an_unsafe_reader(tmp_path):
    for bomb in (Bomb, Eval, Hidden):
        pickle.loads(pickle.dumps(bomb(tmp_path / bomb.__name__)))
        assert (tmp_path / bomb.__name__).exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("container", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("bomb", [Bomb, Eval, Hidden])
def test_the_call_is_named_whatever_the_protocol(tmp_path, recwarn, bomb, container, protocol):
    marker, path = tmp_path / "ran", tmp_path / "bad.tar"
    # The bomb comes second, after its equal: later protocols look names up by what they have seen before.
    value = {"epoch": 3, "state": OrderedDict(a=torch.ones(2)), "b": [bomb(marker), bomb(marker)]}
    if container == "pickle":
        path.write_bytes(pickle.dumps({**value, "state": None}, protocol))
    else:
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=container == "zip")
    called = "builtins.eval" if bomb is Eval else "(io|_io).open"
    if protocol < 3:
        called = called.replace("builtins", "__builtin__")
    with pytest.raises(InputError, match=f"it calls for '{called}'"):
        load_torch(path)
    assert [file.name for file in tmp_path.iterdir()] == ["bad.tar"]
    assert not recwarn.list


@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_plain_tensors_are_read_from_protocol_2_on_and_others_are_refused(tmp_path, recwarn, container):
    path = tmp_path / "plain.tar"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        value = {"a": torch.ones(2)}
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=container == "zip")
        if protocol >= 2:
            assert torch.equal(load_torch(path)["a"], value["a"])
        else:
            with pytest.raises(InputError, match="was refused"):
                load_torch(path)
    assert not recwarn.list


@pytest.mark.parametrize("called", ["os.system", "builtins.getattr", "torch.load", "numpy.load", "runpy._run_code"])
def test_no_function_but_those_of_plain_data_can_be_called(tmp_path, called):
    module, _, name = called.rpartition(".")
    content = b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\nX\x01\x00\x00\x00a\x85R."
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.tar"):
        load_torch(tmp_path / "bad.tar")


@pytest.mark.parametrize("container", CONTAINERS)
def test_damaged_bytes_give_an_answer_or_an_input_error(tmp_path, container):
    torch.manual_seed(0)
    state = torch.nn.LSTM(1, 1, bidirectional=True).state_dict()
    buffer = io.BytesIO()
    content = {"epoch": np.int64(3), "state": state, "c": np.ones(3), "list": [1, (2.0, "x")]}
    torch.save(content, buffer, _use_new_zipfile_serialization=container == "zip")
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(buffer.getvalue())
        for place in rng.integers(0, min(len(damaged), 1500), 3):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "x.tar").write_bytes(damaged)
        try:
            load_torch(tmp_path / "x.tar")
        except InputError as error:
            assert "x.tar" in str(error)  # noqa: PT017
