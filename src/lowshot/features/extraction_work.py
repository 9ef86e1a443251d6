"""The work of an extraction: the choice of the engine, the features of the rows of a shard, the file of all shards."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from lowshot.data.base import ImageDataset
from lowshot.devices import device_of_process
from lowshot.errors import InputError
from lowshot.features.cache import Cached, FeatureCache
from lowshot.features.embedder import Embedder
from lowshot.features.engines import AUTOCAST, ENGINES
from lowshot.features.engines.choice import LEAST_IMAGES, SAMPLE
from lowshot.features.loading import load_batches
from lowshot.features.shard import Shard, shard_ranges
from lowshot.features.store import FeatureStore
from lowshot.files import fingerprint, read_json, write_json
from lowshot.progress import Tick


@dataclass
class ExtractionWork:
    """The work of an extraction, or the part of it that one shard needs, which is pickled to a process.

    Attributes:
        embedder (Embedder): The embedder of the images.
        dataset (ImageDataset): The images, from row ``first_row`` of the features file on.
        target (Path): The features file.
        batch_size (int): The number of images per forward pass.
        workers (int or "auto"): The number of loader processes.
        dtype (str): The dtype of the file.
        cache (FeatureCache or None): The cache of features.
        cached (Cached or None): The features of the data set that it knew.
        first_row (int): The row of the features file that is row 0 of the data set.
    """

    embedder: Embedder
    dataset: ImageDataset
    target: Path
    batch_size: int
    workers: int | Literal["auto"]
    dtype: str
    cache: FeatureCache | None = None
    cached: Cached | None = None
    first_row: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the features depend on."""
        return fingerprint(self.embedder.fingerprint, self.dataset.fingerprint, self.dtype)

    def look_up(self) -> None:
        """Find features that are known."""
        self.cache = FeatureCache(self.embedder)
        self.cached = self.cache.find(self.dataset)

    def of_shard(self, shard: Shard) -> ExtractionWork:
        """Return the work with the images and known features of a shard alone."""
        cached = None if self.cached is None else self.cached.of_rows(shard.start, shard.stop)
        images = self.dataset.narrowed(shard.start, shard.stop)
        return replace(self, dataset=images, cached=cached, first_row=shard.start)

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
        """Extract the remaining rows of the shard that this is the work of, on the device of process ``number``."""
        with shard.writing() as rows:
            position = rows.done  # rows of this data set, here and below
            known = np.zeros(len(self.dataset), bool) if self.cached is None else self.cached.known
            missing = position + np.flatnonzero(~known[position:])

            def append(stop: int, numbers: np.ndarray, features: np.ndarray) -> None:
                nonlocal position
                block = np.empty((stop - position, self.embedder.dim), np.float32)
                if self.cached is not None:
                    block[:] = self.cached.features[position:stop]
                block[numbers - position] = features
                rows.append(block)
                tick(len(block))
                position = stop

            if len(missing):
                embedder = self.embedder.on(device_of_process(number))
                batches = load_batches(self.dataset.subset(missing), embedder.transform, self.batch_size, self.workers)
                with embedder, contextlib.closing(batches):
                    for pixels, within in batches:
                        numbers = missing[within]
                        features = embedder.features(pixels)
                        self._require_finite(features, numbers)
                        append(int(numbers[-1]) + 1, numbers, features)
                        if self.cache is not None and self.cached is not None:
                            digests = [self.cached.digests[row] for row in numbers.tolist()]
                            self.cache.add(digests, features, embedder.engine, embedder.precision)
            if position < len(self.dataset):
                append(len(self.dataset), np.empty(0, np.int64), np.empty((0, self.embedder.dim), np.float32))

    def _require_finite(self, features: np.ndarray, numbers: np.ndarray) -> None:
        if len(bad := np.flatnonzero(~np.isfinite(features).all(axis=1))):
            row = int(numbers[bad[0]])
            raise InputError(
                f"the backbone gives NaN or infinity for image {self.dataset.paths[row]} (row {self.first_row + row})"
            )

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
