from __future__ import annotations

import pytest
import torch
from torch import nn

from lowshot.features.folding import fold_batch_norm
from lowshot.representation import build_backbone


class Small(nn.Module):
    """A convolution and a batch norm, combined in different ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=way == "bias"), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[None, torch.Tensor]:
        x = self.conv(x)
        features = {
            "plain": lambda: self.norm(x),
            "bias": lambda: self.norm(x),
            "second reader": lambda: self.norm(x) + x,
            "norm twice": lambda: self.norm(self.second(self.norm(x))),
            "between": lambda: self.norm(x.relu()),
        }[self.way]()
        return None, features


def trained(model: nn.Module) -> nn.Module:
    """With statistics, factors and shifts that are not those of a fresh batch norm."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_()
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 2)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", ["resnet10", "resnet50", "timm:resnet10t"])
def test_folded_backbones_have_the_same_features_and_no_batch_norms(name: str) -> None:
    options = {"stem": "small"} if name == "resnet10" else {}
    model = trained(build_backbone(name, 5, **options))
    images = torch.rand(2, 3, 32, 32)
    folded = fold_batch_norm(model, images)
    assert norms(folded) == 0
    assert norms(model) > 0
    with torch.no_grad():
        expected = model(images)[1]
        # Sums of large terms may cancel: their error is measured by the largest feature.
        torch.testing.assert_close(folded(images)[1], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("way", "left"), [("plain", 0), ("bias", 0), ("second reader", 1), ("norm twice", 1), ("between", 1)]
)
def test_only_what_can_be_folded_is(way: str, left: int) -> None:
    model, images = trained(Small(way)), torch.rand(2, 3, 8, 8)
    folded = fold_batch_norm(model, images)
    assert norms(folded) == left
    other = torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(folded(other)[1], model(other)[1], rtol=1e-4, atol=1e-4)
