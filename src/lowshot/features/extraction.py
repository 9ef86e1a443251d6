"""Images through a backbone into a features file: in one pass, in little memory, by one process or many."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from lowshot.checks import check_choice
from lowshot.data.base import ImageDataset
from lowshot.data.loading import make_loader
from lowshot.data.transforms import Transforms
from lowshot.devices import device_of_process
from lowshot.errors import InputError
from lowshot.features.forward import AUTOCAST, Forward, ahead
from lowshot.features.launch import end_with_parent, run_in_processes
from lowshot.features.shard import Shard, cut
from lowshot.features.store import FeatureStore
from lowshot.files import Pathlike, fingerprint
from lowshot.progress import Tick, progress, say
from lowshot.ranks import launched_ranks


def extract_features(
    backbone: torch.nn.Module,
    dataset: ImageDataset,
    transforms: Transforms,
    out: Pathlike,
    *,
    batch_size: int = 256,
    precision: str = "bf16-mixed",
    workers: int | Literal["auto"] = "auto",
    devices: int = 1,
    dtype: str = "float32",
    resume: bool = True,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> Path:
    """Save the features of every image of a data set, in row order, with labels, paths and class names.

    Memory follows the batch, not the data set. Finished rows are kept in hidden files beside ``out``; after a kill
    the same call goes on from there and ends in the same bytes as an uninterrupted one. ``out`` appears at the end.

    Under torchrun or SLURM every rank makes the same call and does its share;
    ``out`` exists when it returns.

    Args:
        backbone: ``forward`` returns (scores, features); ``feature_dim`` is D.
        dataset: the images.
        transforms: their ``eval`` and ``normalize`` are used.
        out: the features file.
        batch_size: images per forward pass and process.
        precision: "32-true", "bf16-mixed" or "16-mixed" (autocast).
        workers: loader processes per process; 0 loads in a thread beside the model, "auto" is as many as pay.
        devices: processes that share the images, each on its own GPU where there are GPUs.
        dtype: of the file, "float32" or "float16".
        resume: go on from an earlier, unfinished call with the same backbone, images, transforms and precision.
        attributes: further attributes of the file.

    Returns:
        The path of the features file.

    Raises:
        InputError: no images, an image that cannot be read, features that are NaN or infinite.
        LowshotError: a process was killed.
    """
    check_choice("precision", precision, tuple(AUTOCAST))
    if not len(dataset):
        raise InputError("there are no images to extract features from: the data set is empty")
    job = _Job(backbone, dataset, transforms, Path(out), batch_size, precision, workers, dtype)
    described = {
        "backbone": job.backbone_name,
        "precision": precision,
        "fingerprint": job.fingerprint,
        "backbone_fingerprint": job.backbone_fingerprint,
        "dataset_fingerprint": dataset.fingerprint,
        **(attributes or {}),
    }
    start = time.perf_counter()
    with launched_ranks() as ranks:
        shards = job.shards(ranks.size if ranks.size > 1 else devices)
        mine = shards[ranks.rank : ranks.rank + 1] if ranks.size > 1 else shards
        if not resume:
            for shard in mine:
                shard.discard()
        found = sum(shard.done() for shard in shards)
        with progress("extract", len(dataset), found, enabled=ranks.rank == 0) as tick:
            if len(mine) == 1:
                job.extract(mine[0], tick)
            elif mine:
                _extract_in_processes(job, mine, tick)
        ranks.wait()
        if ranks.rank == 0:
            job.join(shards, described)
            rate = (len(dataset) - found) / (time.perf_counter() - start)
            again = f", {found} from an earlier run" if found else ""
            say(f"{job.target}: features of {len(dataset)} images{again}; {rate:.0f} images/s")
        ranks.wait()
    return job.target


@dataclass
class _Job:
    """What the shares of one extraction have in common; travels to the processes."""

    backbone: torch.nn.Module
    dataset: ImageDataset
    transforms: Transforms
    target: Path
    batch_size: int
    precision: str
    workers: int | Literal["auto"]
    dtype: str

    def __post_init__(self) -> None:
        config = getattr(self.backbone, "config", {"name": type(self.backbone).__name__})
        self.backbone_name = str(config["name"])
        self.backbone_fingerprint = fingerprint(
            config,
            *(
                part
                for name, tensor in self.backbone.state_dict().items()
                for part in (name, tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
            ),
        )
        self.fingerprint = fingerprint(
            self.backbone_fingerprint,
            self.dataset.fingerprint,
            self.transforms.description,
            self.precision,
            self.dtype,
        )

    def shards(self, parts: int) -> list[Shard]:
        dim = int(self.backbone.feature_dim)  # type: ignore[arg-type]
        return [
            Shard(self.target, start, stop, dim, self.dtype, self.fingerprint)
            for start, stop in cut(len(self.dataset), self.batch_size, parts)
        ]

    def extract(self, shard: Shard, tick: Tick, number: int | None = None) -> None:
        """Do what is left of a shard, on the device of process ``number``."""
        with shard.writing() as rows:
            left = range(shard.start + rows.done, shard.stop)
            if not left:
                return
            loader = make_loader(self.dataset.subset(left), self.transforms.eval, self.batch_size, workers=self.workers)
            with (
                Forward(self.backbone, self.transforms.normalize, self.precision, device_of_process(number)) as forward,
                contextlib.closing(ahead(loader)) as batches,
            ):
                for images, _, numbers in batches:
                    features = forward(images)
                    if not np.isfinite(features).all():
                        row = left[int(numbers[np.flatnonzero(~np.isfinite(features).all(axis=1))[0]])]
                        image = self.dataset.paths[row]
                        raise InputError(f"the backbone gives NaN or infinity for image {image} (row {row})")
                    rows.append(features)
                    tick(len(features))

    def join(self, shards: Sequence[Shard], attributes: Mapping[str, Any]) -> None:
        """Put finished shards together under the target's name."""
        with FeatureStore.create(
            self.target,
            shards[0].dim,
            len(self.dataset),
            self.dtype,
            class_names=self.dataset.class_names,
            **attributes,
        ) as out:
            for shard in shards:
                for first, features in shard.blocks():
                    rows = slice(first, first + len(features))
                    out.append(features, self.dataset.labels[rows], self.dataset.paths[rows])
        Shard.discard_all(self.target)


def _extract_in_processes(job: _Job, shards: Sequence[Shard], tick: Tick) -> None:
    """A process per shard; what is on disk says how far they are."""
    shown = sum(shard.done() for shard in shards)

    def show() -> None:
        nonlocal shown
        done = sum(shard.done() for shard in shards)
        tick(done - shown)
        shown = done

    run_in_processes(_extract_one, [(job, shard) for shard in shards], show)


def _extract_one(share: tuple[_Job, Shard], number: int) -> None:
    job, shard = share
    job.extract(shard, lambda steps=1, note=None: end_with_parent(), number)
