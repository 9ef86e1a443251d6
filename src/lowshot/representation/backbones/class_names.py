"""The names of the classes that published classifiers tell apart."""

from __future__ import annotations


def imagenet_names() -> list[str]:
    """The names of the 1000 classes of ImageNet-1k, index = label, as torchvision has them."""
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
