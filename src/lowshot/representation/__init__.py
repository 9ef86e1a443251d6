"""Backbones, losses and the training that turns images into features worth recognising novel classes by.

Importing this package does not import torch; its names are imported on first use, and the settings and paths among
them do not need torch either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lowshot.representation.backbones import Backbone, build_backbone
    from lowshot.representation.checkpoints import load_backbone, load_state
    from lowshot.representation.paths import checkpoint_path, log_path
    from lowshot.representation.settings import TrainSettings
    from lowshot.representation.training import OtherRunError, train_representation

__all__ = [
    "Backbone",
    "OtherRunError",
    "TrainSettings",
    "build_backbone",
    "checkpoint_path",
    "load_backbone",
    "load_state",
    "log_path",
    "train_representation",
]

_HOME = {
    "Backbone": "backbones",
    "build_backbone": "backbones",
    "checkpoint_path": "paths",
    "load_backbone": "checkpoints",
    "load_state": "checkpoints",
    "log_path": "paths",
    "TrainSettings": "settings",
    "OtherRunError": "training",
    "train_representation": "training",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
