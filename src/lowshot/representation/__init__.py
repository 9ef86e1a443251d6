"""Representations: backbones, losses, and the training whose features serve to recognise novel classes.

Importing this package does not import torch; its names are imported on first use. The settings and paths among them do
not need torch at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.representation.backbones import Backbone, Head, architecture, build_backbone
    from lowshot.representation.checkpoints import load_backbone, trained_classes
    from lowshot.representation.fingerprints import trunk_fingerprint
    from lowshot.representation.forward_check import check_backbone, check_forward, image_sizes
    from lowshot.representation.paths import checkpoint_path, log_path
    from lowshot.representation.pretrained import (
        Pretrained,
        build_pretrained,
        load_pretrained,
        published_preprocessing,
    )
    from lowshot.representation.settings import TrainSettings
    from lowshot.representation.training import OtherRunError, train_representation
    from lowshot.representation.weights import load_state, read_weights

__all__ = [
    "Backbone",
    "Head",
    "OtherRunError",
    "Pretrained",
    "TrainSettings",
    "architecture",
    "build_backbone",
    "build_pretrained",
    "check_backbone",
    "check_forward",
    "checkpoint_path",
    "image_sizes",
    "load_backbone",
    "load_pretrained",
    "load_state",
    "log_path",
    "published_preprocessing",
    "read_weights",
    "train_representation",
    "trained_classes",
    "trunk_fingerprint",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "backbones": ("Backbone", "Head", "architecture", "build_backbone"),
        "fingerprints": ("trunk_fingerprint",),
        "forward_check": ("check_backbone", "check_forward", "image_sizes"),
        "paths": ("checkpoint_path", "log_path"),
        "checkpoints": ("load_backbone", "trained_classes"),
        "pretrained": ("Pretrained", "build_pretrained", "load_pretrained", "published_preprocessing"),
        "settings": ("TrainSettings",),
        "training": ("OtherRunError", "train_representation"),
        "weights": ("load_state", "read_weights"),
    },
)
