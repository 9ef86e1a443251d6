"""The low-shot phase: 25 linear classifiers trained together against 25 processes that train one each.

    python benchmarks/low_shot_phase.py [--steps 2000] [--base 50] [--novel 50] [--full] [--threads N] [--json FILE]

Both do the same SGD: batches of 1000 of which B/(B+N) are base examples, 5 experiments of n = 1, 2, 5, 10 and 20 shots.
A plain process is what one writes first: it starts, opens the features file, reads the base rows of every batch from
HDF5, and lets autograd and torch.optim do the rest. Unless --full is given two of them are timed, from their start to
their end but with a hundred steps each; a step of all 25 is then taken to cost as much as theirs, and a start as well.
With --full all 25 run to the end and their accuracy is compared too. Target: a third of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch

from lowshot.classifiers.logistic import Logistic
from lowshot.features import FeatureStore

DIM, PER_BASE, PER_TEST, BATCH = 512, 500, 20, 1000
SHOTS, EXPERIMENTS, MAX_SHOTS = (1, 2, 5, 10, 20), 5, 20
SAMPLE_STEPS = 100


def write_features(folder: Path, base: int, novel: int) -> None:
    """Class means and noise, cut off at zero as after a ReLU; base classes first."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((base + novel, DIM), dtype=np.float32) / 4
    counts = {"train": [PER_BASE] * base + [MAX_SHOTS * EXPERIMENTS] * novel, "test": [PER_TEST] * (base + novel)}
    for part, per_class in counts.items():
        labels = np.repeat(np.arange(base + novel), per_class)
        with FeatureStore.create(folder / f"{part}.h5", DIM, len(labels)) as out:
            for rows in np.array_split(np.arange(len(labels)), 8):
                noise = rng.standard_normal((len(rows), DIM), dtype=np.float32)
                out.append(np.maximum(means[labels[rows]] + noise, 0), labels[rows])


def shots_of(labels: np.ndarray, base: int, n: int, experiment: int) -> np.ndarray:
    """The rows of one run's shots."""
    first = np.searchsorted(labels, np.arange(base, labels.max() + 1))
    return (first[:, None] + experiment * MAX_SHOTS + np.arange(n)).ravel()


def plain_process(folder: Path, base: int, steps: int, n: int, experiment: int) -> None:
    """One run of the plain baseline; prints the seconds its steps took and its accuracy."""
    torch.manual_seed(experiment)
    rng = np.random.default_rng(experiment)
    with h5py.File(folder / "train.h5") as file:
        labels = file["all_labels"][...].astype(np.int64)
        classes = int(labels.max()) + 1
        features = file["all_feats"]
        base_rows = np.flatnonzero(labels < base)
        rows = shots_of(labels, base, n, experiment)
        shots, shot_labels = features[rows], labels[rows]
        from_base = round(BATCH * base / classes)
        layer = torch.nn.Linear(DIM, classes)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, dampening=0.9, weight_decay=0.001)
        start = time.perf_counter()
        for _ in range(steps):
            chosen = np.sort(rng.choice(base_rows, from_base, replace=False))
            drawn = rng.integers(len(rows), size=BATCH - from_base)
            batch = torch.from_numpy(np.concatenate([[features[row] for row in chosen], shots[drawn]]))
            target = torch.from_numpy(np.concatenate([labels[chosen], shot_labels[drawn]]))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(batch), target).backward()
            optimizer.step()
        seconds = time.perf_counter() - start
    with h5py.File(folder / "test.h5") as file, torch.no_grad():
        guesses = layer(torch.from_numpy(file["all_feats"][...])).argmax(1).numpy()
        print(json.dumps({"steps": seconds, "accuracy": float(np.mean(guesses == file["all_labels"][...]))}))


def run_plain(folder: Path, base: int, steps: int, n: int, experiment: int, threads: int) -> dict[str, float]:
    """Start a plain process: seconds in all, seconds in steps, accuracy."""
    arguments = ["--plain", str(folder), "--base", base, "--steps", steps, "--run", n, experiment, "--threads", threads]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    return {"all": time.perf_counter() - start, **json.loads(done.stdout)}


def time_plain(folder: Path, base: int, steps: int, full: bool, threads: int) -> tuple[float, float | None]:
    """Seconds of 25 plain processes, and their mean accuracy where they ran to the end."""
    if full:
        runs = [run_plain(folder, base, steps, n, e, threads) for n in SHOTS for e in range(EXPERIMENTS)]
        return sum(run["all"] for run in runs), statistics.mean(run["accuracy"] for run in runs)
    sample = [run_plain(folder, base, SAMPLE_STEPS, n, 0, threads) for n in (SHOTS[0], SHOTS[-1])]
    begin = statistics.mean(run["all"] - run["steps"] for run in sample)
    step = statistics.mean(run["steps"] for run in sample) / SAMPLE_STEPS
    print(f"  plain: {begin:.2f} s a start, {1e3 * step:.1f} ms a step; 25 processes are extrapolated from 2")
    return len(SHOTS) * EXPERIMENTS * (begin + steps * step), None


def time_ours(folder: Path, base: int, steps: int, precision: str) -> tuple[float, float]:
    """Seconds of all 25 runs from the features file on, and their mean accuracy."""
    start = time.perf_counter()
    train = FeatureStore.open(folder / "train.h5")
    known = Logistic(n_steps=steps, precision=precision, random_state=0)
    rows = train.rows_of(np.arange(base))
    known.fit_base(train.rows(rows), train.labels[rows])
    runs = []
    for n in SHOTS:
        shots = [shots_of(train.labels, base, n, experiment) for experiment in range(EXPERIMENTS)]
        runs += known.fit_novel_runs([(train.rows(r), train.labels[r]) for r in shots], range(EXPERIMENTS))
    seconds = time.perf_counter() - start
    test = FeatureStore.open(folder / "test.h5")
    return seconds, float(np.mean([np.mean(run.predict(test.features) == test.labels) for run in runs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--base", type=int, default=50, help="base classes")
    parser.add_argument("--novel", type=int, default=50, help="novel classes")
    parser.add_argument("--full", action="store_true", help="run all 25 plain processes to the end")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.plain:
        plain_process(args.plain, args.base, args.steps, *args.run)
        return
    print(
        f"25 runs of {args.steps} steps × batch {BATCH}, {DIM}-d, {args.base} base and {args.novel} novel classes, "
        f"{args.threads} threads"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder, args.base, args.novel)
        ours, our_accuracy = time_ours(folder, args.base, args.steps, args.precision)
        plain, plain_accuracy = time_plain(folder, args.base, args.steps, args.full, args.threads)
    print(f"  25 plain processes {plain:8.0f} s" + (f"   accuracy {plain_accuracy:.4f}" if plain_accuracy else ""))
    print(f"  ours               {ours:8.0f} s   accuracy {our_accuracy:.4f}")
    print(f"  {plain / ours:.1f} times as fast")
    result = {
        "seconds": {"plain": plain, "ours": ours},
        "accuracy": {"plain": plain_accuracy, "ours": our_accuracy},
        "ratio": plain / ours,
        "measured_in_full": args.full,
        **{key: getattr(args, key) for key in ("steps", "base", "novel", "threads", "precision")},
    }
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
