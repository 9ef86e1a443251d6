"""The files in ``--checkpoint_dir`` of ``main``, and which of them it wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lowshot.compat.formats.container import is_written_by
from lowshot.compat.overwriting import may_replace_all, require_own
from lowshot.errors import InputError
from lowshot.files import read_text
from lowshot.representation.checkpoints import checkpoint_files, latest_checkpoint
from lowshot.representation.paths import log_path

PROGRAM = "main"
TAR = re.compile(r"(\d+)\.tar")
"""The name of a checkpoint, with the number of its epoch."""


def numbered_tars(folder: str | Path) -> dict[int, Path]:
    """Return the file of each epoch in a folder."""
    found = Path(folder).glob("*.tar")
    return {int(match[1]): path for path in found if (match := TAR.fullmatch(path.name))}


def is_own_tar(path: Path) -> bool:
    """Return True if ``main`` wrote the file."""
    return is_written_by(path, PROGRAM)


def require_own_training(folder: Path) -> None:
    """Refuse a folder whose full checkpoints or log are of something else, which a training there would replace.

    Raises:
        InputError: There is such a file, and LOWSHOT_COMPAT_OVERWRITE is not 1.
    """
    if may_replace_all():
        return
    found = latest_checkpoint(folder)
    if found is None:  # those that are there cannot be read
        for path in checkpoint_files(folder).values():
            require_own(path, "--checkpoint_dir", lambda path: False)
    elif "original" not in found[1]["identity"].get("transforms", {}):
        raise InputError(
            f"--checkpoint_dir: {folder} holds a training of `lowshot train` ({found[0]}), which this run would "
            "replace: give another folder"
        )
    require_own(log_path(folder), "--checkpoint_dir", _is_log)


def _is_log(path: Path) -> bool:
    """Return True if the file begins with the record of an epoch, or is empty."""
    try:
        first, _, _ = read_text(path, "training log").partition("\n")
        return not first or json.loads(first).keys() >= {"epoch", "loss", "train_top1"}
    except (InputError, ValueError, AttributeError):
        return False
