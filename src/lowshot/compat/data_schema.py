"""The keys of the original's data configurations, with the mistakes that show without looking at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lowshot.errors import did_you_mean

PIXEL_TRANSFORMS = {
    "RandomSizedCrop": ("image_size",),
    "CenterCrop": ("image_size",),
    "Scale": ("scale",),
    "ImageJitter": ("jitter_params",),
    "RandomHorizontalFlip": (),
}
"""Transforms of an image, each with the keys that it needs."""

TRANSFORMS = {**PIXEL_TRANSFORMS, "ToTensor": (), "Normalize": ("mean", "std")}

Strength = Literal["Brightness", "Contrast", "Color", "Sharpness"]
Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class MetaParams(Section):
    """``MetaDataset``: a JSON list of images with their labels."""

    meta: Path
    rootdir: Path = Path()


class FolderParams(Section):
    """``ImageFolder``: a folder a class."""

    root: Path


class CifarParams(Section):
    """``CIFAR10`` and ``CIFAR100`` in torchvision's files."""

    root: Path
    train: bool = True
    download: bool = False


class LsunParams(Section):
    """``LSUN``: ``classes`` is ``train``, ``val`` or a list such as ``[bedroom_train, tower_train]``."""

    root: Path
    classes: str | list[str] = "train"


class AnyParams(BaseModel):
    """For the data sets that are refused whatever their parameters are."""

    model_config = ConfigDict(extra="allow")


PARAMS: dict[str, type[BaseModel]] = {
    "MetaDataset": MetaParams,
    "ImageFolder": FolderParams,
    "CIFAR10": CifarParams,
    "CIFAR100": CifarParams,
    "LSUN": LsunParams,
    "CocoDetection": AnyParams,
    "CocoCaptions": AnyParams,
}


class TransformParams(Section):
    transform_list: list[str] = Field(min_length=1)
    image_size: int | None = Field(None, ge=1)
    scale: int | None = Field(None, ge=1)
    mean: Triple | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    jitter_params: dict[Strength, Annotated[float, Field(ge=0)]] | None = None

    @model_validator(mode="after")
    def _list_can_run(self) -> TransformParams:
        for name in self.transform_list:
            if name not in TRANSFORMS:
                raise ValueError(f"transform_list: unknown transform {name!r}. {did_you_mean(name, TRANSFORMS)}")
            for key in TRANSFORMS[name]:
                if getattr(self, key) is None:
                    raise ValueError(f"{key}: is missing, and {name} in transform_list needs it")
        pixels = [name for name in self.transform_list if name in PIXEL_TRANSFORMS]
        if self.transform_list not in ([*pixels, "ToTensor"], [*pixels, "ToTensor", "Normalize"]):
            raise ValueError(
                f"transform_list: {self.transform_list} cannot run: expected transforms of images, then ToTensor, "
                "then perhaps Normalize"
            )
        return self


class LoaderParams(Section):
    """``shuffle``, ``pin_memory`` and ``drop_last`` are accepted; what they say is decided by the program."""

    batch_size: int = Field(1, ge=1)
    num_workers: int = Field(0, ge=0)
    shuffle: bool = False
    pin_memory: bool = False
    drop_last: bool = False


class DataConfig(Section):
    """A whole file."""

    TYPES: ClassVar = PARAMS

    dataset_type: str
    dataset_params: dict[str, Any]
    transform_params: TransformParams
    data_loader_params: LoaderParams

    @model_validator(mode="after")
    def _type_is_known(self) -> DataConfig:
        if self.dataset_type not in PARAMS:
            raise ValueError(
                f"dataset_type: unknown data set {self.dataset_type!r}. {did_you_mean(self.dataset_type, PARAMS)}"
            )
        return self
