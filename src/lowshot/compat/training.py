"""The work of ``main``: translate its flags to a training of the library, start or resume it, and write ``.tar``s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from lowshot.compat.data_config import read_source, transforms_of
from lowshot.compat.formats.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lowshot.compat.memory import keep_freed_memory
from lowshot.compat.names import LOSS_NAMES, MODELS
from lowshot.compat.overwriting import may_replace_all, require_own
from lowshot.compat.precision import PRECISION, only_float32
from lowshot.compat.program import Flags
from lowshot.compat.training_files import PROGRAM, TAR, is_own_tar, numbered_tars, require_own_training
from lowshot.errors import InputError, did_you_mean
from lowshot.files import exists, require_writable, resolved
from lowshot.progress import say
from lowshot.recipe.complaints import complaints
from lowshot.registry import LOSSES
from lowshot.representation import OtherRunError, TrainSettings, load_backbone, train_representation
from lowshot.representation.checkpoints import latest_checkpoint

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


def train(given: Flags) -> None:
    """Run the program.

    Raises:
        InputError: A flag, a file, or the folder of checkpoints cannot be used. Nothing is written then.
        LowshotError: The training diverged.
    """
    settings = _settings(given)
    folder = Path(given.checkpoint_dir)
    require_writable(folder, "--checkpoint_dir", folder=True)
    resumed = _resume_point(given)
    _require_own_files(given, resumed)
    train, val = (read_source(path, given.num_classes) for path in (given.traincfg, given.valcfg))
    settings = settings.model_copy(update={"batch_size": train.batch_size})
    only_float32()
    keep_freed_memory()
    train_from = partial(
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
        _resume(train_from, given, resumed)
    else:
        _start(train_from, given)


@dataclass(frozen=True)
class SaveAsOriginal:
    """Writes ``{epoch}.tar`` beside lowshot's own checkpoints, for the epochs that the original saves.

    Attributes:
        folder (Path): The folder of the run.
        save_freq (int): Epochs whose number it divides are saved, and the last one.
        stop_epoch (int): The number after that of the last epoch.
    """

    folder: Path
    save_freq: int
    stop_epoch: int

    def __call__(self, path: Path) -> None:
        epoch = int(path.stem.rpartition("_")[2]) - 1
        target = self.folder / f"{epoch}.tar"
        if not self.saves(epoch):
            return
        if exists(target) and not is_own_tar(target) and not may_replace_all():
            say(f"{target} was written by something else since this run began: it stays, see {path}", style="yellow")
            return
        write_checkpoint(target, load_backbone(path), epoch, PROGRAM)

    def saves(self, epoch: int) -> bool:
        """Return True if the original saves this epoch."""
        return epoch % self.save_freq == 0 or epoch + 1 == self.stop_epoch


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


def _resume_point(given: Flags) -> ResumePoint | None:
    """The ``.tar`` that is resumed: ``--resume_file``, or the one of the highest number in the folder, if any."""
    if not given.allow_resume:
        if given.resume_file:
            say(f"{given.resume_file} is not used: --resume_file needs --allow_resume 1", style="yellow")
        return None
    numbered = numbered_tars(given.checkpoint_dir)
    if given.resume_file:
        path = Path(given.resume_file)
    elif numbered:
        path = numbered[max(numbered)]
    else:
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


def _require_own_files(given: Flags, resumed: ResumePoint | None) -> None:
    """Refuse a run that would replace files of something else, or leave them mixed with its own.

    A new run owns the folder: any numbered ``.tar`` there must be of this program. A resumed one replaces the files of
    the epochs that it trains.
    """
    folder = Path(given.checkpoint_dir)
    numbered = numbered_tars(folder)
    saver = SaveAsOriginal(folder, given.save_freq, given.stop_epoch)
    if resumed is None:
        replaced: Iterable[int] = sorted(numbered)
    else:
        replaced = [e for e in sorted(numbered) if resumed.epoch < e < given.stop_epoch and saver.saves(e)]
    try:
        for epoch in replaced:
            require_own(numbered[epoch], "--checkpoint_dir", is_own_tar)
    except InputError as error:
        advice = "" if given.allow_resume else ". --allow_resume 1 goes on from the one of the highest number"
        raise InputError(f"{error}{advice}") from None
    require_own_training(folder)


def _start(train_from: Train, given: Flags) -> None:
    """Train without a ``.tar`` to resume: a new run, or, where resuming is allowed, the one in the folder."""
    try:
        train_from(first_epoch=given.start_epoch, resume=bool(given.allow_resume))
    except OtherRunError as error:
        raise InputError(
            f"--allow_resume without --resume_file goes on with the run in {given.checkpoint_dir}, but {error}"
        ) from None


def _resume(train_from: Train, given: Flags, resumed: ResumePoint) -> None:
    """Go on from a ``.tar``.

    The file holds no optimiser. Where the same run left a full checkpoint in the folder, that is resumed instead, and
    the result is that of an uninterrupted run: if it is at least as far on, or if the ``.tar`` is of an earlier run of
    this program, which the run in the folder replaces.
    """
    first = resumed.epoch + 1
    folder = Path(given.checkpoint_dir)
    if resolved(folder) == resolved(resumed.path).parent:
        found = latest_checkpoint(folder)
        if found is not None and (found[1]["epoch"] >= first or (not given.resume_file and is_own_tar(resumed.path))):
            try:
                train_from(first_epoch=given.start_epoch)
                return
            except OtherRunError as error:
                say(f"{error}\nGoing on from the weights in {resumed.path} alone.", style="yellow")
    if first >= given.stop_epoch:
        say(f"{resumed.path} is epoch {resumed.epoch}, and the last is {given.stop_epoch - 1}: nothing to do")
        return
    say(f"going on from {resumed.path}, with epoch {first}")
    start = partial(train_from, initial_state=resumed.checkpoint.state, first_epoch=first)
    try:
        start()
    except OtherRunError:
        start(resume=False)


def _settings(given: Flags) -> TrainSettings:
    """The training settings of the flags, but for the batch size, which the data configuration has."""
    _require_known_model(given.model)
    values = {field: getattr(given, flag) for field, flag in SETTINGS.items()}
    values |= {"backbone": given.model.lower(), "save_every": 1, "loss": _loss_name(given), "precision": PRECISION}
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


def _require_known_model(name: str) -> None:
    if name.lower() not in [model.lower() for model in MODELS]:
        raise InputError(f"unknown model {name!r}. {did_you_mean(name, MODELS)}")
