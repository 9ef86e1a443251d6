"""Start with the classes that a network was trained on, whose classifier weights are their class means."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from lowshot.errors import InputError
from lowshot.recogniser.base_bias import from_head, mean_after_relu
from lowshot.recogniser.start import DEFAULT_BACKBONE, BaseClasses, Start

_NORMALISATIONS = (nn.BatchNorm2d, nn.LayerNorm)
_RESIDUAL = ("Bottleneck", "BasicBlock")


def imagenet_start(backbone: str | None = None) -> Start:
    """A pretrained network with its own classes as base classes (Qi et al. 2018, arXiv 1712.07136).

    Args:
        backbone (str, optional): The registered name; ``efficientnet_lite0`` unless another is given.

    Raises:
        InputError: The weights come without a classifier or without the names of its classes, or the mean feature of
            the training images does not follow from the network's last normalisation.
    """
    from lowshot import representation

    name = backbone or DEFAULT_BACKBONE
    found = representation.load_pretrained(name)
    head = found.head
    if head is None or head.class_names is None:
        raise InputError(
            f"the published weights of {name!r} have no classes with names: take {DEFAULT_BACKBONE}, or a network that "
            "was trained on ImageNet-1k"
        )
    centre = mean_feature(found.backbone.trunk, found.backbone.feature_dim)
    if centre is None:
        raise InputError(
            f"the mean feature of {name!r} over ImageNet does not follow from its weights, since its features come "
            f"neither from a batch normalisation with a ReLU nor from a layer normalisation: take {DEFAULT_BACKBONE}"
        )
    classifier = from_head(head.weight, np.arange(len(head.weight)), centre)
    base = BaseClasses("imagenet", head.class_names, classifier)
    return Start(name, {}, found.backbone, found.preprocessing.transforms(), base=base)


def mean_feature(trunk: nn.Module, dim: int) -> np.ndarray | None:
    """The mean feature over the images that a network was trained on, from its last normalisation.

    Args:
        trunk (Module): The network.
        dim (int): D, the width of its features.

    Returns:
        (D,) float64; None where features are made otherwise, as sums of several branches.
    """
    leaves = [module for module in trunk.modules() if isinstance(module, _NORMALISATIONS) or not any(module.children())]
    last = max((i for i, module in enumerate(leaves) if isinstance(module, _NORMALISATIONS)), default=None)
    if last is None:
        return None
    norm: Any = leaves[last]
    following = leaves[last + 1 :]
    weight, bias = norm.weight, norm.bias
    if weight is None or bias is None or weight.numel() != dim:
        return None
    factors, offsets = (part.detach().double().cpu().numpy() for part in (weight, bias))
    if isinstance(norm, nn.LayerNorm):
        return offsets
    # A batch normalisation at the end of a residual branch is followed by a sum, which no module shows.
    relu = next((module for module in following if isinstance(module, nn.ReLU | nn.ReLU6)), None)
    if relu is None or any(type(module).__name__ in _RESIDUAL for module in trunk.modules()):
        return None
    return mean_after_relu(factors, offsets, 6.0 if isinstance(relu, nn.ReLU6) else None)
