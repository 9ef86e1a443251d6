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


def test_equal_values_are_equal_bytes_wherever_their_parts_come_from(tmp_path: Path) -> None:
    value = {"name": "lr", "groups": [{"lr": 0.1, "params": [0]}, {"lr": 0.1, "params": [0]}], "also": ("lr", "x")}
    shared = [0]
    again = {"name": "".join(["l", "r"]), "groups": [{"lr": 0.1, "params": shared}] * 2, "also": ("lr", "x")}
    for name, one in (("a", value), ("b", again), ("c", load_torch_of(tmp_path, value))):
        save_torch(tmp_path / name, one)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def load_torch_of(folder: Path, value: object) -> object:
    save_torch(folder / "saved", value)
    return load_torch(folder / "saved")
