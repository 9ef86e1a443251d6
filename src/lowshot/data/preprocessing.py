"""The preprocessing that belongs to pretrained weights: size, crop, interpolation and statistics of the images.

A network that was trained by somebody else expects images as that training made them. timm states this in its models'
``pretrained_cfg``, torchvision in ``weights.transforms()``. :class:`Preprocessing` holds either, and gives the same
pixels as the library's own transform of a PIL image, to the last of the 256 levels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from lowshot.checks import check_choice, check_count, check_number
from lowshot.data.pictures import RESAMPLING, as_pixels, cropped, scaled
from lowshot.data.transforms import MOST_SIDE, Normalize, Transforms, check_augmentation
from lowshot.errors import InputError, did_you_mean
from lowshot.parameters import keyword_parameters

CROP_MODES = ("center", "squash", "border")
INTERPOLATIONS = tuple(RESAMPLING)


@dataclass(frozen=True)
class Preprocessing:
    """The resizing, cropping and normalisation that turn an image into the input of a pretrained network.

    Attributes:
        size (two int): The height and width of the input in pixels.
        resize (two int): The height and width that the image is brought to before the crop; as ``crop_mode`` says.
        crop_mode (str): ``"center"`` scales the image, keeping its shape, until it just covers ``resize``, and takes
            the centre; ``"squash"`` gives it the very size ``resize``, then takes the centre; ``"border"`` scales it
            until it just fits into ``resize``, and fills the rest with the mean colour.
        interpolation (str): ``"bilinear"``, ``"bicubic"``, ``"nearest"``, ``"lanczos"``, ``"box"``, ``"hamming"`` or
            ``"nearest-exact"``, as Pillow computes it: antialiased when it makes an image smaller.
        mean (three float): The mean of each channel, on the 0..1 scale.
        std (three float): The standard deviation of each channel, on the 0..1 scale.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from PIL import Image
        >>> transforms = Preprocessing.square(224, resize=256, interpolation="bicubic").transforms()
        >>> transforms.eval(Image.new("RGB", (640, 480))).shape
        torch.Size([3, 224, 224])
    """

    size: tuple[int, int]
    resize: tuple[int, int]
    crop_mode: str = "center"
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        for name in ("size", "resize"):
            object.__setattr__(self, name, _sides(name, getattr(self, name)))
        for name, least in (("mean", {}), ("std", {"above": 0.0})):
            object.__setattr__(self, name, _channels(name, getattr(self, name), **least))
        check_choice("crop_mode", self.crop_mode, CROP_MODES)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)

    @classmethod
    def square(cls, image_size: int, resize: int | None = None, **others: Any) -> Preprocessing:
        """Make the preprocessing of a square input.

        Args:
            image_size (int): The side of the input in pixels.
            resize (int or None): The side before the crop; None takes ``image_size``, which crops nothing of a square.
            others (dict): The other attributes.
        """
        side = image_size if resize is None else resize
        return cls((image_size, image_size), (side, side), **others)

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Make the preprocessing that timm's ``create_transform`` makes of a data configuration.

        Args:
            config (mapping): The result of ``timm.data.resolve_model_data_config``.

        Raises:
            InputError: The network does not take colour images.
        """
        channels, *size = config["input_size"]
        if channels != 3:
            raise InputError(f"it takes images of {channels} channels, and lowshot's images have three")
        height, width = size
        return cls(
            (height, width),
            (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"])),
            crop_mode=config.get("crop_mode") or "center",
            interpolation=config["interpolation"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        )

    @classmethod
    def from_torchvision(cls, transform: Any) -> Preprocessing:
        """Make the preprocessing of torchvision's ``weights.transforms()`` for image classification."""
        (side,), (before,) = transform.crop_size, transform.resize_size
        statistics = {"mean": tuple(transform.mean), "std": tuple(transform.std)}
        return cls.square(side, before, interpolation=transform.interpolation.value, **statistics)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Make the preprocessing from what :meth:`as_dict` returned, of a file for example.

        Raises:
            InputError: A key is unknown or missing, or a value is of another type or out of range.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"a preprocessing is a mapping, not {values!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := [str(key) for key in values if key not in known]:
            raise InputError(f"preprocessing has no key {unknown[0]!r}. {did_you_mean(unknown[0], known)}")
        if missing := [key for key in known if key not in values]:
            raise InputError(f"preprocessing lacks {', '.join(missing)}")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON has them: lists of numbers, and text."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @property
    def description(self) -> dict[str, Any]:
        """All that decides the pixels, JSON-like; equal descriptions mean equal pixels."""
        return {"preset": "weights", **self.as_dict()}

    def __str__(self) -> str:
        height, width = self.size
        mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (self.mean, self.std))
        return (
            f"{self.interpolation}, {self.resize[0]} × {self.resize[1]}, {self.crop_mode} {height} × {width} pixels, "
            f"mean ({mean}), std ({std})"
        )

    def changed(
        self,
        image_size: int | None = None,
        resize: int | None = None,
        crop_mode: str | None = None,
        interpolation: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> Preprocessing:
        """Return the preprocessing with some of its attributes replaced.

        Args:
            image_size (int or None): The side of a square input. The size before the crop follows in proportion.
            resize (int or None): The side before the crop.
            crop_mode (str or None): As the attribute, and so are the other parameters.

        Raises:
            InputError: A value is out of range.
        """
        changes: dict[str, Any] = {}
        if image_size is not None:
            side = check_count("image_size", image_size, most=MOST_SIDE)
            changes["size"] = (side, side)
            changes["resize"] = tuple(round(side * old / own) for old, own in zip(self.resize, self.size))
        if resize is not None:
            changes["resize"] = (resize, resize)
        others: dict[str, Any] = {"crop_mode": crop_mode, "interpolation": interpolation, "mean": mean, "std": std}
        return dataclasses.replace(self, **changes, **{key: one for key, one in others.items() if one is not None})

    def transforms_with(self, params: Mapping[str, Any]) -> Transforms:
        """Make the transforms with some parameters changed, as a recipe gives them.

        Args:
            params (mapping): Parameters of :meth:`changed` and of :meth:`transforms`.

        Raises:
            InputError: A parameter is unknown, or a value is out of range.
        """
        known = {
            name: keyword_parameters(method) for name, method in (("own", self.changed), ("train", self.transforms))
        }
        for name in params:
            if not any(name in names for names in known.values()):
                names = [name for group in known.values() for name in group]
                raise InputError(
                    f"the transform of pretrained weights has no parameter {name!r}. {did_you_mean(name, names)}"
                )
        own, train = ({key: params[key] for key in group if key in params} for group in known.values())
        return self.changed(**own).transforms(**train)

    def transforms(self, scale: Sequence[float] = (0.08, 1.0), jitter: float = 0.4, flip: bool = True) -> Transforms:
        """Make the transforms of images: this preprocessing, and for a training the augmentation of preset "imagenet".

        Args:
            scale (two float): The smallest and largest area of the random crop, as a fraction of the image.
            jitter (float): The strength of changes to brightness, contrast and saturation, 0 for none.
            flip (bool): True mirrors half of the training images.

        Raises:
            InputError: A value is out of range.
        """
        train = _Augmentation(self.size, tuple(scale), jitter, flip)
        description = {**self.description, "scale": list(scale), "jitter": jitter, "flip": flip}
        return Transforms(train, _Resized(self), Normalize(self.mean, self.std), description)


class _Augmentation:
    """The augmentation of preset "imagenet", made on first use, since it imports torchvision."""

    def __init__(self, size: tuple[int, int], scale: Sequence[float], jitter: float, flip: bool) -> None:
        check_augmentation(scale, jitter)
        self._settings = size, scale, jitter, flip

    @cached_property
    def _transform(self) -> Callable[[Image.Image], torch.Tensor]:
        from lowshot.data.presets.imagenet import augmentation

        return augmentation(*self._settings)

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return self._transform(image)


@dataclass(frozen=True)
class _Resized:
    """An image as (3, H, W) uint8 of the size that a preprocessing gives it."""

    preprocessing: Preprocessing

    def __call__(self, image: Image.Image) -> torch.Tensor:
        own = self.preprocessing
        return as_pixels(cropped(self._scaled(image), own.size, own.crop_mode, own.mean))

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """The size of the crops that :meth:`before_crop` has room for; None where they would all be the same."""
        own = self.preprocessing
        has_margin = own.crop_mode == "center" or (own.crop_mode == "squash" and own.resize != own.size)
        return own.size if has_margin else None

    def before_crop(self, image: Image.Image) -> torch.Tensor:
        """Return the image as it is before the central crop, (3, h, w) uint8."""
        return as_pixels(self._scaled(image))

    def _scaled(self, image: Image.Image) -> Image.Image:
        own = self.preprocessing
        return scaled(image, own.resize, own.crop_mode, own.interpolation)


def _sides(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{name}={value!r} must be a height and a width")
    height, width = (check_count(name, side, most=2 * MOST_SIDE) for side in value)
    return height, width


def _channels(name: str, value: Any, **bounds: float) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise InputError(f"{name}={value!r} must be three numbers, one a channel")
    red, green, blue = (check_number(name, one, **bounds) for one in value)
    return red, green, blue
