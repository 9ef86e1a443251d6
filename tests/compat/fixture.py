"""A data set in the shape of ImageNet, small enough to run all commands of the original's README on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

CLASSES = 30
BASE = (list(range(0, 2)), list(range(2, 10)))
NOVEL = (list(range(10, 13)), list(range(13, 30)))
SIZES = {"base": (len(BASE[0]), len(BASE[1])), "novel": (len(NOVEL[0]), len(NOVEL[1]))}
TRAIN_PER_CLASS, VAL_PER_CLASS = 6, 2
N_SHOTS = (1, 2, 5)
SIZE = 32

TRAIN_TRANSFORM = {
    "transform_list": ["RandomSizedCrop", "ImageJitter", "RandomHorizontalFlip", "ToTensor", "Normalize"],
    "image_size": SIZE,
    "jitter_params": {"Brightness": 0.4, "Contrast": 0.4, "Color": 0.4},
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
VAL_TRANSFORM = {
    "transform_list": ["Scale", "CenterCrop", "ToTensor", "Normalize"],
    "image_size": SIZE,
    "scale": 36,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def make(root: Path) -> Path:
    """Write images, lists, configurations, class split and experiments under the names of the original's README."""
    rng = np.random.default_rng(0)
    names = [f"n{10_000_000 + label}" for label in range(CLASSES)]
    for part, per_class in (("train", TRAIN_PER_CLASS), ("val", VAL_PER_CLASS)):
        images = []
        for label, name in enumerate(names):
            (root / "imagenet" / part / name).mkdir(parents=True)
            for number in range(per_class):
                image = f"{part}/{name}/{name}_{number}.JPEG"
                _picture(rng, label).save(root / "imagenet" / image, quality=90)
                images.append((image, label))
        order = rng.permutation(len(images))  # as in ImageNet's lists, not every class is in one block
        rows = [images[row] for row in order]
        _write_list(root / f"{part}.json", rows, names)
        base = [row for row in rows if row[1] in BASE[0] + BASE[1]]
        _write_list(root / f"base_classes_{part}_meta.json", base, names)
        if part == "train":
            _write_experiments(root, [label for _, label in rows])
    write_config(root / "base_classes_train_template.yaml", "base_classes_train_meta.json", TRAIN_TRANSFORM, 24)
    write_config(root / "base_classes_val_template.yaml", "base_classes_val_meta.json", VAL_TRANSFORM, 24)
    write_config(root / "train_save_data.yaml", "train.json", VAL_TRANSFORM, 60)
    write_config(root / "val_save_data.yaml", "val.json", VAL_TRANSFORM, 60)
    groups = {"base_classes_1": BASE[0], "base_classes_2": BASE[1], "base_classes": BASE[0] + BASE[1]}
    groups |= {"novel_classes_1": NOVEL[0], "novel_classes_2": NOVEL[1]}
    (root / "label_idx.json").write_text(json.dumps({**groups, "label_names": names}))
    return root


def write_config(path: Path, meta: str, transform: dict[str, Any], batch_size: int) -> None:
    """A data configuration with the original's keys."""
    loader = {"batch_size": batch_size, "shuffle": True, "num_workers": 0, "pin_memory": True}
    value = {
        "dataset_type": "MetaDataset",
        "dataset_params": {"meta": meta, "rootdir": "imagenet"},
        "transform_params": transform,
        "data_loader_params": loader,
    }
    path.write_text(yaml.safe_dump(value, sort_keys=False))


def _picture(rng: np.random.Generator, label: int) -> Image.Image:
    """Noise over a colour and a stripe that tell the class."""
    pixels = rng.integers(0, 80, (40, 44, 3))
    pixels += np.random.default_rng([1, label]).integers(0, 176, 3)
    pixels[:, (label % 10) * 4 : (label % 10) * 4 + 4] //= 2
    return Image.fromarray(pixels.astype(np.uint8))


def _write_list(path: Path, rows: list[tuple[str, int]], names: list[str]) -> None:
    images, labels = zip(*rows)
    path.write_text(json.dumps({"image_names": images, "image_labels": labels, "label_names": names}))


def _write_experiments(root: Path, labels: list[int]) -> None:
    (root / "experiment_cfgs").mkdir()
    for number in range(1, 6):
        rng = np.random.default_rng([2, number])
        rows = [rng.permutation(np.flatnonzero(np.array(labels) == c)).tolist() for c in range(CLASSES)]
        (root / "experiment_cfgs" / f"splitfile_{number}.json").write_text(json.dumps(rows))
