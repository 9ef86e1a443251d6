"""The ResNets of arXiv 1606.02819 written out from their description: parameter shapes, and the forward pass on a
plain dictionary of weights, without a single module."""

from __future__ import annotations

import torch
import torch.nn.functional as F

# name: (bottleneck?, blocks per stage, stage widths)
NETWORKS = {
    "ResNet10": (False, (1, 1, 1, 1), (64, 128, 256, 512)),
    "ResNet18": (False, (2, 2, 2, 2), (64, 128, 256, 512)),
    "ResNet34": (False, (3, 4, 6, 3), (64, 128, 256, 512)),
    "ResNet50": (True, (3, 4, 6, 3), (256, 512, 1024, 2048)),
    "ResNet101": (True, (3, 4, 23, 3), (256, 512, 1024, 2048)),
}

# Learned numbers with 1000 classes. ResNet18 and 34 are torchvision's without the 1000 classifier biases; ResNet50
# and 101 also lack the batch norms of four shortcuts (7680) and have a bias in each 3×3 convolution (3776 and 8128).
# ResNet10 is ResNet18 without four blocks of 18 w² + 4 w numbers.
PARAMETERS_AT_1000_CLASSES = {
    "ResNet10": 11_689_512 - 1000 - sum(18 * w * w + 4 * w for w in (64, 128, 256, 512)),
    "ResNet18": 11_689_512 - 1000,
    "ResNet34": 21_797_672 - 1000,
    "ResNet50": 25_557_032 - 1000 - 7680 + 3776,
    "ResNet101": 44_549_160 - 1000 - 7680 + 8128,
}


def blocks(name: str):
    """(index in the trunk, width in, width out, stride) of each block."""
    _, depths, widths = NETWORKS[name]
    index, width_in = 4, 64
    for stage in range(4):
        for block in range(depths[stage]):
            yield index, width_in, widths[stage], 2 if block == 0 and stage > 0 else 1
            index, width_in = index + 1, widths[stage]


def state_shapes(name: str, num_classes: int, stem_kernel: int = 7) -> dict[str, tuple[int, ...]]:
    """Every entry of the state dict and its shape."""
    shapes: dict[str, tuple[int, ...]] = {}

    def batch_norm(prefix: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{prefix}.{part}"] = (width,)
        shapes[f"{prefix}.num_batches_tracked"] = ()

    bottleneck = NETWORKS[name][0]
    shapes["trunk.0.weight"] = (64, 3, stem_kernel, stem_kernel)
    batch_norm("trunk.1", 64)
    for index, a, b, _ in blocks(name):
        at = f"trunk.{index}"
        if bottleneck:
            q = b // 4
            shapes[f"{at}.C1.weight"] = (q, a, 1, 1)
            batch_norm(f"{at}.BN1", q)
            shapes[f"{at}.C2.weight"] = (q, q, 3, 3)
            shapes[f"{at}.C2.bias"] = (q,)
            batch_norm(f"{at}.BN2", q)
            shapes[f"{at}.C3.weight"] = (b, q, 1, 1)
            batch_norm(f"{at}.BN3", b)
        else:
            shapes[f"{at}.C1.weight"] = (b, a, 3, 3)
            batch_norm(f"{at}.BN1", b)
            shapes[f"{at}.C2.weight"] = (b, b, 3, 3)
            batch_norm(f"{at}.BN2", b)
        if a != b:
            shapes[f"{at}.shortcut.weight"] = (b, a, 1, 1)
            if not bottleneck:
                batch_norm(f"{at}.BNshortcut", b)
    shapes["classifier.weight"] = (num_classes, NETWORKS[name][2][-1])
    return shapes


def forward(name: str, w: dict[str, torch.Tensor], x: torch.Tensor, small_stem_stride: int | None = None):
    """(scores, features) in evaluation mode; the stem is ImageNet's unless a stride for the small one is given."""

    def bn(prefix: str, y: torch.Tensor) -> torch.Tensor:
        mean, var = w[f"{prefix}.running_mean"], w[f"{prefix}.running_var"]
        weight, bias = w[f"{prefix}.weight"], w[f"{prefix}.bias"]
        column = (slice(None), None, None)
        return (y - mean[column]) / (var[column] + 1e-5).sqrt() * weight[column] + bias[column]

    bottleneck = NETWORKS[name][0]
    if small_stem_stride is None:
        x = F.conv2d(x, w["trunk.0.weight"], stride=2, padding=3)
        x = F.max_pool2d(bn("trunk.1", x).clamp(min=0), 3, 2, padding=1)
    else:
        x = F.conv2d(x, w["trunk.0.weight"], stride=small_stem_stride, padding=1)
        x = bn("trunk.1", x).clamp(min=0)
    for index, a, b, stride in blocks(name):
        at = f"trunk.{index}"
        if bottleneck:
            y = bn(f"{at}.BN1", F.conv2d(x, w[f"{at}.C1.weight"])).clamp(min=0)
            y = F.conv2d(y, w[f"{at}.C2.weight"], w[f"{at}.C2.bias"], stride=stride, padding=1)
            y = bn(f"{at}.BN2", y).clamp(min=0)
            y = bn(f"{at}.BN3", F.conv2d(y, w[f"{at}.C3.weight"]))
        else:
            y = bn(f"{at}.BN1", F.conv2d(x, w[f"{at}.C1.weight"], stride=stride, padding=1)).clamp(min=0)
            y = bn(f"{at}.BN2", F.conv2d(y, w[f"{at}.C2.weight"], padding=1))
        if a != b:
            x = F.conv2d(x, w[f"{at}.shortcut.weight"], stride=stride)
            if not bottleneck:
                x = bn(f"{at}.BNshortcut", x)
        x = (x + y).clamp(min=0)
    features = x.flatten(2).sum(dim=2) / (x.shape[2] * x.shape[3])
    return features @ w["classifier.weight"].T, features
