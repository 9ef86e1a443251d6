"""Backbones: a file a family, each registered in ``BACKBONES`` as a function that returns a :class:`Backbone`."""

from __future__ import annotations

from typing import Any

from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone

__all__ = ["Backbone", "build_backbone"]

# Options for the source of the first weights. They are left out of the config, since a rebuilt backbone loads its own.
_WEIGHT_SOURCES = ("pretrained", "weights")


def build_backbone(name: str, num_classes: int, **kwargs: Any) -> Backbone:
    """Build a backbone by its registered name.

    Args:
        name (str): ``resnet10`` … ``resnet101``, ``timm:NAME`` or ``torchvision:NAME``; case does not matter before the
            colon.
        num_classes (int): The number C of all classes of the data set, base and novel.
        kwargs (dict): The options of that backbone, such as ``stem="small"``.

    Returns:
        A module whose forward returns scores (N, C) and features (N, D).

    Raises:
        InputError: The name or an option is unknown; the message lists the nearest.

    Example:
        >>> import torch
        >>> model = build_backbone("resnet10", num_classes=100, stem="small")
        >>> scores, features = model(torch.zeros(2, 3, 32, 32))
        >>> scores.shape, features.shape
        (torch.Size([2, 100]), torch.Size([2, 512]))
    """
    backbone: Backbone = BACKBONES.build(name, num_classes=num_classes, **kwargs)
    _, colon, argument = name.partition(":")
    architecture = {key: value for key, value in kwargs.items() if key not in _WEIGHT_SOURCES}
    full_name = BACKBONES.entry(name).name + colon + argument
    backbone.config = {"name": full_name, "num_classes": num_classes, "kwargs": architecture}
    return backbone
