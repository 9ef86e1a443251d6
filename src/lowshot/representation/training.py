"""Train a representation, or continue a run that was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from lowshot.contents import by_content
from lowshot.data import ImageDataset, Transforms
from lowshot.devices import resolve_precision
from lowshot.errors import InputError
from lowshot.files import Pathlike, fingerprint
from lowshot.plugins import plugin_of
from lowshot.registry import BACKBONES, LOSSES, OBJECTIVES
from lowshot.representation.checkpoints import latest_checkpoint
from lowshot.representation.launch import ProcessDied, launch
from lowshot.representation.loop import TrainingRun, train_in_process
from lowshot.representation.objectives.combination import objective_complaints
from lowshot.representation.settings import TrainSettings

FIRST_EPOCH, INITIAL_WEIGHTS = "first epoch", "initial weights"
"""The names in a run's identity of where it started, which it has only if that is neither epoch 0 nor random."""


class OtherRunError(InputError):
    """The folder holds a training run that this one cannot continue.

    Args:
        reason (str): The sentence that says why, without its full stop.
        advice (str): The sentence on what to do.
        differences (mapping): The value in the folder and the value asked for, by the name of what differs; empty where
            the run in the folder is only longer.

    Attributes:
        reason (str): As given.
        differences (dict): As given.
    """

    def __init__(self, reason: str, advice: str, differences: Mapping[str, tuple[Any, Any]] | None = None) -> None:
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice
        self.differences = dict(differences or {})

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}"


def train_representation(
    settings: TrainSettings,
    train: ImageDataset,
    val: ImageDataset | None,
    out_dir: Pathlike,
    transforms: Transforms,
    num_classes: int | None = None,
    seed: int = 0,
    workers: int | Literal["auto"] = "auto",
    resume: bool = True,
    *,
    initial_state: Mapping[str, Tensor] | None = None,
    first_epoch: int = 0,
    any_start: bool = False,
    on_save: Callable[[Path], None] | None = None,
) -> Path:
    """Train a backbone on labelled images, or continue a call that was cut off.

    The method is that of Hariharan & Girshick (arXiv 1606.02819): cross-entropy over all classes plus, on request, a
    weighted auxiliary loss; SGD with momentum. Objectives may change the head, batches and the loss. An interrupted run
    that is resumed ends in the same weights, bit for bit, as one that was not interrupted, because every random number
    is a function of the seed and the epoch.

    ``out_dir`` receives ``checkpoints/epoch_NNN.ckpt`` (N epochs done), ``log.jsonl`` (see
    :class:`~lowshot.representation.logs.TrainingLog`) and, on request, ``tensorboard/``.

    Args:
        settings (TrainSettings): The settings.
        train (ImageDataset): The training images, those of the base classes, with labels in 0..num_classes-1.
        val (ImageDataset or None): The images to validate on.
        out_dir (str or path): The folder of the run, which several machines must share.
        transforms (Transforms): The preset of both.
        num_classes (int or None): The number of columns of the classifier, for base and novel classes together; None
            takes the classes of ``train``.
        seed (int): The seed that everything random derives from.
        workers (int or "auto"): The number of loader processes of each training process.
        resume (bool): False removes the checkpoints of an earlier run in ``out_dir`` and starts anew.
        initial_state (mapping or None): The weights to start from, such as those of another run; None takes random
            ones.
        first_epoch (int): The number of epochs that the schedule takes as done when a run starts. The optimiser starts
            fresh.
        any_start (bool): True continues a run in ``out_dir`` whatever weights and epoch it started from:
            ``initial_state`` and ``first_epoch`` are then those of a new run alone.
        on_save (callable or None): The function that rank 0 calls with the path of each checkpoint once it exists, and
            with that of the checkpoint that a run is resumed from or that finished it earlier. It must pickle if
            processes are started.

    Returns:
        The path of the checkpoint of the last epoch, in every process under torchrun and SLURM. A finished run returns
        at once.

    Raises:
        InputError: Settings or data cannot be used.
        OtherRunError: ``out_dir`` holds a run of other settings, data or seed, or a longer one.
        LowshotError: The loss diverged, or a process died.

    Example::

        settings = TrainSettings(backbone="resnet10", backbone_options={"stem": "small"}, epochs=20)
        path = train_representation(settings, images, None, "runs/mine", build_transforms("small"))
        backbone = load_backbone(path)
    """
    folder = Path(out_dir)
    num_classes = train.num_classes if num_classes is None else num_classes
    settings = settings.model_copy(update={"precision": resolve_precision(settings.precision)})
    if wrong := objective_complaints(settings):
        raise InputError("; ".join(wrong))
    _check_data(train, num_classes)
    if val is not None:
        _check_data(val, num_classes)
    if not 0 <= first_epoch < settings.epochs:
        raise InputError(f"first_epoch is {first_epoch}, but a run of {settings.epochs} epochs starts before that")
    depends_on = _depends_on(settings, train, transforms, num_classes, seed, initial_state, first_epoch)
    found = latest_checkpoint(folder) if resume else None
    if found is not None:
        path, checkpoint = found
        if any_start:
            depends_on = _with_start_of(checkpoint["identity"], depends_on)
        _check_same_run(path, checkpoint["identity"], depends_on)
        if checkpoint["epoch"] == settings.epochs:
            if on_save is not None:
                on_save(path)
            return path
        if checkpoint["epoch"] > settings.epochs:
            raise OtherRunError(
                f"{path} has been trained for {checkpoint['epoch']} epochs already, more than the {settings.epochs} "
                "asked for",
                "Use another folder, or start anew with resume=False.",
            )
    run = TrainingRun(
        settings=settings,
        depends_on=depends_on,
        train=train,
        val=val,
        transforms=transforms,
        num_classes=num_classes,
        seed=seed,
        workers=workers,
        folder=folder,
        resume_from=found[0] if found else None,
        initial_state=initial_state,
        first_epoch=first_epoch,
        on_save=on_save,
    )
    try:
        return Path(launch(train_in_process, run, settings.devices, settings.precision))
    except ProcessDied:
        # Gloo can abort a process at its end, when everything has been written.
        found = latest_checkpoint(folder)
        if found is None or found[1]["epoch"] != settings.epochs or found[1]["identity"] != depends_on:
            raise
        return found[0]


