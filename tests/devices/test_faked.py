"""The faked GPU finds what a real one refuses, and its results are those of a CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.sgd import SGD
from tests.devices.faked import Faked


def on_gpu(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype, device="cuda")


def fused(value: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    value.grad = gradient
    return value


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: on_gpu(3) + torch.ones(3),
        lambda: on_gpu(2, 2) @ torch.ones(2, 2),
        lambda: on_gpu(2, 2) @ on_gpu(2, 2, dtype=torch.float64),
        lambda: on_gpu(2, 2, dtype=torch.int64) @ on_gpu(2, 2, dtype=torch.int64),
        lambda: on_gpu(3).index_select(0, torch.tensor([0])),
        lambda: torch.ones(3)[torch.tensor([0], device="cuda")],
        lambda: torch.stack([on_gpu(), torch.ones(())]),
        lambda: F.cross_entropy(on_gpu(2, 3), torch.tensor([0, 1])),
        lambda: F.cross_entropy(on_gpu(2, 3), on_gpu(2, dtype=torch.int32)),
        lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
        lambda: nn.Linear(3, 3)(on_gpu(2, 3)),
        lambda: nn.Linear(3, 3).to("cuda")(torch.ones(2, 3)),
        lambda: SGD([fused(on_gpu(2, 3), on_gpu(3, 2).T)], lr=1.0).step(),
        lambda: on_gpu(3).numpy(),
        lambda: np.asarray(on_gpu(3)),
    ],
)
def test_a_mistake_is_refused(mistake: Callable[[], object]) -> None:
    with Faked(), pytest.raises((RuntimeError, TypeError, IndexError)):
        mistake()
    with Faked(), torch.inference_mode(), pytest.raises((RuntimeError, TypeError, IndexError)):
        mistake()


@pytest.mark.parametrize("context", [contextlib.nullcontext, torch.inference_mode, torch.no_grad])
def test_branches_see_true_values(context: Any) -> None:
    with Faked(), context():
        x = torch.tensor([3.0, -1.0, 2.0], device="cuda")
        assert x.max().item() == 3.0
        assert bool((x > 0).any())
        assert torch.nonzero(x > 0).tolist() == [[0], [2]]
        assert x[x > 0].cpu().numpy().tolist() == [3.0, 2.0]
        assert x[torch.tensor([1])].tolist() == [-1.0]
        counts = torch.tensor([1, 0, 2], device="cuda")
        assert torch.repeat_interleave(x, counts).tolist() == [3.0, 2.0, 2.0]
        x[1:] += 1
        assert x.tolist() == [3.0, 0.0, 3.0]
        assert x.to("cpu").device.type == x.to("cuda").cpu().device.type == "cpu"
        assert x.to("cuda") is x
        moved = torch.ones(3).to("cuda")
        assert (moved @ x).item() == 6.0
        assert x[[0, 2]].tolist() == [3.0, 3.0]
        assert x.device == torch.device("cuda:0")


def test_work_on_the_cpu_or_in_double_precision_is_noticed() -> None:
    with Faked() as gpu:
        pass
    with pytest.raises(AssertionError, match="nothing"):
        gpu.check_work()
    with Faked() as gpu:
        _ = on_gpu(2, 2) @ on_gpu(2, 2), torch.ones(2, 2) @ torch.ones(2, 2)
    with pytest.raises(AssertionError, match="CPU instead"):
        gpu.check_work()
    with Faked() as gpu:
        _ = on_gpu(2, 2, dtype=torch.float64) @ on_gpu(2, 2, dtype=torch.float64)
    with pytest.raises(AssertionError, match="float64"):
        gpu.check_work()


def test_a_view_in_inference_mode_of_a_parameter_from_outside() -> None:
    with Faked():
        layer = nn.Linear(2, 3).to("cuda")
        with torch.inference_mode():
            found = F.linear(on_gpu(1, 1), layer.weight[:, :1]).tolist()
            assert found == [layer.weight[:, 0].tolist()]


def trained(device: str) -> list[np.ndarray]:
    """Weights and gradients of a small network after three steps in bfloat16, an LSTM and a batch norm among it."""
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    lstm, last = nn.LSTM(4, 4, bidirectional=True), nn.Linear(8, 3)
    network = nn.ModuleList([convolution, lstm, last])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, foreach=True)
    network.to(device).to(memory_format=torch.channels_last)
    images, labels = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 1, 0]).to(device)
    for _ in range(3):
        with torch.autocast(device, torch.bfloat16):
            features = convolution(images.to(device))
        loss = F.cross_entropy(last(lstm(features.float())[0]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [value.cpu().detach().numpy() for p in network.parameters() for value in (p, p.grad)]


def test_a_training_ends_as_it_does_on_a_cpu() -> None:
    expected = trained("cpu")
    with Faked() as gpu:
        found = trained("cuda")
    gpu.check_work()
    for a, b in zip(found, expected, strict=True):
        gpu.check_close(a, b, bfloat16=True)


def test_parameters_keep_their_identity_on_the_way_to_the_device() -> None:
    with Faked():
        layer = nn.Linear(2, 2)
        before = layer.weight
        layer.to("cuda")
        assert layer.weight is before
        assert before.device.type == "cuda"
