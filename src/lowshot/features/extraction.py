"""Extract the features of images into a file, in one pass and little memory, with any number of processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from lowshot.data.base import ImageDataset
from lowshot.data.transforms import Transforms
from lowshot.devices import device_of_process
from lowshot.errors import InputError
from lowshot.features.cache import MOST_IMAGES, Cached, FeatureCache
from lowshot.features.embedder import Embedder
from lowshot.features.engines import AUTOCAST, ENGINES
from lowshot.features.engines.choice import LEAST_IMAGES, SAMPLE
from lowshot.features.loading import load_batches
from lowshot.features.processes import end_with_parent, run_in_processes
from lowshot.features.shard import Shard, shard_ranges
from lowshot.features.store import FeatureStore
from lowshot.files import Pathlike, fingerprint, read_json, write_json
from lowshot.progress import Tick, progress, say
from lowshot.ranks import launched_ranks


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
        engine (str): The inference engine: ``"torch"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"`` for the
            fastest of those that agree with torch.
        precision (str): ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"``, or ``"auto"`` for bfloat16 where the processor
            has it and its features agree with those of float32.
        views (str): The views of each image whose mean feature is saved: ``"one"``, ``"flip"`` or ``"ten_crop"``.
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
        attributes (mapping): Further attributes of the file.

    Returns:
        The path of the features file.

    Raises:
        InputError: There are no images, an image cannot be read, a setting is unknown, or features are NaN or infinite.
        LowshotError: A process was killed.
    """
    embedder = Embedder(backbone, transforms, engine=engine, precision=precision, views=views)
    if not len(dataset):
        raise InputError("there are no images to extract features from: the data set is empty")
    extraction = _Extraction(embedder, dataset, Path(out), batch_size, workers, dtype)
    start = time.perf_counter()
    with launched_ranks() as ranks:
        if cache and ranks.size == 1 and len(dataset) <= MOST_IMAGES:
            extraction.look_up()
        extraction.settle(*ranks.share(extraction.choice(resume) if ranks.first else None))
        shards = extraction.shards(ranks.size if ranks.size > 1 else devices)
        own = shards[ranks.rank : ranks.rank + 1] if ranks.size > 1 else shards
        if not resume:
            for shard in own:
                shard.discard()
        found = sum(shard.done() for shard in shards)
        with progress("extract", len(dataset), found, enabled=ranks.first) as tick:
            if len(own) == 1:
                extraction.of_shard(own[0]).extract(own[0], tick)
            elif own:
                _extract_in_processes(extraction, own, tick)
        ranks.wait()
        if ranks.first:
            extraction.join(shards, attributes or {})
            rate = (len(dataset) - found) / (time.perf_counter() - start)
            earlier = f", {found} from an earlier run" if found else ""
            say(f"{extraction.target}: features of {len(dataset)} images{earlier}; {rate:.0f} images/s")
        ranks.wait()
    return extraction.target


