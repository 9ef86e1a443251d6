"""The files in ``--checkpoint_dir`` of ``main``, and which of them it wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lowshot.compat.formats.container import is_written_by
from lowshot.compat.overwriting import VARIABLE, may_replace_all, require_own
from lowshot.errors import InputError
from lowshot.files import is_file, read_text
from lowshot.representation.checkpoints import checkpoint_files, is_training_checkpoint, latest_checkpoint
from lowshot.representation.paths import log_path
from lowshot.torch_files import load_torch

PROGRAM = "main"
TAR = re.compile(r"(\d+)\.tar")
"""The name of a checkpoint, with the number of its epoch."""


def numbered_tars(folder: str | Path) -> dict[int, list[Path]]:
    """Return the files and folders that have the number of an epoch, such as ``3.tar`` before ``03.tar``."""
    found: dict[int, list[Path]] = {}
    for path in sorted(Path(folder).glob("*.tar"), key=lambda path: (len(path.name), path.name)):
        if match := TAR.fullmatch(path.name):
            found.setdefault(int(match[1]), []).append(path)
    return found


def resumable_tar(folder: str | Path) -> Path | None:
    """Return the numbered file of the latest epoch in a folder; None without any."""
    files = {epoch: [path for path in paths if is_file(path)] for epoch, paths in numbered_tars(folder).items()}
    return next((files[epoch][0] for epoch in sorted(files, reverse=True) if files[epoch]), None)


def is_own_tar(path: Path) -> bool:
    """Return True if ``main`` wrote the file."""
    return is_written_by(path, PROGRAM)


def full_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest full checkpoint of a folder, and its content; None where there is none that can be read."""
    try:
        return latest_checkpoint(folder)
    except InputError:  # of another version, or no checkpoint at all: it may only be replaced
        return None


def require_own_training(folder: Path) -> None:
    """Refuse a folder whose full checkpoints or log are of something else, which a training there would replace.

    Raises:
        InputError: There is such a file, or one that cannot be read, and LOWSHOT_COMPAT_OVERWRITE is not 1.
    """
    if may_replace_all():
        return
    for path in checkpoint_files(folder).values():
        _require_own_checkpoint(path)
    require_own(log_path(folder), "--checkpoint_dir", _is_log)


def _require_own_checkpoint(path: Path) -> None:
    try:
        content = load_torch(path)
    except InputError as error:
        raise InputError(
            f"--checkpoint_dir: {error}. So nothing says that this program wrote it, and it would be replaced: move it "
            f"away, give another place, or set {VARIABLE}=1 to replace it"
        ) from None
    if not is_training_checkpoint(content):
        require_own(path, "--checkpoint_dir", lambda path: False)
    transforms = content["identity"].get("transforms")
    if not isinstance(transforms, dict) or "original" not in transforms:
        raise InputError(
            f"--checkpoint_dir: {path.parent.parent} holds a training of `lowshot train` ({path}), which this run "
            "would replace: give another folder"
        )


def _is_log(path: Path) -> bool:
    """Return True if the file begins with the record of an epoch, or is empty."""
    try:
        first, _, _ = read_text(path, "training log").partition("\n")
        return not first or json.loads(first).keys() >= {"epoch", "loss", "train_top1"}
    except (InputError, ValueError, AttributeError):
        return False
