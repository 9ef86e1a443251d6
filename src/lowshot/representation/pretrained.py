"""Networks with weights that somebody else trained, and the preprocessing that belongs to them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError
from lowshot.registry import BACKBONES
from lowshot.representation.backbones import Backbone, Head, build_backbone
from lowshot.representation.backbones.base import is_sketch
from lowshot.representation.weights import load_state, read_weights


@dataclass(frozen=True)
class Pretrained:
    """A pretrained network, and all that is needed to use it.

    Attributes:
        backbone (Backbone): The network in evaluation mode, on the CPU. Its classifier for classes of one's own is not
            trained.
        preprocessing (Preprocessing): The preprocessing that its weights expect. Where nobody states one, as for a file
            of weights of a ``resnet10``, it is the usual one of ImageNet, 224 of 256 pixels.
        source (str): ``"package"`` for weights that are installed with lowshot, ``"hub"`` for those that timm or
            torchvision publish, or the file.
        head (Head or None): The classifier that the weights were published with, where there is one.
    """

    backbone: Backbone
    preprocessing: Preprocessing
    source: str
    head: Head | None = None


def load_pretrained(name: str, pretrained: bool | str | os.PathLike[str] = True, **options: Any) -> Pretrained:
    """Load a network with its published weights, or with those in a file.

    Args:
        name (str): ``efficientnet_lite0``, whose weights are installed with lowshot; ``timm:NAME`` or
            ``torchvision:NAME``, whose weights are looked for in the cache of these libraries and fetched if they are
            not there; or, with a file, any other backbone.
        pretrained (bool, str or path): True for the published weights; or a file of safetensors or torch, from which
            nothing is run.
        options (dict): The options of the backbone, such as ``img_size`` for timm.

    Raises:
        InputError: The name or an option is unknown, the backbone has no published weights, or a file cannot be read or
            is of another architecture.
        LowshotError: The weights are not in the cache and could not be fetched; the message says where to put them.

    Example:
        >>> found = load_pretrained("efficientnet_lite0")
        >>> found.backbone.feature_dim, found.preprocessing.size, found.head.class_names[0]
        (1280, (224, 224), 'tench')
    """
    backbone = build_pretrained(name, 1, pretrained, **options).eval()
    preprocessing = backbone.preprocessing or Preprocessing.square(224, resize=256)
    assert backbone.source is not None
    return Pretrained(backbone, preprocessing, backbone.source, backbone.head)


def build_pretrained(
    name: str, num_classes: int, pretrained: bool | str | os.PathLike[str] = True, **options: Any
) -> Backbone:
    """Build a backbone whose trunk has pretrained weights, and whose classifier is drawn at random.

    Args:
        name (str): The name of the backbone.
        num_classes (int): The number of columns of the scores.
        pretrained (bool, str or path): As for :func:`load_pretrained`.
        options (dict): The options of the backbone.

    Raises:
        InputError: As for :func:`load_pretrained`.
        LowshotError: As for :func:`load_pretrained`.
    """
    given = pretrained if isinstance(pretrained, bool) else os.fspath(pretrained)
    if not given:
        raise InputError(f"pretrained={pretrained!r}: expected True or a file of weights")
    if "pretrained" in BACKBONES.parameters(name):
        return build_backbone(name, num_classes, **{**options, "pretrained": given})
    if given is True:
        raise InputError(
            f"backbone {name!r} has no published weights: give a file (pretrained: FILE), train it, or take one that "
            "has: efficientnet_lite0, timm:NAME or torchvision:NAME"
        )
    backbone = build_backbone(name, num_classes, **options)
    if is_sketch():
        return backbone
    load_state(backbone.trunk, _without_classifier(read_weights(given)), f"weights {given}", name)
    backbone.source = str(given)
    return backbone


def published_preprocessing(
    name: str, pretrained: bool | str | os.PathLike[str] = True, **options: Any
) -> Preprocessing | None:
    """Find the preprocessing that pretrained weights expect, without loading or fetching them.

    Args:
        name (str): The name of the backbone.
        pretrained (bool, str or path): As for :func:`load_pretrained`.
        options (dict): The options of the backbone.

    Returns:
        The preprocessing, or None where the backbone states none.

    Raises:
        InputError: The name or an option is unknown, or the backbone has no published weights.
    """
    with torch.device("meta"):
        return build_pretrained(name, 1, pretrained, **options).preprocessing


def _without_classifier(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("classifier.")}
