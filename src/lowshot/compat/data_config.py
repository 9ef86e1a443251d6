"""The original's YAML data configurations: images, transforms and batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count
from pydantic import BaseModel, ValidationError

from lowshot.compat.data_schema import (
    PARAMS,
    AnyParams,
    CifarParams,
    DataConfig,
    FolderParams,
    LsunParams,
    MetaParams,
    TransformParams,
)
from lowshot.compat.images import AsStored
from lowshot.compat.transforms import image_transform, normalisation
from lowshot.data import ImageDataset, ImageFiles, Transforms, build_dataset
from lowshot.data.sets.json_list import read_list
from lowshot.data.sets.lsun import CATEGORIES
from lowshot.errors import InputError
from lowshot.files import Pathlike, is_folder, read_text
from lowshot.recipe.complaints import complaints
from lowshot.trees import parse_yaml

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ImageSource:
    """The images of a data configuration, and how they are transformed and loaded.

    Attributes:
        path (Path): The file.
        images (ImageDataset): The images, in the order of the data set, with labels in 0..num_classes-1.
        transform (TransformParams): The transforms of each image.
        batch_size (int): The images per step.
        workers (int): The number of loader processes, at most one per core.
    """

    path: Path
    images: ImageDataset
    transform: TransformParams
    batch_size: int
    workers: int


def read_source(path: Pathlike, num_classes: int) -> ImageSource:
    """Read a data configuration and list its images. Relative paths in it start from the working directory.

    Args:
        path (str or path): The YAML file.
        num_classes (int): The number that every label must be below.

    Raises:
        InputError: The file is missing or no YAML, has an unknown, missing or unfit key, its data set cannot be read,
            or has a label that ``num_classes`` does not allow.
    """
    config = read_config(path)
    params = _checked(PARAMS[config.dataset_type], config.dataset_params, path, "dataset_params.")
    images = AsStored(BUILDERS[config.dataset_type](params))
    if len(outside := np.flatnonzero(images.labels >= num_classes)):
        row = int(outside[0])
        raise InputError(
            f"{path}: image {images.paths[row]} (row {row}) has label {images.labels[row]}, but there are "
            f"{num_classes} classes: labels run from 0 to {num_classes - 1}"
        )
    loader = config.data_loader_params
    workers = min(loader.num_workers, cpu_count())
    return ImageSource(Path(path), images, config.transform_params, loader.batch_size, workers)


def read_config(path: Pathlike) -> DataConfig:
    """Read and check the content of a file; errors as :func:`read_source`."""
    value = parse_yaml(read_text(path, "data configuration"), f"data configuration {path}")
    if not isinstance(value, dict):
        raise InputError(f"data configuration {path} must be a mapping with {', '.join(DataConfig.model_fields)}")
    return _checked(DataConfig, value, path)


def transforms_of(train: ImageSource, evaluation: ImageSource) -> Transforms:
    """Return the transforms of training images and of all others, which share one normalisation.

    Args:
        train (ImageSource): The configuration of the training images.
        evaluation (ImageSource): The configuration of all other images.

    Raises:
        InputError: The two configurations normalise differently.
    """
    both = [(s.transform.mean, s.transform.std, "Normalize" in s.transform.transform_list) for s in (train, evaluation)]
    if both[0] != both[1]:
        raise InputError(
            f"{train.path} and {evaluation.path} normalise differently (mean, std, whether Normalize is listed): "
            "a network must see its training and its other images on one scale"
        )
    described = {name: s.transform.model_dump(mode="json") for name, s in (("train", train), ("eval", evaluation))}
    return Transforms(
        image_transform(train.transform),
        image_transform(evaluation.transform),
        normalisation(train.transform),
        {"original": described},
    )


def _checked(model: type[Model], value: dict[str, Any], path: Pathlike, prefix: str = "") -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        lines = [f"  {prefix}{line}" for line in complaints(error, model)]
        raise InputError("\n".join([f"data configuration {path} has mistakes:", *lines])) from None


def _meta(params: MetaParams) -> ImageDataset:
    if not is_folder(params.rootdir):
        raise InputError(f"dataset_params.rootdir: image folder {params.rootdir} does not exist")
    found = read_list(params.meta)
    names = found.label_names or [str(label) for label in range(found.num_classes)]
    return ImageFiles(params.rootdir, found.names, found.labels, names)


def _lsun(params: LsunParams) -> ImageDataset:
    if isinstance(params.classes, str):
        classes = [f"{category}_{params.classes}" for category in CATEGORIES]
    else:
        classes = params.classes
    suffixes = {name.rpartition("_")[2] for name in classes}
    if len(suffixes) != 1 or not suffixes <= {"train", "val"}:
        raise InputError(
            f"dataset_params.classes: expected train, val, or categories that all end in one of _train and _val, "
            f"got {params.classes!r}"
        )
    part = "train" if suffixes == {"train"} else "test"
    return build_dataset("lsun", part, params.root, categories=[name.rpartition("_")[0] for name in classes])


def _cifar(name: str) -> Callable[[CifarParams], ImageDataset]:
    return lambda p: build_dataset(name, "train" if p.train else "test", p.root, download=p.download)


def _folder(params: FolderParams) -> ImageDataset:
    return build_dataset("image_folder", "train", params.root, prefix="")


def _refused(name: str) -> Callable[[AnyParams], ImageDataset]:
    return lambda params: build_dataset(name)


BUILDERS: dict[str, Callable[[Any], ImageDataset]] = {
    "MetaDataset": _meta,
    "ImageFolder": _folder,
    "CIFAR10": _cifar("cifar10"),
    "CIFAR100": _cifar("cifar100"),
    "LSUN": _lsun,
    "CocoDetection": _refused("coco_detection"),
    "CocoCaptions": _refused("coco_captions"),
}
