"""What the start of k-means does to generated features: k-means++ against the original's random directions.

    python benchmarks/kmeans_starts.py FOLDER [--draws 100] [--seeds 2] [--steps 5000] [--shots 1] [--n-per-class 20]

FOLDER is the output of a recipe with one representation, such as runs/cifar100, of which the split and the features are
used. For each start and seed an analogy-based generator is fitted on the base classes. The linear classifier is then
measured on setup test, without a generator and with each of them, on the same draws of shots with the same seeds.
Printed are the clusters of the base classes, the mean accuracies, and the difference between the two starts, averaged
over seeds, with its 95 % interval over draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lowshot.benchmark import run_benchmark
from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.hallucination import AnalogyGenerator, Centroids

STARTS = ("k-means++", "random_directions")
METRICS = ("novel_top1", "novel_top5", "base_top5", "all_top1", "all_top5", "novel_only_top1", "novel_only_top5")
LINEAR = {"n_steps": 2000, "gradient_every": 5, "weight_decay": 0.03}


def describe(features: np.ndarray, labels: np.ndarray, centroids: Centroids) -> tuple[float, float, float]:
    """Inertia per example, share of clusters with one example, and mean distance between centroids of a class."""
    inertia, singletons, distances = 0.0, 0, []
    for c, label in enumerate(np.unique(labels)):
        X, own = features[labels == label].astype(np.float64), centroids[c].astype(np.float64)
        squared = (X**2).sum(1)[:, None] - 2 * X @ own.T + (own**2).sum(1)
        inertia += squared.min(axis=1).clip(0).sum()
        singletons += int((np.bincount(squared.argmin(axis=1), minlength=len(own)) == 1).sum())
        between = np.sqrt(((own**2).sum(1)[:, None] - 2 * own @ own.T + (own**2).sum(1)).clip(0))
        distances.append(between[np.triu_indices(len(own), 1)].mean())
    return inertia / len(features), singletons / len(centroids.values), float(np.mean(distances))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5000, help="training steps of each generator")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--n-per-class", type=int, default=20)
    args = parser.parse_args()
    if args.folder is None:
        print("skipped: give the output folder of a recipe")
        return
    (train_file,) = args.folder.glob("features/*/train.h*5")
    train, test = (FeatureStore.open(train_file.with_stem(part)) for part in ("train", "test"))
    (split_file,) = args.folder.glob("split/label_idx.json")
    split = ClassSplit.from_json(split_file)
    experiments = Experiments.random(train.labels, train.paths, split.label_names, args.draws, args.shots, seed=1)
    rows = train.rows_of(split.base)
    features, labels = train.rows(rows), train.labels[rows]

    def measure(generator: AnalogyGenerator | None) -> dict[str, np.ndarray]:
        records = run_benchmark(
            train,
            test,
            split,
            experiments,
            "logistic",
            LINEAR,
            n_shots=(args.shots,),
            prior=False,
            generator=generator,
            n_per_class=args.n_per_class if generator is not None else 0,
        )
        return {metric: 100 * np.array([record[metric] for record in records]) for metric in METRICS}

    print(f"{len(split.base)} base classes, {len(rows)} examples, {train.dim}-d; {args.draws} draws of {args.shots}\n")
    found = {"none": [measure(None)]}
    print("| k-means | seed | inertia an example | clusters of one example | distance between centroids | analogies |")
    print("|---|---|---|---|---|---|")
    for start in STARTS:
        found[start] = []
        for seed in range(args.seeds):
            generator = AnalogyGenerator(n_steps=args.steps, random_state=seed, kmeans_init=start)
            generator.fit(features, labels)
            centroids = Centroids(generator.concatenated_centroids_, generator.counts_)
            inertia, singletons, distance = describe(features, labels, centroids)
            cells = f"{inertia:.3f} | {singletons:.1%} | {distance:.3f} | {generator.n_analogies_}"
            print(f"| {start} | {seed} | {cells} |", flush=True)
            found[start].append(measure(generator))
    print("\n| | " + " | ".join(METRICS) + " |")
    print("|---|" + "---|" * len(METRICS))
    means = {name: {m: np.mean([run[m] for run in runs], axis=0) for m in METRICS} for name, runs in found.items()}
    for name, values in means.items():
        cells = ("{:.2f} ± {:.2f}".format(*mean_and_half_width(values[m])) for m in METRICS)
        print(f"| {name} | {' | '.join(cells)} |")
    for one, other in ((STARTS[1], STARTS[0]), (STARTS[0], "none"), (STARTS[1], "none")):
        cells = ("{:+.2f} ± {:.2f}".format(*mean_and_half_width(means[one][m] - means[other][m])) for m in METRICS)
        print(f"| {one} − {other} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
