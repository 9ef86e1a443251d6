"""Where the files of a training run lie. Importing this does not import torch."""

from __future__ import annotations

from pathlib import Path


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """The checkpoint after ``epoch`` finished epochs of the run in ``folder``."""
    return folder / "checkpoints" / f"epoch_{epoch:03d}.ckpt"


def log_path(folder: Path) -> Path:
    """The log of the run in ``folder``, one JSON record an epoch."""
    return folder / "log.jsonl"
