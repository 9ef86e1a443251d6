"""The low-shot phase: 25 linear classifiers trained together against 25 processes that train one each.

    python benchmarks/low_shot_phase.py [--steps 10000] [--base 196] [--novel 311] [--outputs 1000] [--fraction 0.02]
        [--gradient-every 1 8] [--full] [--accuracy-runs 3] [--accuracy-steps 500] [--threads N] [--json FILE]

Both do the original's SGD on 512-d features: batches of 1000 of which B/(B+N) are base examples, 5 experiments of
n = 1, 2, 5, 10 and 20 shots; as it comes with ImageNet's 196 base and 311 novel classes of the test setup. A plain
process is what one writes first: it starts, opens the features file, reads the base rows of every batch from HDF5, has
--outputs outputs whatever is in play, and lets autograd and torch.optim do the rest. Ours trains the classes in play:
once with a gradient a step, once with gradients that serve eight steps, which is an approximation (--gradient-every).

Time. Ours is timed on a --fraction of the steps, from which the rest is extrapolated; with 1 in full. Of the plain
processes two are timed, from their start to their end but with a hundred steps each; a step of all 25 is then taken to
cost as much as theirs, and a start as well. With --full everything runs to the end. Target: a tenth of the time.

Accuracy. --accuracy-runs of the 25 runs are trained by both, with --accuracy-steps steps, and their mean top-1 accuracy
over all queries is compared; with --full that is done on all 25 in full. Target: within 0.3 points.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from lowshot.classifiers.logistic import Logistic
from lowshot.features import FeatureStore

DIM, PER_BASE, PER_TEST, BATCH = 512, 500, 20, 1000
SHOTS, EXPERIMENTS, MAX_SHOTS = (1, 2, 5, 10, 20), 5, 20
SAMPLE_STEPS = 100

Run = tuple[int, int]
RUNS: list[Run] = [(n, experiment) for n in SHOTS for experiment in range(EXPERIMENTS)]


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


def plain_process(folder: Path, base: int, outputs: int, steps: int, n: int, experiment: int) -> None:
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
        layer = torch.nn.Linear(DIM, max(outputs, classes))
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


def run_plain(folder: Path, args: argparse.Namespace, steps: int, n: int, experiment: int) -> dict[str, float]:
    """Start a plain process: seconds in all, seconds in steps, accuracy."""
    arguments = ["--plain", folder, "--base", args.base, "--outputs", args.outputs, "--steps", steps]
    arguments += ["--run", n, experiment, "--threads", args.threads]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(args.threads)},
    )
    return {"all": time.perf_counter() - start, **json.loads(done.stdout)}


def time_plain(folder: Path, args: argparse.Namespace) -> float:
    """Seconds of 25 plain processes, extrapolated from two."""
    sample = [run_plain(folder, args, SAMPLE_STEPS, n, 0) for n in (SHOTS[0], SHOTS[-1])]
    begin = statistics.mean(run["all"] - run["steps"] for run in sample)
    step = statistics.mean(run["steps"] for run in sample) / SAMPLE_STEPS
    print(
        f"  plain: {begin:.2f} s a start, {1e3 * step:.1f} ms a step; {len(RUNS)} processes of {args.steps} steps are "
        f"extrapolated from 2 of {SAMPLE_STEPS}",
        flush=True,
    )
    return len(RUNS) * (begin + args.steps * step)


def train_ours(
    folder: Path, args: argparse.Namespace, steps: int, runs: Sequence[Run], every: int
) -> tuple[float, list[Logistic]]:
    """Seconds of some of the runs from the features file on, those of one n together, and the classifiers."""
    start = time.perf_counter()
    train = FeatureStore.open(folder / "train.h5")
    known = Logistic(n_steps=steps, gradient_every=every, precision=args.precision, random_state=0)
    rows = train.rows_of(np.arange(args.base))
    known.fit_base(train.rows(rows), train.labels[rows])
    fitted = []
    for n, group in itertools.groupby(runs, lambda run: run[0]):
        experiments = [experiment for _, experiment in group]
        shots = [shots_of(train.labels, args.base, n, experiment) for experiment in experiments]
        fitted += known.fit_novel_runs([(train.rows(r), train.labels[r]) for r in shots], experiments)
    return time.perf_counter() - start, fitted


def time_ours(folder: Path, args: argparse.Namespace, every: int) -> float:
    """Seconds of all 25 runs; with --fraction extrapolated from a share of the gradients and a quarter of that."""
    gradients = math.ceil(args.steps / every)
    timed = gradients if args.full else round(args.steps * args.fraction)
    if timed >= gradients:
        return train_ours(folder, args, args.steps, RUNS, every)[0]
    few = max(1, timed // 4)
    if timed <= few:
        sys.exit(f"--fraction {args.fraction} of {args.steps} steps is too few to extrapolate from")
    train_ours(folder, args, every, RUNS, every)  # the first call of a library takes longer, once
    short, long = (train_ours(folder, args, count * every, RUNS, every)[0] for count in (few, timed))
    step = (long - short) / (timed - few)
    if step <= 0:
        sys.exit(f"{timed} gradients took less time than {few}: the machine is busy, or --fraction is too small")
    print(
        f"  ours: {1e3 * step:.1f} ms a gradient of all {len(RUNS)} runs; {gradients} are extrapolated from {few} and "
        f"{timed}",
        flush=True,
    )
    return short + (gradients - few) * step


def accuracy(folder: Path, classifier: Logistic) -> float:
    test = FeatureStore.open(folder / "test.h5")
    return float(np.mean(classifier.predict(test.features) == test.labels))


def compare_accuracy(folder: Path, args: argparse.Namespace) -> tuple[float, dict[int, float], float]:
    """Mean accuracy of plain processes and of ours on the same runs and steps, and the plain processes' seconds."""
    spread = np.linspace(0, len(RUNS) - 1, len(RUNS) if args.full else args.accuracy_runs).round().astype(int)
    runs = [RUNS[index] for index in dict.fromkeys(spread.tolist())]
    steps = args.steps if args.full else args.accuracy_steps
    done = [run_plain(folder, args, steps, n, experiment) for n, experiment in runs]
    plain = statistics.mean(run["accuracy"] for run in done)
    print(f"  top-1 over {len(runs)} runs of {steps} steps: plain {100 * plain:.2f} %", flush=True)
    ours = {}
    for every in args.gradient_every:
        fitted = train_ours(folder, args, steps, runs, every)[1]
        ours[every] = statistics.mean(accuracy(folder, classifier) for classifier in fitted)
        print(
            f"    ours, {named(every)}: {100 * ours[every]:.2f} %, {100 * (ours[every] - plain):+.2f} points",
            flush=True,
        )
    return plain, ours, sum(run["all"] for run in done)


