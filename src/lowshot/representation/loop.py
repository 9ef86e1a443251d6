"""The training loop as one process runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from lowshot.data import ImageDataset, Transforms, make_loader
from lowshot.files import fingerprint
from lowshot.progress import Tick, progress, say
from lowshot.representation.backbones import build_backbone
from lowshot.representation.batches import training_batches
from lowshot.representation.checkpoints import (
    load_state,
    rebuild_backbone,
    remove_checkpoints,
    remove_unfinished,
    save_checkpoint,
)
from lowshot.representation.evaluation import validate
from lowshot.representation.logs import TrainingLog
from lowshot.representation.meter import Meter
from lowshot.representation.paths import checkpoint_path
from lowshot.representation.schedule import learning_rate
from lowshot.representation.settings import TrainSettings
from lowshot.representation.step import Trainer
from lowshot.torch_files import load_torch

_STEPS_BETWEEN_LOOKS = 10
"""How often the running loss is read: each read makes a GPU wait."""


@dataclass(frozen=True)
class Job:
    """Everything a process needs to take part in a run; travels to started processes."""

    settings: TrainSettings
    identity: dict[str, Any]
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


def run(fabric: Fabric, job: Job) -> str:
    """Train to the last epoch; returns the path of the last checkpoint."""
    devices = [fabric.device.index] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        return str(_Run(fabric, job).train())


class _Run:
    """One process's part of a run: network and batches, and the epochs over them."""

    def __init__(self, fabric: Fabric, job: Job) -> None:
        self.fabric, self.job, self.settings = fabric, job, job.settings
        settings, shard = job.settings, (fabric.global_rank, fabric.world_size)
        self.batches = training_batches(job.train, job.transforms, settings.batch_size, job.seed, job.workers, shard)
        self.steps = len(self.batches)
        self.val_batches = None
        if job.val is not None and settings.validate_every:
            batch = settings.batch_size // fabric.world_size
            self.val_batches = make_loader(job.val, job.transforms.eval, batch, workers=job.workers, shard=shard)

        torch.manual_seed(job.seed)
        if job.resume_from is None:
            backbone = build_backbone(settings.backbone, job.num_classes, **settings.backbone_options)
            if job.initial_state is not None:
                load_state(backbone, job.initial_state, "the initial state")
            self.trainer = Trainer(fabric, backbone, job.transforms.normalize, settings)
            self.epoch = job.first_epoch
        else:
            start = load_torch(job.resume_from)
            backbone = rebuild_backbone(start, f"checkpoint {job.resume_from}")
            self.trainer = Trainer(fabric, backbone, job.transforms.normalize, settings)
            self.trainer.optimizer.load_state_dict(start["optimizer"])
            self.epoch = start["epoch"]

    def train(self) -> Path:
        settings, rank0 = self.settings, self.fabric.is_global_zero
        path = self.job.resume_from
        log = None
        if rank0:
            log = TrainingLog(self.job.folder, self.epoch, settings.tensorboard)
            remove_unfinished(self.job.folder)
            if path is None:
                remove_checkpoints(self.job.folder)
            else:
                say(f"going on from {path}")
                self._tell(path)
        title = f"train {self.trainer.backbone.config['name']}"
        total, done = settings.epochs * self.steps, self.epoch * self.steps
        with progress(title, total, done, enabled=rank0) as tick:
            while self.epoch < settings.epochs:
                record = self._train_epoch(tick)
                self.epoch += 1
                record |= self._validate()
                if log is not None:
                    log.add(record)
                    say(_line(record, settings.epochs))
                if self.epoch % settings.save_every == 0 or self.epoch == settings.epochs:
                    path = self._save()
        if log is not None:
            log.close()
        assert path is not None  # a run that is already finished is not started
        return path

    def _train_epoch(self, tick: Tick) -> dict[str, Any]:
        """One pass; returns its log record, the same in every process."""
        self.batches.set_epoch(self.epoch)
        torch.manual_seed(_epoch_seed(self.job.seed, self.epoch, self.fabric.global_rank))
        self.trainer.model.train()
        meter = Meter(self.fabric, self.epoch)
        begin = time.perf_counter()
        for step, (images, labels, _) in enumerate(self.batches):
            rate = learning_rate(self.settings, self.epoch + step / self.steps)
            labels = self.fabric.to_device(labels)
            meter.add(step, self.trainer.step(images, labels, rate), labels)
            if step % _STEPS_BETWEEN_LOOKS == 0:
                running = meter.look()
                speed = (step + 1) * len(labels) * self.fabric.world_size / (time.perf_counter() - begin)
                place = f"epoch {self.epoch + 1}/{self.settings.epochs}"
                tick(1, f"{place}  loss {running:.3f}  lr {rate:.4g}  {speed:.0f} images/s")
            else:
                tick(1)
        totals = meter.totals()
        seconds = time.perf_counter() - begin
        return {
            "epoch": self.epoch + 1,
            "lr": learning_rate(self.settings, self.epoch),
            "loss": totals["loss"],
            "cross_entropy": totals["cross_entropy"],
            "auxiliary": totals["auxiliary"] if self.trainer.loss is not None else None,
            "train_top1": totals["top1"],
            "seconds": round(seconds, 3),
            "images_per_second": round(totals["images"] / seconds, 1),
        }

    def _validate(self) -> dict[str, float | None]:
        """Accuracies after an epoch that is due for it, as they enter the log record."""
        every = self.settings.validate_every
        if self.val_batches is None or (self.epoch % every and self.epoch != self.settings.epochs):
            return {"val_top1": None, "val_top5": None}
        top1, top5 = validate(self.trainer, self.val_batches)
        return {"val_top1": top1, "val_top5": top5}

    def _save(self) -> Path:
        """Write the checkpoint of the finished epoch and wait until it is there."""
        if self.fabric.is_global_zero:
            backbone = self.trainer.backbone
            checkpoint = {
                "epoch": self.epoch,
                "state": {key: value.cpu().contiguous() for key, value in backbone.state_dict().items()},
                "optimizer": self.trainer.optimizer.state_dict(),
                # Rate and random numbers are functions of these, so their positions are their whole state.
                "schedule": {"epoch": self.epoch, "step": self.epoch * self.steps},
                "random": {"seed": self.job.seed, "epoch": self.epoch},
                "backbone": backbone.config,
                "settings": self.settings.model_dump(mode="json"),
                "identity": self.job.identity,
                "fingerprint": fingerprint(self.job.identity),
                "class_names": self.job.train.class_names,
            }
            self._tell(save_checkpoint(self.job.folder, checkpoint, self.settings.keep))
        self.fabric.barrier()
        return checkpoint_path(self.job.folder, self.epoch)

    def _tell(self, path: Path) -> None:
        if self.job.on_save is not None:
            self.job.on_save(path)


def _epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """For what a backbone draws itself, such as dropout; order and augmentation have seeds of their own."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


def _line(record: dict[str, Any], epochs: int) -> str:
    """The record of an epoch for a person."""
    parts = [f"epoch {record['epoch']}/{epochs}: loss {record['loss']:.3f}", f"train top-1 {record['train_top1']:.1%}"]
    if record["val_top1"] is not None:
        parts.append(f"val top-1 {record['val_top1']:.1%}, top-5 {record['val_top5']:.1%}")
    return ", ".join([*parts, f"{record['images_per_second']:.0f} images/s"])
