"""A classifier that writes down each block of runs, and a benchmark with it in a process of its own, to be killed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from lowshot.benchmark import Engine, ResultStore, run_benchmark
from lowshot.classifiers import NearestMean
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from tests.parallel.tasks import note

PAUSE = "SECONDS_PER_BLOCK_OF_RUNS"


class Counting(NearestMean):
    """Nearest mean that leaves a line per block of runs, and takes its time where the environment says so."""

    def __init__(self, folder: str = ".") -> None:
        super().__init__()
        self.folder = folder

    def fit_novel_runs(self, runs, seeds):
        fitted = super().fit_novel_runs(runs, seeds)
        time.sleep(float(os.environ.get(PAUSE, "0")))
        note(Path(self.folder), f"{seeds[0]}")
        return fitted


def measure(folder: Path, store: Path, n_shots: tuple[int, ...], engine: Engine) -> list[dict]:
    """The benchmark on the parts that lie in a folder."""
    return run_benchmark(
        FeatureStore.open(folder / "features" / "train.h5"),
        FeatureStore.open(folder / "features" / "test.h5"),
        ClassSplit.from_json(folder / "label_idx.json"),
        Experiments.from_files(folder / "splitfile_{:d}.json"),
        Counting(str(folder)),
        n_shots=n_shots,
        store=ResultStore(store),
        engine=engine,
    )


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), (1, 2, 3, 4, 5), Engine(sys.argv[3], 2))
