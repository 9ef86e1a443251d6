"""``main`` with ``--allow_resume 1``: which files a training goes on from, and when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lowshot.compat.formats.checkpoint import Checkpoint, read_checkpoint
from lowshot.compat.overwriting import VARIABLE, may_replace_all
from lowshot.compat.program import Flags
from lowshot.compat.training_files import TAR, full_checkpoint, is_own_tar, resumable_tar
from lowshot.errors import InputError
from lowshot.files import resolved
from lowshot.progress import say
from lowshot.representation import OtherRunError
from lowshot.representation.training import FIRST_EPOCH, INITIAL_WEIGHTS

SETTINGS = {
    "backbone": "model",
    "loss": "aux_loss_type",
    "loss_weight": "aux_loss_wt",
    "epochs": "stop_epoch",
    "save_every": "save_freq",
} | {
    name: name
    for name in (
        "lr",
        "momentum",
        "dampening",
        "weight_decay",
        "lr_decay",
        "step_size",
        "warmup_epochs",
        "warmup_lr",
    )
}
"""Fields of :class:`~lowshot.representation.TrainSettings` and the flags that they come from."""

_OTHERS = {
    "num_classes": "--num_classes",
    FIRST_EPOCH: "the first epoch",
    INITIAL_WEIGHTS: "the digest of the weights that it started from",
    "batch_size": "the batch size of --traincfg",
    "training images": "the digest of the images of --traincfg",
    "transforms": "the transforms of --traincfg and --valcfg",
}

Train = Callable[..., Path]


@dataclass(frozen=True)
class ResumePoint:
    """A ``.tar`` to resume from.

    Attributes:
        path (Path): The file.
        checkpoint (Checkpoint): Its content.
        epoch (int): The number of its epoch.
    """

    path: Path
    checkpoint: Checkpoint
    epoch: int


def resume_point(given: Flags) -> ResumePoint | None:
    """The ``.tar`` that is resumed: ``--resume_file``, or the one of the highest number in the folder, if any.

    Raises:
        InputError: It cannot be read, holds another network, or does not say of which epoch it is.
    """
    if not given.allow_resume:
        if given.resume_file:
            say(f"{given.resume_file} is not used: --resume_file needs --allow_resume 1", style="yellow")
        return None
    path = Path(given.resume_file) if given.resume_file else resumable_tar(given.checkpoint_dir)
    if path is None:
        return None
    checkpoint = read_checkpoint(path, given.model, given.num_classes)
    epoch = checkpoint.epoch
    if epoch is None and (match := TAR.fullmatch(path.name)):
        epoch = int(match[1])
    if epoch is None:
        raise InputError(
            f"checkpoint {path} holds weights alone, so its name must say after which epoch they were saved, counted "
            "from 0: name it as the original does, such as 29.tar"
        )
    return ResumePoint(path, checkpoint, epoch)


def resume(train_from: Train, given: Flags, point: ResumePoint | None) -> None:
    """Go on with a training, or start it where there is nothing to go on from.

    A ``.tar`` holds no optimiser. Where the same run left a full checkpoint in the folder, that is resumed instead, and
    the result is that of an uninterrupted run: if it is at least as far on, or if the ``.tar`` is of an earlier run of
    this program, which the run in the folder replaces. A run that began with a ``.tar`` of the original is the same run
    although its weights came from elsewhere.

    Args:
        train_from (callable): Trains with ``first_epoch``, ``initial_state``, ``any_start`` and ``resume`` of
            :func:`~lowshot.representation.train_representation`.
        given (Flags): The flags.
        point (ResumePoint or None): The ``.tar`` to resume from; None where there is none.

    Raises:
        InputError: The folder's full checkpoint is newer than the ``.tar``, and belongs to a run of other settings.
    """
    found = full_checkpoint(Path(given.checkpoint_dir))
    other = None
    if found is not None and (go_on := _continuation(train_from, given, point, found[1])) is not None:
        try:
            go_on()
            return
        except OtherRunError as error:
            other = error
    if point is not None and point.epoch + 1 >= given.stop_epoch:
        say(f"{point.path} is epoch {point.epoch}, and the last is {given.stop_epoch - 1}: nothing to do")
        return
    first = given.start_epoch if point is None else point.epoch + 1
    start = f"starting anew, with epoch {first}" if point is None else f"going on from {point.path}, with epoch {first}"
    if other is not None and found is not None:
        newer = found[1]["epoch"] > (0 if point is None else first)
        if newer and not given.resume_file and not may_replace_all():
            raise InputError(_refusal(other, found[0], point))
        start += f". {_reason(other, found[0])}: its full checkpoints are replaced"
    if point is not None or other is not None:
        say(start)
    train_from(initial_state=None if point is None else point.checkpoint.state, first_epoch=first, resume=False)


def _continuation(
    train_from: Train, given: Flags, point: ResumePoint | None, checkpoint: dict[str, Any]
) -> Callable[[], object] | None:
    """The call that goes on from the full checkpoint in the folder; None where the ``.tar`` goes before it."""
    if point is None or resolved(Path(given.checkpoint_dir)) == resolved(point.path).parent:
        from_tar = point is not None and (bool(given.resume_file) or not is_own_tar(point.path))
        if from_tar and point is not None and checkpoint["epoch"] <= point.epoch:
            return None
        return partial(train_from, first_epoch=given.start_epoch, any_start=INITIAL_WEIGHTS in checkpoint["identity"])
    if point.epoch + 1 >= given.stop_epoch:
        return None
    return partial(train_from, initial_state=point.checkpoint.state, first_epoch=point.epoch + 1)


def _reason(error: OtherRunError, path: Path) -> str:
    """The difference between the run in the folder and the one of the flags, by flags."""
    if not error.differences:
        return f"{error.reason} by --stop_epoch"
    names = {key: _OTHERS.get(key, f"--{SETTINGS[key]}" if key in SETTINGS else key) for key in error.differences}
    listed = "; ".join(f"{names[key]} was {was!r}, is now {now!r}" for key, (was, now) in error.differences.items())
    return f"{path} belongs to another training: {listed}"


def _refusal(error: OtherRunError, path: Path, point: ResumePoint | None) -> str:
    if point is None:
        than, others = "would be lost", "--allow_resume 0 starts anew and removes it"
    else:
        than = f"is newer than {point.path} and would be lost"
        others = f"--resume_file {point.path} goes on from its weights and removes the full checkpoint"
        if is_own_tar(point.path):
            others += "; --allow_resume 0 starts anew and removes it as well"
    return (
        f"--allow_resume 1: {_reason(error, path)}. It {than}: give the same flags to go on with it, or another "
        f"--checkpoint_dir. {others}, and so does {VARIABLE}=1"
    )
