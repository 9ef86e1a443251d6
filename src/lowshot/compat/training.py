"""The work of ``main``: translate its flags to a training of the library, run it, and write ``.tar``s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from lowshot.compat.data_config import read_source, transforms_of
from lowshot.compat.formats.checkpoint import write_checkpoint
from lowshot.compat.memory import keep_freed_memory
from lowshot.compat.names import LOSS_NAMES, MODELS
from lowshot.compat.overwriting import may_replace_all, require_own
from lowshot.compat.precision import PRECISION, only_float32
from lowshot.compat.program import Flags
from lowshot.compat.resuming import SETTINGS, ResumePoint, resume, resume_point
from lowshot.compat.training_files import PROGRAM, is_own_tar, numbered_tars, require_own_training
from lowshot.errors import InputError, did_you_mean
from lowshot.files import exists, is_folder, require_writable
from lowshot.progress import say
from lowshot.recipe.complaints import complaints
from lowshot.registry import LOSSES
from lowshot.representation import TrainSettings, load_backbone, train_representation


def train(given: Flags) -> None:
    """Run the program.

    Raises:
        InputError: A flag, a file, or the folder of checkpoints cannot be used. Nothing is written then.
        LowshotError: The training diverged.
    """
    settings = _settings(given)
    folder = Path(given.checkpoint_dir)
    require_writable(folder, "--checkpoint_dir", folder=True)
    resumed = resume_point(given)
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
    if given.allow_resume:
        resume(train_from, given, resumed)
    else:
        train_from(first_epoch=given.start_epoch, resume=False)


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
        if exists(target) and (is_folder(target) or not (is_own_tar(target) or may_replace_all())):
            say(f"{target} was written by something else since this run began: it stays, see {path}", style="yellow")
            return
        write_checkpoint(target, load_backbone(path), epoch, PROGRAM)

    def saves(self, epoch: int) -> bool:
        """Return True if the original saves this epoch."""
        return epoch % self.save_freq == 0 or epoch + 1 == self.stop_epoch


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
        for path in (path for epoch in replaced for path in numbered[epoch]):
            require_own(path, "--checkpoint_dir", is_own_tar)
    except InputError as error:
        advice = "" if given.allow_resume else ". --allow_resume 1 goes on from the one of the highest number"
        raise InputError(f"{error}{advice}") from None
    require_own_training(folder)


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
