"""The paths of the files of a training run. Importing this does not import torch."""

from __future__ import annotations

from pathlib import Path


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the path of the checkpoint after ``epoch`` finished epochs of the run in ``folder``."""
    return folder / "checkpoints" / f"epoch_{epoch:03d}.ckpt"


def log_path(folder: Path) -> Path:
    """Return the path of the log of the run in ``folder``, which has one JSON record per epoch."""
    return folder / "log.jsonl"
