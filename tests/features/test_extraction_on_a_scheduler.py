"""Extraction as tasks of worker processes: the bytes of one process, whoever dies."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.data.base import ImageFiles
from lowshot.features import extraction
from lowshot.parallel import Engine
from tests.features.fakes import Pictures

Extract = Callable[..., Path]


class Deadly(Pictures):
    """Kills the process that loads row 21, the first time."""

    def __init__(self, size: int, marker: Path) -> None:
        super().__init__(size)
        self.marker = marker

    def _open(self, row: int) -> Image.Image:
        if row == 21 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._open(row)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SHARD_ROWS", 8)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    pytest.importorskip("ray")
    from lowshot.parallel.ray_cluster import ray_cluster

    with ray_cluster(2, None):
        yield Engine("ray", 2)


@pytest.fixture(params=["loky", "ray"])
def workers(request: pytest.FixtureRequest) -> Engine:
    return Engine("loky", 2) if request.param == "loky" else request.getfixturevalue("ray_engine")


def test_workers_write_the_bytes_of_one_process(extract: Extract, uninterrupted: bytes, workers: Engine) -> None:
    assert extract(scheduler=workers).read_bytes() == uninterrupted


def test_a_killed_worker_costs_its_shard(
    extract: Extract, uninterrupted: bytes, workers: Engine, tmp_path: Path
) -> None:
    assert extract(scheduler=workers, dataset=Deadly(37, tmp_path / "died")).read_bytes() == uninterrupted
    assert (tmp_path / "died").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["died", "f.h5", "uninterrupted.h5"]


def test_a_task_carries_the_paths_of_its_own_rows_alone(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path, [f"{i:0100}.png" for i in range(1000)], np.zeros(1000, int), ["a"])
    part = images.narrowed(10, 20)
    assert part.paths == images.paths[10:20]
    assert len(pickle.dumps(part)) < len(pickle.dumps(images)) / 20
