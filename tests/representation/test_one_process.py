"""A training in one process and float32 goes without Lightning Fabric and without torch's compiler."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from lowshot.representation import launch
from lowshot.representation.sgd import SGD
from tests.representation.tiny import train, weights


def log(run: Path) -> list[dict[str, Any]]:
    """The log of a run without its times."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: record[key] for key in record.keys() - {"seconds", "images_per_second"}} for record in records]


def test_it_ends_as_a_training_with_fabric_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = weights(train(tmp_path / "without"))
    used = []

    def fabric(device: str) -> Fabric:
        used.append(device)
        return Fabric(accelerator=device, devices=1, precision="32-true")

    monkeypatch.setattr(launch, "OneProcess", fabric)
    with_fabric = weights(train(tmp_path / "with"))
    assert used
    assert without.keys() == with_fabric.keys()
    assert all(torch.equal(value, with_fabric[name]) for name, value in without.items())
    assert log(tmp_path / "without") == log(tmp_path / "with")


@pytest.mark.parametrize("dampening", [0.0, 0.9])
def test_the_optimizer_is_torchs_and_takes_up_its_state(dampening: float) -> None:
    torch.manual_seed(0)
    start = nn.Linear(5, 3)
    ends = []
    for kinds in ((torch.optim.SGD, torch.optim.SGD), (SGD, SGD), (torch.optim.SGD, SGD), (SGD, torch.optim.SGD)):
        module, state = copy.deepcopy(start), None
        rng = torch.Generator().manual_seed(1)
        for kind in kinds:
            optimizer = kind(module.parameters(), 0.1, 0.9, dampening, 1e-2, foreach=True)
            if state is not None:
                optimizer.load_state_dict(state)
            for _ in range(3):
                optimizer.zero_grad()
                module(torch.rand(4, 5, generator=rng)).square().sum().backward()
                optimizer.step()
            state = copy.deepcopy(optimizer.state_dict())
        ends.append([*module.parameters(), *(part["momentum_buffer"] for part in state["state"].values())])
    for other in ends[1:]:
        assert all(torch.equal(value, expected) for value, expected in zip(other, ends[0], strict=True))
