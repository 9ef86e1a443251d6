"""One training episode of the matching network against the plain way of drawing it.

The plain loop does what comes to mind first: for every class look its rows up with ``np.where``, choose some, and read
them one by one from the HDF5 file. Both draw episodes of the same make-up (all base classes, 1 to 10 support examples
and one query of each) from the same file and take the same training step, on float32 features.

    python benchmarks/matching_network.py                     # 389 classes x 1300 examples x 512
    python benchmarks/matching_network.py --classes 60 --per-class 500 --device cuda
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

from lowshot.classifiers.episodes import EpisodeSampler
from lowshot.classifiers.matching_network import MatchingModule

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


def our_drawing(file: h5py.File) -> Callable[[int], Drawn]:
    features, labels = file["all_feats"][:], file["all_labels"][:]
    sampler = EpisodeSampler(labels, n_way=None, n_shots=SHOTS, n_queries=1, seed=0)

    def draw(number: int) -> Drawn:
        episode = sampler.draw(number)
        return features[episode.support], episode.counts, features[episode.queries], episode.targets

    return draw


def seconds(action: Callable[[int], object], at_least: float = 3.0) -> float:
    """Mean time of an action, after one to warm up."""
    action(0)
    start, n = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < at_least or n < 3:
        n += 1
        action(n)
    return spent / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=389)
    parser.add_argument("--per-class", type=int, default=1300)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    network = MatchingModule(options.dim, contextual=True, n_steps=5).to(options.device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)

    def training_step(draw: Callable[[int], Drawn], number: int) -> float:
        support, counts, queries, targets = (torch.from_numpy(part).to(options.device) for part in draw(number))
        loss = F.cross_entropy(network(support, counts, queries), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.hdf5"
        write_features(path, options.classes, options.per_class, options.dim)
        with h5py.File(path) as file:
            ways = {"plain": plain_drawing(file, options.classes), "lowshot": our_drawing(file)}
            drawing = {name: seconds(draw) for name, draw in ways.items()}
            whole = {name: seconds(lambda n, draw=draw: training_step(draw, n)) for name, draw in ways.items()}
    print(f"{options.classes} classes x {options.per_class} x {options.dim}, training on {options.device}")
    for what, times in (("drawing an episode", drawing), ("drawing and training", whole)):
        ratio = times["plain"] / times["lowshot"]
        print(
            f"{what:22} plain {times['plain'] * 1e3:9.1f} ms  lowshot {times['lowshot'] * 1e3:9.1f} ms  {ratio:7.1f}x"
        )


if __name__ == "__main__":
    main()
