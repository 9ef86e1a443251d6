"""Extract the features of images into a file, in one pass and little memory, with any number of processes."""

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
from lowshot.features.processes import end_with_parent, run_in_processes
from lowshot.features.shard import Shard, shard_ranges
from lowshot.features.store import FeatureStore
from lowshot.files import Pathlike, fingerprint
from lowshot.progress import Tick, progress, say
from lowshot.ranks import launched_ranks
from lowshot.representation import trunk_fingerprint


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

    Memory follows the batch, not the data set. Finished rows are saved in hidden files next to ``out``. If a call is
    killed, the same call continues from there and ends in the same bytes as an uninterrupted one. ``out`` appears at
    the end.

    Under torchrun or SLURM every rank makes the same call and extracts some of the rows; ``out`` exists when it
    returns.

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features), and ``feature_dim`` is D.
        dataset (ImageDataset): The images.
        transforms (Transforms): The preset, of which ``eval`` and ``normalize`` are used.
        out (str or path): The features file to write.
        batch_size (int): The number of images per forward pass of a process.
        precision (str): ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"`` (autocast).
        workers (int or "auto"): The number of loader processes of each process; 0 loads in a thread, and ``"auto"``
            takes as many as are faster.
        devices (int): The number of processes that share the images, each with its own GPU if there are GPUs.
        dtype (str): The dtype of the file, ``"float32"`` or ``"float16"``.
        resume (bool): True continues an unfinished call with the same backbone, images, transforms and precision.
        attributes (mapping): Further attributes of the file.

    Returns:
        The path of the features file.

    Raises:
        InputError: There are no images, an image cannot be read, a setting is unknown, or features are NaN or infinite.
        LowshotError: A process was killed.
    """
    check_choice("precision", precision, tuple(AUTOCAST))
    if not len(dataset):
        raise InputError("there are no images to extract features from: the data set is empty")
    extraction = _Extraction(backbone, dataset, transforms, Path(out), batch_size, precision, workers, dtype)
    described = {
        "backbone": extraction.backbone_name,
        "precision": precision,
        "preprocessing": transforms.preprocessing,
        "fingerprint": extraction.fingerprint,
        "backbone_fingerprint": extraction.backbone_fingerprint,
        "dataset_fingerprint": dataset.fingerprint,
        **(attributes or {}),
    }
    start = time.perf_counter()
    with launched_ranks() as ranks:
        shards = extraction.shards(ranks.size if ranks.size > 1 else devices)
        own = shards[ranks.rank : ranks.rank + 1] if ranks.size > 1 else shards
        if not resume:
            for shard in own:
                shard.discard()
        found = sum(shard.done() for shard in shards)
        with progress("extract", len(dataset), found, enabled=ranks.first) as tick:
            if len(own) == 1:
                extraction.extract(own[0], tick)
            elif own:
                _extract_in_processes(extraction, own, tick)
        ranks.wait()
        if ranks.first:
            extraction.join(shards, described)
            rate = (len(dataset) - found) / (time.perf_counter() - start)
            earlier = f", {found} from an earlier run" if found else ""
            say(f"{extraction.target}: features of {len(dataset)} images{earlier}; {rate:.0f} images/s")
        ranks.wait()
    return extraction.target


@dataclass
class _Extraction:
    """The part of an extraction that all shards share; it is pickled to the processes."""

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
        self.backbone_fingerprint = trunk_fingerprint(self.backbone)
        self.fingerprint = fingerprint(
            self.backbone_fingerprint,
            self.dataset.fingerprint,
            self.transforms.description,
            self.precision,
            self.dtype,
        )

    def shards(self, n_shards: int) -> list[Shard]:
        dim = int(self.backbone.feature_dim)  # type: ignore[arg-type]
        return [
            Shard(self.target, start, stop, dim, self.dtype, self.fingerprint)
            for start, stop in shard_ranges(len(self.dataset), self.batch_size, n_shards)
        ]

    def extract(self, shard: Shard, tick: Tick, number: int | None = None) -> None:
        """Extract the remaining rows of a shard, on the device of process ``number``."""
        with shard.writing() as rows:
            remaining = range(shard.start + rows.done, shard.stop)
            if not remaining:
                return
            images = self.dataset.subset(remaining)
            loader = make_loader(images, self.transforms.eval, self.batch_size, workers=self.workers)
            with (
                Forward(self.backbone, self.transforms.normalize, self.precision, device_of_process(number)) as forward,
                contextlib.closing(ahead(loader)) as batches,
            ):
                for batch, _, numbers in batches:
                    features = forward(batch)
                    if not np.isfinite(features).all():
                        row = remaining[int(numbers[np.flatnonzero(~np.isfinite(features).all(axis=1))[0]])]
                        image = self.dataset.paths[row]
                        raise InputError(f"the backbone gives NaN or infinity for image {image} (row {row})")
                    rows.append(features)
                    tick(len(features))

    def join(self, shards: Sequence[Shard], attributes: Mapping[str, Any]) -> None:
        """Write the features file from finished shards."""
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


def _extract_in_processes(extraction: _Extraction, shards: Sequence[Shard], tick: Tick) -> None:
    """Start a process per shard, and take the progress from the rows on disk."""
    shown = sum(shard.done() for shard in shards)

    def show() -> None:
        nonlocal shown
        done = sum(shard.done() for shard in shards)
        tick(done - shown)
        shown = done

    run_in_processes(_extract_one, [(extraction, shard) for shard in shards], show)


def _extract_one(argument: tuple[_Extraction, Shard], number: int) -> None:
    extraction, shard = argument
    extraction.extract(shard, lambda steps=1, note=None: end_with_parent(), number)
