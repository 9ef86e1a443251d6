"""A classifier that writes down each block of runs, and a benchmark with it in a process of its own, to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lowshot.benchmark import Engine, ResultStore, run_benchmark
from lowshot.classifiers import NearestMean
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from tests.parallel.tasks import note


class Counting(NearestMean):
    """Nearest mean that takes its time and leaves a line per block of runs."""

    def __init__(self, folder: str = ".", pause: float = 0.0) -> None:
        super().__init__()
        self.folder = folder
        self.pause = pause

    def fit_novel_runs(self, runs, seeds):
        fitted = super().fit_novel_runs(runs, seeds)
        time.sleep(self.pause)
        note(Path(self.folder), f"{seeds[0]}")
        return fitted


def measure(folder: Path, store: Path, n_shots: tuple[int, ...], engine: Engine) -> list[dict]:
    """The benchmark on the parts that lie in a folder."""
    return run_benchmark(
        FeatureStore.open(folder / "features" / "train.h5"),
        FeatureStore.open(folder / "features" / "test.h5"),
        ClassSplit.from_json(folder / "label_idx.json"),
        Experiments.from_files(folder / "splitfile_{:d}.json"),
        Counting(str(folder), 0.2),
        n_shots=n_shots,
        store=ResultStore(store),
        engine=engine,
    )


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), (1, 2, 3, 4, 5), Engine(sys.argv[3], 2))
