"""Transforms from a decoded image to the input of a network: uint8 per image, then floats per batch.

A preset has two callables that turn a PIL image into a ``uint8`` tensor (one augments, one does not) and the statistics
for :class:`Normalize`, which runs on batches on the device: workers then send a quarter of the bytes that floats take.

A further preset is one new file: a function registered in ``PRESETS`` that returns :class:`Transforms`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn

from lowshot.checks import check_count
from lowshot.errors import InputError
from lowshot.registry import Registry

PRESETS = Registry("transform preset", "lowshot.transforms", "lowshot.data.presets")
"""The transform presets by name, such as ``"imagenet"`` and ``"small"``; each builds a :class:`Transforms`."""

_OF_TRAINING = frozenset({"scale", "jitter", "flip", "padding", "padding_mode"})
"""The parameters of presets that augment training images and leave others as they are."""

MOST_SIDE = 8192
"""The largest side of a transformed image in pixels: beyond any network, and 200 MB an image."""

ImageTransform = Callable[[Image.Image], torch.Tensor]
"""A function from an RGB image to (3, H, W) uint8, whose only source of chance is torch's default generator."""


class Normalize(nn.Module):
    """Normalise (N, 3, H, W) uint8 in 0..255 to floats of zero mean and unit standard deviation per channel.

    Args:
        mean (three float): The mean of each channel, on the 0..1 scale.
        std (three float): The standard deviation of each channel, on the 0..1 scale.

    Raises:
        InputError: These are not three numbers each, or a deviation is not positive.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise InputError(f"mean {list(mean)} and std {list(std)}: expected three numbers each, std above 0")
        deviation = torch.tensor(list(std), dtype=torch.float64)
        scale = (1 / (255 * deviation)).float().view(1, 3, 1, 1)
        shift = (-torch.tensor(list(mean), dtype=torch.float64) / deviation).float().view(1, 3, 1, 1)
        # Left out of checkpoints, because the recipe states them.
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the batch in the dtype of the module (float32 unless moved), in the memory format it came in."""
        return images.to(self.scale.dtype).mul_(self.scale).add_(self.shift)


@dataclasses.dataclass(frozen=True)
class Transforms:
    """The transforms of a preset.

    Attributes:
        train (callable): The augmenting transform of an image.
        eval (callable): The deterministic transform of an image.
        normalize (Module): The float part, for uint8 batches.
        description (dict): The preset and all its parameters, JSON-like; equal descriptions mean equal transforms.
    """

    train: ImageTransform
    eval: ImageTransform
    normalize: nn.Module
    description: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def preprocessing(self) -> str:
        """The description of what ``eval`` and ``normalize`` do, as JSON text, for the attributes of features files."""
        own = {key: value for key, value in self.description.items() if key not in _OF_TRAINING}
        return json.dumps(own, sort_keys=True)


def check_augmentation(scale: Sequence[float], jitter: float) -> None:
    """Check the areas of random crops and the strength of colour jitter.

    Raises:
        InputError: The areas are not two numbers above 0 and up to 1 in order, or the strength is negative.
    """
    if jitter < 0 or len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise InputError(
            f"jitter {jitter}, scale {list(scale)}: expected jitter ≥ 0 and areas 0 < smallest ≤ largest ≤ 1"
        )


def build_transforms(preset: str = "imagenet", **params: Any) -> Transforms:
    """Build the transforms of a preset.

    Args:
        preset (str): ``"imagenet"`` (random resized crop, colour jitter), ``"small"`` (padded crop at native size), or
            another name registered in ``PRESETS``.
        params (dict): The parameters of the preset: ``image_size``, ``mean``, ``std``, ``flip``, … One that is None
            takes the preset's default.

    Raises:
        InputError: The preset or a parameter is unknown, or a value is out of range.
    """
    given = {key: value for key, value in params.items() if value is not None}
    if "image_size" in given:
        check_count("image_size", given["image_size"], most=MOST_SIDE)
    transforms = PRESETS.build(preset, **given)
    call = inspect.signature(PRESETS.get(preset)).bind(**given)
    call.apply_defaults()
    settings = {
        key: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for key, value in call.arguments.items()
    }
    return dataclasses.replace(transforms, description={"preset": PRESETS.entry(preset).name, **settings})