def _depends_on(
    settings: TrainSettings,
    train: ImageDataset,
    transforms: Transforms,
    num_classes: int,
    seed: int,
    initial_state: Mapping[str, Tensor] | None,
    first_epoch: int,
) -> dict[str, Any]:
    """All that the weights depend on, as plain JSON values."""
    values = {
        **by_content(settings.fingerprinted()),
        "seed": seed,
        "num_classes": num_classes,
        "training images": train.fingerprint,
        "transforms": transforms.description,
    }
    if code := _plugin_code(settings):
        values["code"] = code
    if first_epoch:
        values[FIRST_EPOCH] = first_epoch
    if initial_state is not None:
        parts = (part for name, value in initial_state.items() for part in (name, value.detach().cpu().numpy()))
        values[INITIAL_WEIGHTS] = fingerprint(*parts)
    return json.loads(json.dumps(values))


def _with_start_of(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """An identity with the first epoch and the initial weights of another one."""
    start = (FIRST_EPOCH, INITIAL_WEIGHTS)
    kept = {key: value for key, value in now.items() if key not in start}
    return kept | {key: before[key] for key in start if key in before}


def _plugin_code(settings: TrainSettings) -> list[str]:
    """Digests of the plug-ins that define the backbone, the loss and objectives; lowshot's own have a version."""
    parts = [BACKBONES.entry(settings.backbone)] + ([LOSSES.entry(settings.loss)] if settings.loss else [])
    parts += [OBJECTIVES.entry(name) for one in settings.objective for name in one]
    return [plugin.digest for part in parts if (plugin := plugin_of(part.factory)) is not None]


def _check_data(images: ImageDataset, num_classes: int) -> None:
    if not len(images):
        raise InputError(
            "there are no images to train or validate on: the data set, or its choice of classes, is empty"
        )
    if images.labels.max() >= num_classes:
        raise InputError(
            f"a training label is {images.labels.max()}, but there are {num_classes} classes: labels run from 0 to "
            f"{num_classes - 1}"
        )


def _check_same_run(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run has the settings of the one it would continue; the message names each difference."""
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if keys:
        differences = {key: (before.get(key), now.get(key)) for key in keys}
        listed = "; ".join(f"{key} was {was!r}, is now {is_now!r}" for key, (was, is_now) in differences.items())
        raise OtherRunError(
            f"{path} belongs to another training run: {listed}",
            "Give the same settings to continue it, use another folder, or start anew with resume=False.",
            differences,
        )
