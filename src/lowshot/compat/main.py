"""``main.py`` of the original: train a representation, a ``{epoch}.tar`` every few epochs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from lowshot.compat.data_config import read_source, transforms_of
from lowshot.compat.formats.checkpoint import MODELS, Checkpoint, read_checkpoint, write_checkpoint
from lowshot.compat.program import SWITCH, Flags, parser, run, whole
from lowshot.errors import InputError, did_you_mean
from lowshot.files import require_writable
from lowshot.progress import say
from lowshot.recipe.complaints import complaints
from lowshot.registry import LOSSES
from lowshot.representation import (
    OtherRunError,
    TrainSettings,
    load_backbone,
    train_representation,
)
from lowshot.representation.checkpoints import latest_checkpoint

LOSS_NAMES = {"l2": "feature_l2", "sgm": "sgm", "batchsgm": "batch_sgm"}
"""The original's names of the auxiliary losses and ours."""

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
"""Fields of :class:`TrainSettings` and the flags that they come from."""

Train = Callable[..., Path]


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser("main", "Train a representation on the base classes and save it as {epoch}.tar, epochs from 0.")
    add = found.add_argument
    add("--traincfg", required=True, help="YAML data configuration of the training images")
    add("--valcfg", required=True, help="YAML data configuration of the images to validate on")
    add("--model", default="ResNet18", help=", ".join(MODELS))
    add("--lr", default=0.1, type=float, help="learning rate")
    add("--momentum", default=0.9, type=float, help="momentum of SGD")
    add("--weight_decay", default=1e-4, type=float, help="L2 penalty on all parameters")
    add("--lr_decay", default=0.1, type=float, help="factor on the learning rate every step_size epochs")
    add("--step_size", default=30, type=int, help="epochs between two decays of the learning rate")
    add("--print_freq", default=10, type=int, help="accepted; a progress bar on a terminal takes its place")
    add("--save_freq", default=10, type=whole(1), help="epochs whose number it divides are saved, and the last one")
    add("--start_epoch", default=0, type=int, help="number of the first epoch")
    add("--stop_epoch", default=90, type=whole(1), help="number after that of the last epoch")
    add(
        "--allow_resume",
        default=0,
        type=int,
        choices=SWITCH,
        help="1 goes on from resume_file, or from the run in checkpoint_dir",
    )
    add("--resume_file", help="checkpoint to go on from")
    add("--checkpoint_dir", required=True, help="folder for the checkpoints")
    add("--aux_loss_type", default="l2", help=f"{', '.join(LOSS_NAMES)}, a loss of `lowshot list losses`, or FILE.py")
    add("--aux_loss_wt", default=0.1, type=float, help="weight of the auxiliary loss; 0 trains a true baseline")
    add("--num_classes", default=1000, type=whole(1), help="outputs of the network, base and novel classes")
    add("--dampening", default=0.0, type=float, help="dampening of the momentum")
    add("--warmup_epochs", default=0, type=int, help="first epochs that run at warmup_lr")
    add("--warmup_lr", default=0.01, type=float, help="learning rate of the warm-up epochs")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _train, arguments)


def _train(given: Flags) -> None:
    settings = _settings(given)
    require_writable(given.checkpoint_dir, "--checkpoint_dir", folder=True)
    resumed = None
    if given.resume_file and given.allow_resume:
        resumed = read_checkpoint(given.resume_file, given.model, given.num_classes)
    elif given.resume_file:
        say(f"{given.resume_file} is not used: --resume_file needs --allow_resume 1", style="yellow")
    train, val = (read_source(path, given.num_classes) for path in (given.traincfg, given.valcfg))
    settings = settings.model_copy(update={"batch_size": train.batch_size})
    folder = Path(given.checkpoint_dir)
    job = partial(
        train_representation,
        settings,
        train.images,
        val.images,
        folder,
        transforms_of(train, val),
        given.num_classes,
        workers=max(train.workers, val.workers),
        on_save=SaveAsOriginal(folder, given.save_freq, given.stop_epoch),
    )
    if resumed is not None:
        _resume(job, given, resumed)
    else:
        _start(job, given)


@dataclass(frozen=True)
class SaveAsOriginal:
    """Writes ``{epoch}.tar`` beside lowshot's own checkpoints, for the epochs that the original saves."""

    folder: Path
    save_freq: int
    stop_epoch: int

    def __call__(self, path: Path) -> None:
        done = int(path.stem.rpartition("_")[2])
        epoch = done - 1
        if epoch % self.save_freq == 0 or done == self.stop_epoch:
            write_checkpoint(self.folder / f"{epoch}.tar", load_backbone(path), epoch)


def _start(job: Train, given: Flags) -> None:
    """A run of its own: a new one, or, where resuming is allowed, the one in the folder."""
    try:
        job(first_epoch=given.start_epoch, resume=bool(given.allow_resume))
    except OtherRunError as error:
        raise InputError(
            f"--allow_resume without --resume_file goes on with the run in {given.checkpoint_dir}, but {error}"
        ) from None


def _resume(job: Train, given: Flags, resumed: Checkpoint) -> None:
    """Go on from a ``.tar``.

    The file holds no optimiser. Where the same run left a full checkpoint beside it, at least as far on, that is
    resumed instead, and the result is that of an uninterrupted run.
    """
    first = resumed.epoch + 1
    folder = Path(given.checkpoint_dir)
    if folder.resolve() == Path(given.resume_file).resolve().parent:
        found = latest_checkpoint(folder)
        if found is not None and found[1]["epoch"] >= first:
            try:
                job(first_epoch=given.start_epoch)
                return
            except OtherRunError as error:
                say(f"{error}\nGoing on from the weights in {given.resume_file} alone.", style="yellow")
    if first >= given.stop_epoch:
        say(f"{given.resume_file} is epoch {resumed.epoch}, and the last is {given.stop_epoch - 1}: nothing to do")
        return
    start = partial(job, initial_state=resumed.state, first_epoch=first)
    try:
        start()
    except OtherRunError:
        start(resume=False)


def _settings(given: Flags) -> TrainSettings:
    """The training settings of the flags, but for the batch size, which the data configuration has."""
    _known_model(given.model)
    values = {field: getattr(given, flag) for field, flag in SETTINGS.items()}
    values |= {"backbone": given.model.lower(), "save_every": 1, "loss": _loss_name(given)}
    if not 0 <= given.start_epoch < given.stop_epoch:
        raise InputError(
            f"--start_epoch is {given.start_epoch}: expected 0 to --stop_epoch - 1 = {given.stop_epoch - 1}"
        )
    try:
        settings = TrainSettings.model_validate(values)
    except ValidationError as error:
        lines = []
        for line in complaints(error, TrainSettings):
            field, colon, rest = line.partition(":")
            lines.append(f"--{SETTINGS[field]}:{rest}" if field in SETTINGS else f"{field}{colon}{rest}")
        raise InputError("\n".join(lines)) from None
    if settings.loss is not None and (wrong := LOSSES.complaints(settings.loss, {})):
        raise InputError(f"--aux_loss_type: {'; '.join(wrong)}")
    return settings


def _loss_name(given: Flags) -> str | None:
    """The registered name of the auxiliary loss; none at weight 0."""
    if given.aux_loss_wt == 0:
        return None
    name: str = given.aux_loss_type
    return f"file:{name}" if name.endswith(".py") else LOSS_NAMES.get(name, name)


def _known_model(name: str) -> None:
    if name.lower() not in [model.lower() for model in MODELS]:
        raise InputError(f"unknown model {name!r}. {did_you_mean(name, MODELS)}")


if __name__ == "__main__":
    sys.exit(main())
