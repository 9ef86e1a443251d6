"""One training episode of the matching network against the plain way of drawing it.

The plain loop is the obvious one: for every class look its rows up with ``np.where``, choose some, and read
them one by one from the HDF5 file. Both draw episodes of the same make-up (all base classes, 1 to 10 support examples
and one query of each) from the same file and train the same network on them in float32: the plain loop takes a step per
episode, lowshot also one per several.

An episode's matrix products are counted as well, and what they alone take at the speed of a large one: no way of
writing the step can be faster than that on the same device in the same precision.

    python benchmarks/matching_network.py                     # 389 classes x 1300 examples x 512
    python benchmarks/matching_network.py --classes 60 --per-class 500 --device cuda --per-step 16
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from torch.nn import functional as F

from lowshot.classifiers.matching_module import MatchingModule
from lowshot.classifiers.training_episodes import EpisodeSampler

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
SHOTS = (1, 10)


def write_features(path: Path, n_classes: int, per_class: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(n_classes), per_class))
    with h5py.File(path, "w") as file:
        features = file.create_dataset("all_feats", (len(labels), dim), "f4")
        for start in range(0, len(labels), 50_000):
            shape = (min(50_000, len(labels) - start), dim)
            features[start : start + shape[0]] = np.maximum(rng.standard_normal(shape, dtype=np.float32), 0)
        file["all_labels"] = labels.astype("i4")


def plain_drawing(file: h5py.File, n_classes: int) -> Callable[[int], Drawn]:
    features, labels = file["all_feats"], file["all_labels"][:]
    rng = np.random.default_rng(0)

    def draw(_: int) -> Drawn:
        support, counts, queries = [], [], []
        for c in range(n_classes):
            counts.append(rng.integers(*SHOTS, endpoint=True))
            rows = rng.choice(np.where(labels == c)[0], counts[-1] + 1, replace=False)
            support += [features[row] for row in rows[1:]]
            queries.append(features[rows[0]])
        return np.stack(support), np.array(counts), np.stack(queries), np.arange(n_classes)

    return draw


def our_drawing(file: h5py.File, per_step: int) -> Callable[[int], Drawn]:
    features, labels = file["all_feats"][:], file["all_labels"][:]
    sampler = EpisodeSampler(labels, n_way=None, n_shots=SHOTS, n_queries=1, seed=0)

    def draw(number: int) -> Drawn:
        # As in training: the episodes of a step have their numbers of shots in common.
        episode = sampler.draw(number, number - number % per_step)
        return features[episode.support], episode.counts, features[episode.queries], episode.targets

    return draw


def seconds(action: Callable[[int], object], clock: Callable[[], float], at_least: float = 3.0) -> float:
    """Mean time of an action, after one to warm up."""
    action(0)
    start, n = clock(), 0
    while (spent := clock() - start) < at_least or n < 3:
        n += 1
        action(n)
    return spent / n


def episode_flop(n_way: int, dim: int, n_steps: int) -> float:
    """Floating-point operations in the matrix products of one episode, forwards and backwards (twice forwards)."""
    support, queries = n_way * sum(SHOTS) / 2, n_way
    both_directions = 2 * support * 2 * dim * 4 * dim
    query_cell = n_steps * queries * 3 * dim * 4 * dim
    attention = (2 * n_steps + 1) * queries * support * dim
    return 3 * 2 * (both_directions + query_cell + attention)


def product_speed(device: str, clock: Callable[[], float]) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    a = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / seconds(lambda _: (a @ a)[0, 0].item(), clock, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=389)
    parser.add_argument("--per-class", type=int, default=1300)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--per-step", type=int, default=8, help="episodes of a step that are computed side by side")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds, on a machine that others use")
    options = parser.parse_args()
    network = MatchingModule(options.dim, contextual=True, n_steps=5).to(options.device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)

    clock = time.process_time if options.cpu_time else time.perf_counter

    def training_step(draw: Callable[[int], Drawn], step: int, n_episodes: int) -> float:
        drawn = [draw(number) for number in range(step * n_episodes, (step + 1) * n_episodes)]
        support, queries = (
            torch.from_numpy(np.stack([one[part] for one in drawn])).to(options.device) for part in (0, 2)
        )
        counts, targets = (torch.from_numpy(drawn[0][part]).to(options.device) for part in (1, 3))
        scores = network(support, counts, queries).flatten(0, 1)
        loss = F.cross_entropy(scores, targets.repeat(n_episodes))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.hdf5"
        write_features(path, options.classes, options.per_class, options.dim)
        with h5py.File(path) as file:
            plain = plain_drawing(file, options.classes)
            ours = {n: our_drawing(file, n) for n in (1, options.per_step)}
            drawing = seconds(plain, clock), seconds(ours[1], clock)
            whole = seconds(lambda step: training_step(plain, step, 1), clock)
            steps = {n: seconds(lambda step, n=n: training_step(ours[n], step, n), clock) / n for n in ours}
    print(f"{options.classes} classes x {options.per_class} x {options.dim}, training on {options.device}")
    rows = [("drawing an episode", *drawing)]
    rows += [(f"drawing and training, {n} a step", whole, spent) for n, spent in steps.items()]
    for what, theirs, spent in rows:
        print(f"{what:32} plain {theirs * 1e3:9.1f} ms  lowshot {spent * 1e3:9.1f} ms  {theirs / spent:7.1f}x")
    flop, speed = episode_flop(options.classes, options.dim, 5), product_speed(options.device, clock)
    least = flop / speed
    print(
        f"its matrix products alone: {flop / 1e9:.0f} GFLOP, {least * 1e3:.1f} ms at the {speed / 1e9:.0f} GFLOP/s of "
        f"a large float32 product: at most {whole / least:.1f}x"
    )


if __name__ == "__main__":
    main()
