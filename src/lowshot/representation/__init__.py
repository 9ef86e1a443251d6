"""Representations: backbones, losses, and the training whose features serve to recognise novel classes.

Importing this package does not import torch; its names are imported on first use. The settings and paths among them do
not need torch at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.representation.backbones import Backbone, build_backbone
    from lowshot.representation.checkpoints import load_backbone, load_state, trained_classes
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
    "trained_classes",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "backbones": ("Backbone", "build_backbone"),
        "paths": ("checkpoint_path", "log_path"),
        "checkpoints": ("load_backbone", "load_state", "trained_classes"),
        "settings": ("TrainSettings",),
        "training": ("OtherRunError", "train_representation"),
    },
)
