"""ResNet10, 18, 34, 50 and 101 as Hariharan & Girshick (arXiv 1606.02819) trained them.

They differ from the usual ones (He et al., arXiv 1512.03385) in a few details that published weights depend on: the
bottleneck has its stride and a bias in the 3×3 convolution, its projection shortcut has no batch norm, the classifier
has no bias, and there is a ResNet10 with one block per stage.

With either stem, parameter names are ``trunk.0`` for the first convolution, ``trunk.1`` for its batch norm, then an
index per block from ``trunk.4`` on (``trunk.4.C1.weight``), and ``classifier.weight``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.checks import check_choice
from lowshot.errors import InputError
from lowshot.papers import HARIHARAN_2017
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone
from lowshot.representation.backbones.conv import Conv3x3

Stem = Literal["imagenet", "small"]


class SimpleBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, which is projected by a 1×1 convolution with batch norm if widths differ."""

    stage_widths = (64, 128, 256, 512)

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.C1 = Conv3x3(width_in, width, stride)
        self.BN1 = nn.BatchNorm2d(width)
        self.C2 = Conv3x3(width, width)
        self.BN2 = nn.BatchNorm2d(width)
        self.projects = width_in != width
        if self.projects:
            self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False)
            self.BNshortcut = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.BN1(self.C1(x)), inplace=True)
        out = self.BN2(self.C2(out))
        out += self.BNshortcut(self.shortcut(x)) if self.projects else x
        return F.relu(out, inplace=True)


class BottleneckBlock(nn.Module):
    """1×1, 3×3 and 1×1 convolutions with a quarter of the width inside; the projection has no batch norm."""

    stage_widths = (256, 512, 1024, 2048)

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        inner = width // 4
        self.C1 = nn.Conv2d(width_in, inner, 1, bias=False)
        self.BN1 = nn.BatchNorm2d(inner)
        self.C2 = Conv3x3(inner, inner, stride, bias=True)
        self.BN2 = nn.BatchNorm2d(inner)
        self.C3 = nn.Conv2d(inner, width, 1, bias=False)
        self.BN3 = nn.BatchNorm2d(width)
        self.projects = width_in != width
        if self.projects:
            self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.BN1(self.C1(x)), inplace=True)
        out = F.relu(self.BN2(self.C2(out)), inplace=True)
        out = self.BN3(self.C3(out))
        out += self.shortcut(x) if self.projects else x
        return F.relu(out, inplace=True)


def _stem(stem: Stem, stem_stride: int) -> list[nn.Module]:
    """Four modules for either stem, so that blocks have the same index in the trunk and weights the same names."""
    check_choice("stem", stem, ("imagenet", "small"))
    check_choice("stem_stride", stem_stride, (1, 2))
    if stem == "imagenet" and stem_stride != 2:
        raise InputError("stem_stride belongs to stem 'small'; the stem 'imagenet' always has stride 2")
    kernel, pool = (7, nn.MaxPool2d(3, 2, padding=1)) if stem == "imagenet" else (3, nn.Identity())
    conv = nn.Conv2d(3, 64, kernel, stem_stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(64), nn.ReLU(inplace=True), pool]


def _init(trunk: nn.Module) -> None:
    """Draw convolution weights with standard deviation sqrt(2 / (k·k·out_channels)); batch norms are the identity."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _resnet(
    block: type[SimpleBlock] | type[BottleneckBlock],
    depths: tuple[int, int, int, int],
    num_classes: int,
    stem: Stem,
    stem_stride: int,
) -> Backbone:
    layers = _stem(stem, stem_stride)
    for stage, ((width_in, width), depth) in enumerate(zip(pairwise((64, *block.stage_widths)), depths)):
        layers.append(block(width_in, width, stride=1 if stage == 0 else 2))
        layers += [block(width, width, stride=1) for _ in range(depth - 1)]
    trunk = nn.Sequential(*layers)
    _init(trunk)
    return Backbone(trunk, block.stage_widths[-1], num_classes)


BIBTEX = """
@inproceedings{he2016deep,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title = {Deep Residual Learning for Image Recognition},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2016},
  eprint = {1512.03385},
  archivePrefix = {arXiv},
}
"""


@BACKBONES.register(
    "resnet10",
    "ResNet with one simple block a stage, 512-d features; the paper's small network",
    bibtex=BIBTEX + HARIHARAN_2017,
)
def resnet10(num_classes: int, stem: Stem = "imagenet", stem_stride: int = 2) -> Backbone:
    """Build a ResNet10.

    Args:
        num_classes (int): The number of columns of the scores.
        stem (str): ``"imagenet"`` for a 7×7 convolution of stride 2 and a 3×3 max-pool of stride 2, for images around
            224 pixels; ``"small"`` for a single 3×3 convolution without pooling, for images around 32 pixels.
        stem_stride (int): The stride of the ``"small"`` stem, 1 or 2. At 32×32 stride 2 trains about four times as fast
            as stride 1; the shipped recipes use it.

    Raises:
        InputError: An option is out of range.
    """
    return _resnet(SimpleBlock, (1, 1, 1, 1), num_classes, stem, stem_stride)


@BACKBONES.register("resnet18", "ResNet with two simple blocks a stage, 512-d features", bibtex=BIBTEX + HARIHARAN_2017)
def resnet18(num_classes: int, stem: Stem = "imagenet", stem_stride: int = 2) -> Backbone:
    """Build a ResNet18; parameters as in :func:`resnet10`."""
    return _resnet(SimpleBlock, (2, 2, 2, 2), num_classes, stem, stem_stride)


@BACKBONES.register(
    "resnet34", "ResNet with 3, 4, 6 and 3 simple blocks, 512-d features", bibtex=BIBTEX + HARIHARAN_2017
)
def resnet34(num_classes: int, stem: Stem = "imagenet", stem_stride: int = 2) -> Backbone:
    """Build a ResNet34; parameters as in :func:`resnet10`."""
    return _resnet(SimpleBlock, (3, 4, 6, 3), num_classes, stem, stem_stride)


@BACKBONES.register(
    "resnet50",
    "ResNet with 3, 4, 6 and 3 bottleneck blocks, 2048-d features; the paper's large network",
    bibtex=BIBTEX + HARIHARAN_2017,
)
def resnet50(num_classes: int, stem: Stem = "imagenet", stem_stride: int = 2) -> Backbone:
    """Build a ResNet50; parameters as in :func:`resnet10`."""
    return _resnet(BottleneckBlock, (3, 4, 6, 3), num_classes, stem, stem_stride)


@BACKBONES.register(
    "resnet101", "ResNet with 3, 4, 23 and 3 bottleneck blocks, 2048-d features", bibtex=BIBTEX + HARIHARAN_2017
)
def resnet101(num_classes: int, stem: Stem = "imagenet", stem_stride: int = 2) -> Backbone:
    """Build a ResNet101; parameters as in :func:`resnet10`."""
    return _resnet(BottleneckBlock, (3, 4, 23, 3), num_classes, stem, stem_stride)
