"""The light SGD is torch's, bit for bit, and imports none of torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lowshot.classifiers.sgd import SGD


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 1.0, "momentum": 0.9, "dampening": 0.9, "weight_decay": 1e-3},
        {"lr": 0.3, "momentum": 0.5, "dampening": 0.2},
    ],
)
def test_every_step_is_that_of_torchs_fused_sgd(settings: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=generator) for shape in ((7, 5), (3,), (1,), (130, 41))]
    theirs = [parameter.clone().requires_grad_() for parameter in ours]
    light, full = SGD(ours, **settings), torch.optim.SGD(theirs, fused=True, **settings)
    for step in range(6):
        for mine, its in zip(ours, theirs):
            mine.grad = torch.randn(mine.shape, generator=generator)
            its.grad = mine.grad.clone()
        if step == 3:
            light.lr = full.param_groups[0]["lr"] = settings["lr"] / 10
        light.step()
        full.step()
        assert all(torch.equal(mine, its.detach()) for mine, its in zip(ours, theirs))


def test_the_compiler_is_not_imported() -> None:
    code = """
import sys
import torch
from lowshot.classifiers.sgd import SGD
parameter = torch.ones(3, requires_grad=True)
optimizer = SGD([parameter], lr=0.1, momentum=0.9)
parameter.sum().backward()
optimizer.step()
print('torch._dynamo' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
