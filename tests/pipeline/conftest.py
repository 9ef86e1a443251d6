"""A recipe that walks the whole road in seconds: few glyphs, a tiny backbone from a plug-in file."""

from __future__ import annotations

import functools
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lowshot.pipeline import run_recipe

TINY = {
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


@pytest.fixture(scope="session", autouse=True)
def glyph_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def write_tiny_recipe(folder: Path, **sections: Any) -> Path:
    """Write the tiny recipe, with changed sections, and return its path; results go beside it."""
    (folder / "tiny_backbone.py").write_text(
        textwrap.dedent("""
        from torch import nn
        from lowshot.registry import BACKBONES
        from lowshot.representation.backbones import Backbone

        @BACKBONES.register("pipeline_tiny", "one convolution, for tests of the pipeline")
        def tiny(num_classes: int, width: int = 12) -> Backbone:
            trunk = nn.Sequential(nn.Conv2d(3, width, 5, stride=4, padding=2), nn.BatchNorm2d(width), nn.ReLU())
            return Backbone(trunk, width, num_classes)
        """)
    )
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, "output": str(folder / "out"), **sections}))
    return path


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    return functools.partial(write_tiny_recipe, tmp_path)


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny recipe and everything that walking it leaves."""
    folder = tmp_path_factory.mktemp("walked")
    run_recipe(write_tiny_recipe(folder))
    return folder


@pytest.fixture
def finished(walked: Path, tmp_path: Path) -> Path:
    """The path of a tiny recipe that has been walked; the test may change what it left."""
    shutil.copytree(walked, tmp_path, dirs_exist_ok=True)
    return write_tiny_recipe(tmp_path)
