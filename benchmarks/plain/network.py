"""The original's residual networks as plain modules."""

from __future__ import annotations

import torch
from torch import nn

BLOCKS = {
    "ResNet10": (False, (1, 1, 1, 1)),
    "ResNet18": (False, (2, 2, 2, 2)),
    "ResNet34": (False, (3, 4, 6, 3)),
    "ResNet50": (True, (3, 4, 6, 3)),
    "ResNet101": (True, (3, 4, 23, 3)),
}


def conv(inputs: int, outputs: int, size: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=bias)


class Simple(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.C1, self.BN1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.C2, self.BN2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.project = inputs != outputs
        if self.project:
            self.shortcut, self.BNshortcut = conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.BN2(self.C2(torch.relu(self.BN1(self.C1(x)))))
        return torch.relu(out + (self.BNshortcut(self.shortcut(x)) if self.project else x))


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride and a bias) and 1×1 convolutions and a shortcut without normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.C1, self.BN1 = conv(inputs, inner, 1), nn.BatchNorm2d(inner)
        self.C2, self.BN2 = conv(inner, inner, 3, stride, bias=True), nn.BatchNorm2d(inner)
        self.C3, self.BN3 = conv(inner, outputs, 1), nn.BatchNorm2d(outputs)
        self.project = inputs != outputs
        if self.project:
            self.shortcut = conv(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(self.BN1(self.C1(x)))
        out = self.BN3(self.C3(torch.relu(self.BN2(self.C2(out)))))
        return torch.relu(out + (self.shortcut(x) if self.project else x))


class Network(nn.Module):
    """A residual network whose forward pass returns scores and features."""

    def __init__(self, name: str, num_classes: int) -> None:
        super().__init__()
        bottleneck, blocks = BLOCKS[name]
        widths = (256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512)
        layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for stage, (width, count) in enumerate(zip(widths, blocks)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append((Bottleneck if bottleneck else Simple)(inputs, width, stride))
                inputs = width
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(inputs, num_classes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, (2 / fan_out) ** 0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(x).flatten(1)
        return self.classifier(features), features
