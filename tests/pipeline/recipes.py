"""Two recipes that run in seconds, one from images and one from features, and what a run of them leaves."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lowshot import pipeline
from lowshot.benchmark import Engine
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe
from tests.benchmark.problems import LABELS, write_features

#: Small problems are not worth a second process.
run_recipe = functools.partial(pipeline.run_recipe, engine=Engine("serial"))

IMAGES: dict[str, Any] = {
    "name": "tiny",
    "plugins": ["tiny_backbone.py"],
    "data": {
        "dataset": "glyphs",
        "options": {"classes": 16, "train_per_class": 8, "test_per_class": 4, "image_size": 16},
        "preset": "small",
        "transform": {"image_size": 16, "flip": False},
        "workers": 0,
    },
    "split": {"base": [4, 4], "novel": [4, 4], "experiments": 2, "max_shots": 5},
    "train": {"backbone": "pipeline_tiny", "epochs": 2, "batch_size": 16, "lr": 0.05, "precision": "32-true"},
    "representations": {
        "baseline": {"label": "Baseline"},
        "sgm": {"label": "SGM", "train": {"loss": "sgm", "loss_weight": 0.02}},
    },
    "extract": {"precision": "32-true"},
    "evaluate": {
        "n_shots": [1, 5],
        "methods": {
            "linear": {"label": "Linear classifier", "params": {"n_steps": 20, "batch_size": 50}},
        },
    },
}

BACKBONE = """
from torch import nn
from lowshot.registry import BACKBONES
from lowshot.representation.backbones import Backbone

@BACKBONES.register("pipeline_tiny", "one convolution, for tests of the pipeline")
def tiny(num_classes: int, width: int = 12) -> Backbone:
    trunk = nn.Sequential(nn.Conv2d(3, width, 5, stride=4, padding=2), nn.BatchNorm2d(width), nn.ReLU())
    return Backbone(trunk, width, num_classes)
"""

FEATURES: dict[str, Any] = {
    "name": "given",
    "split": {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 3},
    "generators": {"difference": {"generator": "difference"}},
    "tune": {"target": "mean_all_top1"},
}

METHODS: dict[str, dict[str, Any]] = {
    "ridge": {"classifier": "ridge", "grid": {"alpha": [0.01, 1.0, 100.0]}},
    "plain": {"classifier": "nearest_mean"},
}


def write_image_recipe(folder: Path, **sections: Any) -> Path:
    """Write a recipe on a few glyphs, with a tiny backbone from a plug-in file, and return its path."""
    (folder / "tiny_backbone.py").write_text(BACKBONE)
    return _write(folder, {**IMAGES, **sections})


def write_features_recipe(folder: Path, methods: Mapping[str, Any] = METHODS, **sections: Any) -> Path:
    """Write a recipe that brings the features of eight Gaussian classes, and return its path."""
    recipe = {**FEATURES, "evaluate": {"n_shots": [1, 3], "methods": dict(methods)}, **sections}
    if "representations" not in recipe:
        recipe["representations"] = {"given": {"features": features_files(folder / "features")}}
    return _write(folder, recipe)


def features_files(folder: Path, *, paths: bool = False, class_names: bool = True) -> dict[str, str]:
    """The features files of both parts in a folder, as a recipe names them; written unless they are there."""
    files = {part: folder / f"{part}.hdf5" for part in LABELS}
    for seed, (part, file) in enumerate(files.items(), start=2):
        if not file.exists():
            write_features(file, LABELS[part], seed, paths=paths, class_names=class_names)
    return {part: str(file) for part, file in files.items()}


def extracted(folder: Path, representation: str) -> dict[str, str]:
    """The features files that a run left for a representation, as a recipe names them."""
    return {part: str(folder / "out" / "features" / representation / f"{part}.hdf5") for part in ("train", "test")}


def records(output: Path, file: str = "results.jsonl") -> list[dict[str, Any]]:
    """The records in a file of the folder of results."""
    return [json.loads(line) for line in (output / file).read_text().splitlines()]


def tuned_file(folder: Path, method: str = "ridge") -> Path:
    """The file of the winner of a method's grid, of a run of the features recipe."""
    return folder / "out" / "tuned" / "given" / f"{method}.json"


def due(path: Path, *overrides: str, force: tuple[str, ...] = ()) -> list[str]:
    """The keys of the stages that would run, in order."""
    recipe = load_recipe(path, overrides)
    statuses = Stamps(recipe.folder / "state").statuses(Plan(recipe).stages, force)
    return [status.stage.key for status in statuses if status.runs]


def due_but_report(path: Path, *overrides: str) -> set[str]:
    """The keys of the stages that would run, but for the report."""
    return set(due(path, *overrides)) - {"report"}


def _write(folder: Path, recipe: Mapping[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"output": str(folder / "out"), **recipe}))
    return path
