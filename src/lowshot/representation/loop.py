"""The training loop of one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from lowshot.data import ImageDataset, ImageLoader, Transforms, make_loader
from lowshot.devices import seeded
from lowshot.errors import InputError
from lowshot.files import fingerprint
from lowshot.progress import Tick, progress, say
from lowshot.representation.backbones import Backbone, attach_head, build_backbone
from lowshot.representation.checkpoints import (
    load_state,
    rebuild_backbone,
    remove_checkpoints,
    remove_unfinished,
    save_checkpoint,
)
from lowshot.representation.logs import TrainingLog
from lowshot.representation.meter import EpochMeter, validate
from lowshot.representation.objectives import TrainingClasses
from lowshot.representation.paths import checkpoint_path
from lowshot.representation.pretrained import build_pretrained
from lowshot.representation.settings import TrainSettings
from lowshot.representation.step import Trainer
from lowshot.torch_files import load_torch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LOSS_EVERY = 10  # steps; each reading of the running loss makes a GPU wait


@dataclass(frozen=True)
class TrainingRun:
    """The parameters of :func:`~lowshot.representation.train_representation`, which are pickled to its processes.

    Attributes:
        depends_on (dict): All that the weights depend on, JSON-like; it is stored in each checkpoint.
        resume_from (Path or None): The checkpoint to continue from; None starts a run.
    """

    settings: TrainSettings
    depends_on: dict[str, Any]
    train: ImageDataset
    val: ImageDataset | None
    transforms: Transforms
    num_classes: int
    seed: int
    workers: int | Literal["auto"]
    folder: Path
    resume_from: Path | None
    initial_state: Mapping[str, Tensor] | None = None
    first_epoch: int = 0
    on_save: Callable[[Path], None] | None = None


def train_in_process(fabric: Fabric, run: TrainingRun) -> str:
    """Train to the last epoch as one of the processes of a run, and return the path of the last checkpoint."""
    with seeded(run.seed):
        return str(_TrainingLoop(fabric, run).train())


class _TrainingLoop:
    """The network and the batches of one process, and the epochs over them."""

    def __init__(self, fabric: Fabric, run: TrainingRun) -> None:
        self.fabric, self.run, self.settings = fabric, run, run.settings
        settings, shard = run.settings, (fabric.global_rank, fabric.world_size)
        self.batches = _training_batches(run, shard)
        self.steps = len(self.batches)
        self.val_batches = None
        if run.val is not None and settings.validate_every:
            batch = settings.batch_size // fabric.world_size
            self.val_batches = make_loader(run.val, run.transforms.eval, batch, workers=run.workers, shard=shard)

        classes = TrainingClasses(torch.from_numpy(np.unique(run.train.labels)), run.train.class_names)
        if run.resume_from is None:
            backbone = _first_backbone(settings, run.num_classes)
            if run.initial_state is not None:
                load_state(backbone, run.initial_state, "the initial state")
            self.trainer = Trainer(fabric, backbone, run.transforms.normalize, settings, classes)
            self.epoch = run.first_epoch
            self.trainer.steps_done = self.epoch * self.steps
        else:
            start = load_torch(run.resume_from)
            backbone = rebuild_backbone(start, f"checkpoint {run.resume_from}")
            self.trainer = Trainer(fabric, backbone, run.transforms.normalize, settings, classes)
            self.trainer.load(start, f"checkpoint {run.resume_from}")
            self.epoch = start["epoch"]

    def train(self) -> Path:
        """Train to the last epoch and return the path of the last checkpoint."""
        settings, rank0 = self.settings, self.fabric.is_global_zero
        path = self.run.resume_from
        log = None
        if rank0:
            log = TrainingLog(self.run.folder, self.epoch, settings.tensorboard)
            remove_unfinished(self.run.folder)
            if path is None:
                remove_checkpoints(self.run.folder)
            else:
                say(f"continuing from {path}")
                self._announce(path)
        title = f"train {self.trainer.backbone.config['name']}"
        total, done = settings.epochs * self.steps, self.epoch * self.steps
        with progress(title, total, done, enabled=rank0) as tick:
            while self.epoch < settings.epochs:
                record = self._train_epoch(tick)
                self.epoch += 1
                record |= self._validate()
                if log is not None:
                    log.add(record)
                    say(_summary(record, settings.epochs))
                if self.epoch % settings.save_every == 0 or self.epoch == settings.epochs:
                    path = self._save()
        if log is not None:
            log.close()
        assert path is not None  # a run that is already finished is not started
        return path

    def _train_epoch(self, tick: Tick) -> dict[str, Any]:
        """Train for one epoch and return its log record, the same in every process."""
        self.batches.set_epoch(self.epoch)
        torch.manual_seed(_epoch_seed(self.run.seed, self.epoch, self.fabric.global_rank))
        self.trainer.model.train()
        meter = EpochMeter(self.fabric, self.epoch)
        begin = time.perf_counter()
        for step, (images, labels, _) in enumerate(self.batches):
            lr = self.settings.lr_at(self.epoch + step / self.steps)
            labels = self.fabric.to_device(labels)
            meter.add(step, self.trainer.step(images, labels, lr), labels)
            if step % _LOSS_EVERY == 0:
                loss = meter.mean_loss()
                speed = (step + 1) * len(labels) * self.fabric.world_size / (time.perf_counter() - begin)
                epoch = f"epoch {self.epoch + 1}/{self.settings.epochs}"
                tick(1, f"{epoch}  loss {loss:.3f}  {speed:.0f} images/s  lr {lr:.4g}")
            else:
                tick(1)
        totals = meter.totals()
        seconds = time.perf_counter() - begin
        return {
            "epoch": self.epoch + 1,
            "lr": self.settings.lr_at(self.epoch),
            "loss": totals["loss"],
            "cross_entropy": totals["cross_entropy"],
            "auxiliary": totals["auxiliary"] if self.trainer.loss is not None else None,
            "train_top1": totals["top1"],
            **({"objective": further} if (further := meter.further()) else {}),
            "seconds": round(seconds, 3),
            "images_per_second": round(totals["images"] / seconds, 1),
        }

    def _validate(self) -> dict[str, float | None]:
        """The accuracies of the log record, after an epoch whose validation is due."""
        every = self.settings.validate_every
        if self.val_batches is None or (self.epoch % every and self.epoch != self.settings.epochs):
            return {"val_top1": None, "val_top5": None}
        top1, top5 = validate(self.trainer, self.val_batches)
        return {"val_top1": top1, "val_top5": top5}

    def _save(self) -> Path:
        """Write the checkpoint of the finished epoch and wait for it in every process."""
        if self.fabric.is_global_zero:
            backbone = self.trainer.evaluated
            checkpoint = {
                "epoch": self.epoch,
                "state": {key: value.cpu().contiguous() for key, value in backbone.state_dict().items()},
                **self.trainer.state(),
                "optimizer": self.trainer.optimizer.state_dict(),
                # Learning rate and random numbers are functions of these, which are thus their whole state.
                "schedule": {"epoch": self.epoch, "step": self.epoch * self.steps},
                "random": {"seed": self.run.seed, "epoch": self.epoch},
                "backbone": backbone.config,
                "settings": self.settings.model_dump(mode="json"),
                "identity": self.run.depends_on,
                "fingerprint": fingerprint(self.run.depends_on),
                "class_names": self.run.train.class_names,
            }
            self._announce(save_checkpoint(self.run.folder, checkpoint, self.settings.keep))
        self.fabric.barrier()
        return checkpoint_path(self.run.folder, self.epoch)

    def _announce(self, path: Path) -> None:
        if self.run.on_save is not None:
            self.run.on_save(path)


def _first_backbone(settings: TrainSettings, num_classes: int) -> Backbone:
    """The network that a run starts with."""
    name, options = settings.backbone, settings.backbone_options
    if settings.pretrained:
        backbone = build_pretrained(name, num_classes, settings.pretrained, **options)
    else:
        backbone = build_backbone(name, num_classes, **options)
    return attach_head(backbone, settings.objective)


def _training_batches(run: TrainingRun, shard: tuple[int, int]) -> ImageLoader:
    """Make the loader of one process for shuffled, augmented batches.

    An incomplete last batch is left out, since its few images would weigh more than the others; these images differ
    from epoch to epoch. A data set smaller than a batch is one batch.
    """
    images, batch_size, processes = run.train, run.settings.batch_size, shard[1]
    if batch_size % processes:
        raise InputError(f"batch_size {batch_size} cannot be shared evenly by {processes} processes")
    batch, shard_size = batch_size // processes, -(-len(images) // processes)
    if min(batch, shard_size) < 2:
        raise InputError(
            f"{len(images)} training images in batches of {batch_size} leave each of {processes} processes "
            f"{min(batch, shard_size)} a step; batch norm needs at least 2"
        )
    return make_loader(
        images,
        run.transforms.train,
        batch,
        shuffle=True,
        seed=run.seed,
        workers=run.workers,
        shard=shard,
        drop_last=shard_size >= batch,
    )


def _epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """The seed of what a backbone draws itself, such as dropout; order and augmentation have their own seeds."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


def _summary(record: dict[str, Any], epochs: int) -> str:
    """The log record of an epoch in one line for a person."""
    parts = [f"epoch {record['epoch']}/{epochs}: loss {record['loss']:.3f}", f"top-1 {record['train_top1']:.1%}"]
    if record["val_top1"] is not None:
        parts.append(f"val {record['val_top1']:.1%}, top-5 {record['val_top5']:.1%}")
    return ", ".join([*parts, f"{record['images_per_second']:.0f} images/s"])
