"""The paths of the files of a training run. Importing this does not import torch."""

from __future__ import annotations

import re
from pathlib import Path


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the path of the checkpoint after ``epoch`` finished epochs of the run in ``folder``."""
    return folder / "checkpoints" / f"epoch_{epoch:03d}.ckpt"


def epochs_of(folder: Path) -> list[int]:
    """Return the numbers of finished epochs that a folder of checkpoints has one of, in rising order."""
    found = (re.fullmatch(r"epoch_(\d+)\.ckpt", path.name) for path in folder.glob("epoch_*.ckpt"))
    return sorted(int(match[1]) for match in found if match)


def log_path(folder: Path) -> Path:
    """Return the path of the log of the run in ``folder``, which has one JSON record per epoch."""
    return folder / "log.jsonl"
