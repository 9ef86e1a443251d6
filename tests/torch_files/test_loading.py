"""Torch files: what is saved loads again, and what is damaged or holds code is refused by name."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from lowshot.errors import InputError
from lowshot.torch_files import load_torch, save_torch
from tests.torch_files.bombs import Bomb


@pytest.mark.parametrize("container", ["torch", "pickle"])
def test_a_file_with_code_in_it_is_refused_and_nothing_runs(tmp_path: Path, container: str) -> None:
    canary, path = tmp_path / "ran", tmp_path / "bad.ckpt"
    if container == "torch":
        torch.save({"state": Bomb(canary)}, path)
    else:
        path.write_bytes(pickle.dumps({"state": Bomb(canary)}))
    with pytest.raises(InputError, match=r"bad\.ckpt was refused"):
        load_torch(path)
    assert not canary.exists()


def test_a_truncated_checkpoint_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    save_torch(path, {"state": torch.zeros(1000)})
    intact = path.read_bytes()
    assert torch.equal(load_torch(path)["state"], torch.zeros(1000))
    for size in (0, 1, 100, len(intact) // 2, len(intact) - 1):
        path.write_bytes(intact[:size])
        with pytest.raises(InputError, match=r"x\.ckpt"):
            load_torch(path)


def test_equal_values_give_equal_bytes_under_any_name(tmp_path: Path) -> None:
    for name in ("a.ckpt", "longer name.ckpt"):
        save_torch(tmp_path / name, {"state": torch.arange(5)})
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "longer name.ckpt").read_bytes()
