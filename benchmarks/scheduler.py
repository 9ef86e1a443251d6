"""The scheduler: two workers against one, and the memory that features of ImageNet's size take.

    python benchmarks/scheduler.py [--steps 2000] [--tasks 8] [--skip-memory] [--skip-workers] [--images 1280000]
                                   [--method-steps 200] [--engine loky] [--workers 2] [--folder DIR] [--json FILE]

Workers: tasks of equal size, each a softmax regression of --steps steps on one thread, are computed by one worker and
by two. The workers are started, and have imported what they need, before the clock runs. Target: 1.7 times as fast.

Memory: features of 1000 classes (--images × 512 float32; 2.6 GB on disk as they come) with ImageNet's split are written
to a temporary folder, then nearest_mean and logistic (--method-steps steps) are evaluated on both setups with n = 1 and
5 and two experiments. The resident memory of the driver and all its workers is sampled five times a second: their
proportional set sizes, in which a page that several processes map counts once. The sum of their resident set sizes,
which counts it in each of them, is printed as well. Target: below 4 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowshot.benchmark import Engine, run_benchmark
from lowshot.classifiers import Logistic, NearestMean
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.parallel.scheduler import run_tasks

DIM, CLASSES = 512, 1000
SIZES = {"base": (193, 196), "novel": (300, 311)}
PER_TEST = 50


@dataclass(frozen=True)
class Train:
    """One task of the comparison of workers."""

    key: str
    steps: int
    needs: tuple[str, ...] = ()
    group: str = "train"

    def run(self) -> float:
        rng = np.random.default_rng(0)
        features = rng.standard_normal((2000, DIM), dtype=np.float32)
        labels = np.arange(2000) % 100
        classifier = Logistic(n_steps=self.steps, batch_size=500, random_state=0).fit(features, labels)
        return float(classifier.coef_.mean())


def time_workers(workers: int, tasks: int, steps: int) -> tuple[float, list[float]]:
    """Seconds that started workers take, and the results, in the order of the tasks."""
    engine = Engine("loky", workers)
    run_tasks([Train(f"start {i}", 50) for i in range(4 * workers)], engine)
    results: dict[str, float] = {}
    start = time.perf_counter()
    work = [Train(f"task {i}", steps) for i in range(tasks)]
    run_tasks(work, engine, lambda task, result: results.__setitem__(task.key, result))
    return time.perf_counter() - start, [results[task.key] for task in work]


def write_features(folder: Path, images: int) -> None:
    """Class means and noise, cut off at zero as after a ReLU, a block in memory at a time; split and experiments."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((CLASSES, DIM), dtype=np.float32) / 4
    for part, count in (("train", images), ("test", PER_TEST * CLASSES)):
        labels = np.arange(count) * CLASSES // count
        with FeatureStore.create(folder / f"{part}.h5", DIM, count) as out:
            for start in range(0, count, 16384):
                block = labels[start : start + 16384]
                out.append(
                    np.maximum(means[block] + rng.standard_normal((len(block), DIM), dtype=np.float32), 0), block
                )
        if part == "train":
            names = [f"class {label}" for label in range(CLASSES)]
            ClassSplit.random(names, **SIZES, seed=0).to_json(folder / "label_idx.json")
            Experiments.random(labels, None, n_experiments=2, max_shots=5).write(str(folder / "splitfile_{:d}.json"))


class Memory(threading.Thread):
    """The most memory that this process and its descendants held together, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.proportional = self.resident = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.2):
            sizes = [_memory_of(process) for process in _family()]
            self.proportional = max(self.proportional, sum(pss for pss, _ in sizes))
            self.resident = max(self.resident, sum(rss for _, rss in sizes))

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def watched() -> Iterator[Memory]:
    memory = Memory()
    memory.start()
    try:
        yield memory
    finally:
        memory.stop()


def _family() -> list[int]:
    """This process and all its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    family = [int(Path("/proc/self").resolve().name)]
    for process in family:
        family += [child for child, parent in parents.items() if parent == process]
    return family


def _memory_of(process: int) -> tuple[int, int]:
    """Proportional and resident set size."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return sizes.get("Pss", 0), sizes.get("Rss", 0)


def measure_memory(folder: Path, engine: Engine, method_steps: int) -> dict[str, float]:
    """Evaluate two methods on the features of a folder."""
    train, test = FeatureStore.open(folder / "train.h5"), FeatureStore.open(folder / "test.h5")
    split = ClassSplit.from_json(folder / "label_idx.json")
    experiments = Experiments.from_files(str(folder / "splitfile_{:d}.json"))
    start = time.perf_counter()
    with watched() as memory:
        for classifier in (NearestMean(), Logistic(n_steps=method_steps)):
            records = run_benchmark(train, test, split, experiments, classifier, n_shots=(1, 5), engine=engine)
            top5 = [record["all_top5"] for record in records if record["setup"] == "test"]
            print(f"  {records[0]['method']:12} all top-5 {np.mean(top5):.4f}", flush=True)
    return {
        "seconds": time.perf_counter() - start,
        "resident_gb": memory.proportional / 1e9,
        "summed_rss_gb": memory.resident / 1e9,
        "disk_gb": (folder / "train.h5").stat().st_size / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--images", type=int, default=1_280_000)
    parser.add_argument("--method-steps", type=int, default=200)
    parser.add_argument("--engine", default="loky", choices=["serial", "loky", "ray"], help="of the memory part")
    parser.add_argument("--workers", type=int, default=2, help="of the memory part")
    parser.add_argument("--skip-workers", action="store_true")
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to put the temporary features (default: the system's)")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_features(args.write, args.images)
        return
    result: dict[str, object] = {}
    if not args.skip_workers:
        print(f"workers: {args.tasks} tasks of {args.steps} steps, one thread each", flush=True)
        one, alone = time_workers(1, args.tasks, args.steps)
        two, shared = time_workers(2, args.tasks, args.steps)
        if alone != shared:
            sys.exit("one and two workers gave different results")
        print(f"  one {one:7.1f} s   two {two:7.1f} s   {one / two:.2f} times as fast, the same results", flush=True)
        result["workers"] = {"one": one, "two": two, "ratio": one / two, "tasks": args.tasks, "steps": args.steps}
    if not args.skip_memory:
        print(
            f"memory: {args.images} × {DIM}, {CLASSES} classes, engine {args.engine}, {args.workers} workers",
            flush=True,
        )
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            # In a process of its own: what writing takes is not what evaluation takes.
            command = [sys.executable, __file__, "--write", name, "--images", str(args.images)]
            subprocess.run(command, check=True)
            workers = None if args.engine == "serial" else args.workers
            memory = measure_memory(Path(name), Engine(args.engine, workers), args.method_steps)
        print(
            f"  {memory['disk_gb']:.2f} GB on disk, {memory['resident_gb']:.2f} GB resident at most "
            f"(resident set sizes added up {memory['summed_rss_gb']:.2f} GB), {memory['seconds']:.0f} s"
        )
        result["memory"] = {**memory, "images": args.images, "engine": args.engine, "workers": args.workers}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
