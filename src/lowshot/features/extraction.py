"""Extract the features of images into a file, in one pass and little memory, with any number of processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from lowshot.data.base import ImageDataset
from lowshot.data.transforms import Transforms
from lowshot.errors import InputError
from lowshot.features.cache import MOST_IMAGES
from lowshot.features.embedder import Embedder
from lowshot.features.extraction_work import ExtractionWork
from lowshot.features.processes import end_with_parent, run_in_processes
from lowshot.features.shard import Shard
from lowshot.files import Pathlike
from lowshot.parallel import Engine, TaskGroup, run_groups
from lowshot.progress import Tick, progress, say
from lowshot.ranks import launched_ranks

SHARD_ROWS = 4096
"""The number of rows of a shard that is a task: a minute to ten of one core."""


def extract_features(
    backbone: torch.nn.Module,
    dataset: ImageDataset,
    transforms: Transforms,
    out: Pathlike,
    *,
    batch_size: int = 256,
    engine: str = "auto",
    precision: str = "bf16-mixed",
    views: str = "one",
    workers: int | Literal["auto"] = "auto",
    devices: int = 1,
    dtype: str = "float32",
    resume: bool = True,
    cache: bool = False,
    scheduler: Engine | None = None,
    attributes: Mapping[str, str | int | float | bool] | None = None,
    before_write: Callable[[], None] | None = None,
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
        engine (str): The inference engine: ``"torch"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"`` for the
            fastest of those that agree with torch.
        precision (str): ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"``, or ``"auto"`` for bfloat16 where the processor
            has it and its features agree with those of float32.
        views (str): The views of each image whose mean feature is saved: ``"one"``, ``"flip"``,
            ``"five_crop"``, ``"ten_crop"`` or ``"affine"``, as in :class:`Embedder`.
        workers (int or "auto"): The number of loader processes of each process; 0 loads in a thread, and ``"auto"``
            takes as many as are faster.
        devices (int): The number of processes that share the images, each with its own GPU if there are GPUs.
        dtype (str): The dtype of the file, ``"float32"`` or ``"float16"``.
        resume (bool): True continues an unfinished call with the same backbone, images, transforms, views and
            precision, on the engine that it began with.
        cache (bool): True takes features that an earlier call computed for the same image content, network,
            transforms, views and precision from the cache folder, and keeps new ones there; for data sets of up to
            ``MOST_IMAGES``, outside a launcher. Their last bits can differ from those of a call without cache, since
            other images shared their batch.
        scheduler (lowshot.parallel.Engine or None): The workers that compute shards of ``SHARD_ROWS`` rows as tasks,
            each on one core, such as those of a Ray cluster, which see ``out`` and the images at the same paths. The
            shards of a worker that dies go to others. None computes here, in ``devices`` processes.
        attributes (mapping): Further attributes of the file.
        before_write (callable or None): The function that the first rank calls when all rows are done, before ``out``
            appears. If it raises, the rows stay for another call.

    Returns:
        The path of the features file.

    Raises:
        InputError: There are no images, an image cannot be read, a setting is unknown, or features are NaN or infinite.
        LowshotError: A process was killed.
    """
    embedder = Embedder(backbone, transforms, engine=engine, precision=precision, views=views)
    if not len(dataset):
        raise InputError("there are no images to extract features from: the data set is empty")
    extraction = ExtractionWork(embedder, dataset, Path(out), batch_size, workers, dtype)
    start = time.perf_counter()
    with launched_ranks() as ranks:
        if cache and ranks.size == 1 and len(dataset) <= MOST_IMAGES:
            extraction.look_up()
        extraction.settle(*ranks.share(extraction.choice(resume) if ranks.first else None))
        tasks = scheduler is not None and ranks.size == 1
        n_shards = -(-len(dataset) // SHARD_ROWS) if tasks else ranks.size if ranks.size > 1 else devices
        shards = extraction.shards(n_shards)
        own = shards[ranks.rank : ranks.rank + 1] if ranks.size > 1 else shards
        if not resume:
            for shard in own:
                shard.discard()
        found = sum(shard.done() for shard in shards)
        if tasks:
            todo = [shard for shard in own if shard.done() < shard.stop - shard.start]
            run_groups(
                [TaskGroup("extract", [ShardTask(extraction.of_shard(shard), shard) for shard in todo], _ignore)],
                scheduler,
                title="extract shards",
            )
            own = []
        with progress("extract", len(dataset), found, enabled=ranks.first and not tasks) as tick:
            if len(own) == 1:
                extraction.of_shard(own[0]).extract(own[0], tick)
            elif own:
                _extract_in_processes(extraction, own, tick)
        ranks.wait()
        if ranks.first:
            if before_write is not None:
                before_write()
            extraction.join(shards, attributes or {})
            rate = (len(dataset) - found) / (time.perf_counter() - start)
            earlier = f", {found} from an earlier run" if found else ""
            say(f"{extraction.target}: features of {len(dataset)} images{earlier}; {rate:.0f} images/s")
        ranks.wait()
    return extraction.target


@dataclass(frozen=True)
class ShardTask:
    """The extraction of a shard by a worker of a scheduler. The rows stay on disk; a fresh worker goes on from there.

    Attributes:
        work (ExtractionWork): The work of the shard.
        shard (Shard): The shard.
    """

    work: ExtractionWork
    shard: Shard
    group: str = "extract"
    needs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"rows {self.shard.start}-{self.shard.stop}"

    def run(self, *needed: Any) -> None:
        # A worker has one core, which decodes in a thread beside the network.
        replace(self.work, workers=0).extract(self.shard, lambda steps=1, note=None: None)


def _ignore(task: Any, result: Any) -> None:
    pass


def _extract_in_processes(extraction: ExtractionWork, shards: Sequence[Shard], tick: Tick) -> None:
    """Start a process per shard, and take the progress from the rows on disk."""
    shown = sum(shard.done() for shard in shards)

    def show() -> None:
        nonlocal shown
        done = sum(shard.done() for shard in shards)
        tick(done - shown)
        shown = done

    run_in_processes(_extract_one, [(extraction.of_shard(shard), shard) for shard in shards], show)


def _extract_one(argument: tuple[ExtractionWork, Shard], number: int) -> None:
    extraction, shard = argument
    extraction.extract(shard, lambda steps=1, note=None: end_with_parent(), number)
