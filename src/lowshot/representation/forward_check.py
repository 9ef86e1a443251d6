"""A forward pass before any work: whether a backbone takes the images of a recipe and returns features of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from PIL import Image
from torch import Tensor

from lowshot.data.transforms import Transforms
from lowshot.errors import InputError, LowshotError
from lowshot.representation.backbones import Backbone, build_backbone, without_weight_sources

_SIZES = (32, 64, 96, 112, 128, 160, 192, 224, 240, 256, 288, 299, 320, 384, 448, 512, 518)
"""Sizes of images to look for one that a backbone takes, in pixels."""


def check_backbone(name: str, options: dict[str, object], transforms: Transforms) -> None:
    """Build a backbone without its weights, and pass an image of each size of the transforms through it.

    Nothing is fetched: the source of weights is left out.

    Args:
        name (str): The name of the backbone.
        options (dict): Its options.
        transforms (Transforms): The transforms of the images.

    Raises:
        InputError: The name or an option is unknown, the backbone does not take such images, or it returns something
            else than features. The message names a size that it takes, if there is any.
    """
    architecture = without_weight_sources(options)
    with torch.device("meta"):
        sketch = build_backbone(name, 2, **architecture)
    sizes = sorted(_sizes(transforms))
    if any(_mistake(sketch, size) for size in sizes):
        # A few networks compute with numbers that a tensor without memory does not have.
        check_forward(build_backbone(name, 2, **architecture), sizes, sketch)


def check_forward(backbone: Backbone, sizes: Iterable[tuple[int, int]], sketch: Backbone | None = None) -> None:
    """Pass an image of each size through a backbone.

    Args:
        backbone (Backbone): The backbone.
        sizes (iterable of two int): The heights and widths in pixels.
        sketch (Backbone, optional): The same architecture on device "meta", to look for a size that it takes.

    Raises:
        InputError: As :func:`check_backbone`.
    """
    for height, width in sizes:
        if (mistake := _mistake(backbone, (height, width))) is None:
            continue
        fitting = [] if sketch is None else [size for size in _SIZES if _mistake(sketch, (size, size)) is None]
        nearest = min(fitting, key=lambda size: abs(size - height), default=None)
        advice = "no other size helps" if nearest is None else f"set data.transform.image_size={nearest}"
        raise InputError(
            f"backbone {backbone.config['name']!r} with options {backbone.config['kwargs']} cannot make features of "
            f"colour images of {height} × {width} pixels: {mistake}" + ("" if sketch is None else f"; {advice}")
        )


def image_sizes(transforms: Transforms) -> list[tuple[int, int]]:
    """The heights and widths that training and test images have after their transforms."""
    return sorted(_sizes(transforms))


def _sizes(transforms: Transforms) -> set[tuple[int, int]]:
    blank = Image.new("RGB", (256, 256))
    with torch.random.fork_rng(devices=[]):
        shapes = [tuple(transform(blank).shape) for transform in (transforms.train, transforms.eval)]
    return {(height, width) for _, height, width in shapes}


def _mistake(backbone: Backbone, size: tuple[int, int]) -> str | None:
    """Why an image of a size cannot be turned into features, or None."""
    device = backbone.classifier.weight.device
    mode = backbone.training
    try:
        with torch.no_grad():
            backbone.eval()
            return _wrong_output(backbone, backbone.trunk(torch.zeros(1, 3, *size, device=device)))
    except LowshotError:
        raise
    except Exception as error:  # a network that does not take the image may fail anywhere and in any way
        return " ".join(str(error).split())[:200] or type(error).__name__
    finally:
        backbone.train(mode)


def _wrong_output(backbone: Backbone, features: object) -> str | None:
    if not isinstance(features, Tensor):
        return f"it returns a {type(features).__name__} and no tensor (leave out options such as features_only)"
    if features.ndim not in (2, 4) or features.shape[1] != backbone.feature_dim:
        return f"it returns {tuple(features.shape)}, expected are {backbone.feature_dim} features"
    return None
