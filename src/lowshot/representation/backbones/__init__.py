"""Backbones: a file a family, each registered in ``BACKBONES`` as a function that returns a :class:`Backbone`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lowshot.registry import BACKBONES, OBJECTIVES
from lowshot.representation.backbones.base import Backbone, Head, without_weight_sources

__all__ = ["Backbone", "Head", "architecture", "attach_head", "build_backbone", "without_weight_sources"]


def build_backbone(name: str, num_classes: int, **kwargs: Any) -> Backbone:
    """Build a backbone by its registered name.

    Args:
        name (str): ``resnet10`` … ``resnet101``, ``timm:NAME`` or ``torchvision:NAME``; case does not matter before the
            colon.
        num_classes (int): The number C of all classes of the data set, base and novel.
        kwargs: The options of that backbone, such as ``stem="small"``.

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
    # A rebuilt backbone loads its own weights.
    backbone.config = {
        "name": _full_name(name),
        "num_classes": num_classes,
        "kwargs": {**backbone.config.get("kwargs", {}), **without_weight_sources(kwargs)},
    }
    return backbone


def attach_head(backbone: Backbone, objectives: Sequence[Mapping[str, Mapping[str, Any]]]) -> Backbone:
    """Replace the classifier of a network by the head of its objectives, if one of them has one.

    Args:
        backbone (Backbone): The network, whose ``config`` notes the head.
        objectives (sequence of mapping): The objectives as a recipe has them: each a mapping from its name to its
            parameters.

    Returns:
        The same network.

    Raises:
        InputError: An objective cannot be built.
    """
    for name, params in (item for one in objectives for item in one.items()):
        head = OBJECTIVES.build(name, **params).make_head(backbone.feature_dim, backbone.num_classes)
        if head is not None:
            backbone.classifier = head
            known = OBJECTIVES.parameters(name).items()
            defaults = {key: one.default for key, one in known if one.default is not one.empty}
            backbone.config["head"] = {OBJECTIVES.entry(name).name: {**defaults, **params}}
    return backbone


def architecture(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the architecture of a backbone, the same for every way to write it.

    Args:
        name (str): The name, as :func:`build_backbone` takes it.
        options (mapping): The options; those for the source of weights and those with their default values do not
            matter.

    Returns:
        ``backbone``, the full name, and ``backbone_options``, with the defaults that the backbone's function names.
    """
    named = inspect.signature(BACKBONES.get(name)).parameters.items()
    defaults = {key: one.default for key, one in named if one.default is not one.empty}
    return {"backbone": _full_name(name), "backbone_options": without_weight_sources({**defaults, **options})}


def _full_name(name: str) -> str:
    _, colon, argument = name.partition(":")
    return BACKBONES.entry(name).name + colon + argument