@dataclass
class _Extraction:
    """The part of an extraction that all shards share; it is pickled to the processes."""

    embedder: Embedder
    dataset: ImageDataset
    target: Path
    batch_size: int
    workers: int | Literal["auto"]
    dtype: str
    cache: FeatureCache | None = None
    cached: Cached | None = None

    def look_up(self) -> None:
        """Find features that are known."""
        self.cache = FeatureCache(self.embedder)
        self.cached = self.cache.find(self.dataset)

    def of_shard(self, shard: Shard) -> _Extraction:
        """Return the extraction with no more of the known features than those of a shard; they are pickled."""
        return self if self.cached is None else replace(self, cached=self.cached.of_rows(shard.start, shard.stop))

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.embedder.fingerprint, self.dataset.fingerprint, self.dtype)

    def choice(self, resume: bool) -> tuple[str, str]:
        """The engine and precision: those of an unfinished call, or the embedder's choice for the first images."""
        if resume and (known := self._unfinished_choice()) is not None:
            return known
        rows = range(len(self.dataset)) if self.cached is None else np.flatnonzero(~self.cached.known).tolist()
        if len(rows) >= LEAST_IMAGES:
            pixels = torch.stack([self.embedder.transform(self.dataset.load(row)) for row in rows[:SAMPLE]])
            self.embedder.decide(pixels, len(rows))
        engine, precision = self.embedder.engine, self.embedder.precision
        chosen = ("torch" if engine == "auto" else engine, "32-true" if precision == "auto" else precision)
        write_json(self._choice_file, {"fingerprint": self.fingerprint, "choice": chosen})
        return chosen

    @property
    def _choice_file(self) -> Path:
        return self.target.with_name(f".{self.target.name}.engine")

    def _unfinished_choice(self) -> tuple[str, str] | None:
        try:
            found = read_json(self._choice_file)
            engine, precision = found["choice"]
            known = found["fingerprint"] == self.fingerprint and ENGINES[engine].installed() and precision in AUTOCAST
            return (engine, precision) if known else None
        except (InputError, OSError, KeyError, TypeError, ValueError):
            return None  # no state, or a damaged one

    def settle(self, engine: str, precision: str) -> None:
        """Use this engine and precision, in every process."""
        self.embedder.settle(engine, precision)

    def shards(self, n_shards: int) -> list[Shard]:
        made_by = fingerprint(self.fingerprint, self.embedder.engine, self.embedder.precision)
        return [
            Shard(self.target, start, stop, self.embedder.dim, self.dtype, made_by)
            for start, stop in shard_ranges(len(self.dataset), self.batch_size, n_shards)
        ]

    def extract(self, shard: Shard, tick: Tick, number: int | None = None) -> None:
        """Extract the remaining rows of a shard, on the device of process ``number``."""
        with shard.writing() as rows:
            first = shard.start + rows.done
            cached = None if self.cached is None else self.cached.of_rows(first - shard.start, len(self.cached.known))
            known = np.zeros(shard.stop - first, bool) if cached is None else cached.known
            missing = first + np.flatnonzero(~known)
            position = first

            def append(stop: int, numbers: np.ndarray, features: np.ndarray) -> None:
                nonlocal position
                block = np.empty((stop - position, self.embedder.dim), np.float32)
                if cached is not None:
                    block[:] = cached.features[position - first : stop - first]
                block[numbers - position] = features
                rows.append(block)
                tick(len(block))
                position = stop

            if len(missing):
                images = self.dataset.subset(missing)
                embedder = self.embedder.on(device_of_process(number))
                batches = load_batches(images, embedder.transform, self.batch_size, self.workers)
                with embedder, contextlib.closing(batches):
                    for pixels, within in batches:
                        features, numbers = embedder.features(pixels), missing[within]
                        if not np.isfinite(features).all():
                            row = int(numbers[np.flatnonzero(~np.isfinite(features).all(axis=1))[0]])
                            image = self.dataset.paths[row]
                            raise InputError(f"the backbone gives NaN or infinity for image {image} (row {row})")
                        append(int(numbers[-1]) + 1, numbers, features)
                        if self.cache is not None and cached is not None:
                            digests = [cached.digests[row - first] for row in numbers.tolist()]
                            self.cache.add(digests, features, embedder.engine, embedder.precision)
            if position < shard.stop:
                append(shard.stop, np.empty(0, np.int64), np.empty((0, self.embedder.dim), np.float32))

    def join(self, shards: Sequence[Shard], attributes: Mapping[str, Any]) -> None:
        """Write the features file from finished shards."""
        embedder = self.embedder
        makers = set() if self.cached is None else set(self.cached.makers)
        if self.cached is None or not self.cached.known.all():
            makers.add((embedder.engine, embedder.precision))
        engine, precision = (", ".join(sorted(set(names))) for names in zip(*makers))
        described = {
            "backbone": str(getattr(embedder.backbone, "config", {"name": type(embedder.backbone).__name__})["name"]),
            "engine": engine,
            "precision": precision,
            "views": embedder.views,
            "preprocessing": embedder.transforms.preprocessing,
            "fingerprint": self.fingerprint,
            "embedder_fingerprint": embedder.fingerprint,
            "backbone_fingerprint": embedder.trunk_fingerprint,
            "dataset_fingerprint": self.dataset.fingerprint,
            **attributes,
        }
        with FeatureStore.create(
            self.target, embedder.dim, len(self.dataset), self.dtype, class_names=self.dataset.class_names, **described
        ) as out:
            for shard in shards:
                for first, features in shard.blocks():
                    rows = slice(first, first + len(features))
                    out.append(features, self.dataset.labels[rows], self.dataset.paths[rows])
        Shard.discard_all(self.target)
        self._choice_file.unlink(missing_ok=True)


def _extract_in_processes(extraction: _Extraction, shards: Sequence[Shard], tick: Tick) -> None:
    """Start a process per shard, and take the progress from the rows on disk."""
    shown = sum(shard.done() for shard in shards)

    def show() -> None:
        nonlocal shown
        done = sum(shard.done() for shard in shards)
        tick(done - shown)
        shown = done

    run_in_processes(_extract_one, [(extraction.of_shard(shard), shard) for shard in shards], show)


def _extract_one(argument: tuple[_Extraction, Shard], number: int) -> None:
    extraction, shard = argument
    extraction.extract(shard, lambda steps=1, note=None: end_with_parent(), number)