def named(every: int) -> str:
    return "a gradient a step" if every == 1 else f"a gradient every {every} steps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--base", type=int, default=196, help="base classes")
    parser.add_argument("--novel", type=int, default=311, help="novel classes")
    parser.add_argument("--outputs", type=int, default=1000, help="outputs of a plain process")
    parser.add_argument("--fraction", type=float, default=0.02, help="of the steps, that ours is timed on")
    parser.add_argument("--gradient-every", type=int, nargs="+", default=[1, 8], help="steps that a gradient serves")
    parser.add_argument("--full", action="store_true", help="run ours and all 25 plain processes to the end")
    parser.add_argument("--accuracy-runs", type=int, default=3, help="how many runs' accuracies are compared; 0: none")
    parser.add_argument("--accuracy-steps", type=int, default=500, help="steps of these")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.plain:
        plain_process(args.plain, args.base, args.outputs, args.steps, *args.run)
        return
    print(
        f"{len(RUNS)} runs of {args.steps} steps × batch {BATCH}, {DIM}-d, {args.base} base and {args.novel} novel "
        f"classes in play, plain processes with {args.outputs} outputs, {args.threads} threads",
        flush=True,
    )
    plain_accuracy, our_accuracy = None, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder, args.base, args.novel)
        ours = {every: time_ours(folder, args, every) for every in args.gradient_every}
        plain = 0.0 if args.full else time_plain(folder, args)
        if args.full or args.accuracy_runs:
            plain_accuracy, our_accuracy, seconds = compare_accuracy(folder, args)
            plain = seconds if args.full else plain
    print(f"  25 plain processes {plain:8.0f} s")
    for every, seconds in ours.items():
        print(f"  ours               {seconds:8.0f} s, {plain / seconds:5.1f} times as fast: {named(every)}")
    result = {
        "seconds": {"plain": plain, "ours": ours},
        "accuracy": {"plain": plain_accuracy, "ours": our_accuracy},
        "ratio": {every: plain / seconds for every, seconds in ours.items()},
        "measured_in_full": args.full,
        **{
            key: getattr(args, key)
            for key in ("steps", "base", "novel", "outputs", "fraction", "threads", "precision", "accuracy_steps")
        },
    }
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
