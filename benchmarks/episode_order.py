"""What the order of classes in training episodes does to a matching network that is tested in the original's order.

    python benchmarks/episode_order.py FOLDER [--episodes 500] [--seeds 2] [--draws 20] [--shots 1 5] [--queries 500]

FOLDER is the output of a recipe with one representation, such as runs/cifar100, of which the split and the features are
used. Networks are trained on episodes whose classes are in the order of the split's list, as in
``lowshot.compat.matching_network``, and on episodes with their classes in random order; both are measured on setup test
with the support set in the original's order, on the same draws. Printed is the difference with its 95 % interval over
draws, averaged over seeds, and the largest one in a draw of a seed.

Then a test of one draw encodes every repetition of the shots instead of those that differ; printed are the numbers of
encodings and the largest difference of a log-probability.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.compat import support_set
from lowshot.compat.evaluation import RunData
from lowshot.compat.formats.results import ACCURACIES
from lowshot.compat.matching import train_network
from lowshot.compat.matching_episodes import MatchingEpisodes
from lowshot.compat.matching_module import EpisodeModule
from lowshot.compat.support_set import SupportSet
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore


class Shuffled(MatchingEpisodes):
    """The same episodes with their classes in random order."""

    def draw(self, number: int):
        episode = super().draw(number)
        order = np.random.default_rng([number]).permutation(len(episode.counts))
        blocks = np.split(episode.support, np.cumsum(episode.counts)[:-1])
        support = np.concatenate([blocks[c] for c in order])
        return episode._replace(support=support, counts=episode.counts[order], queries=episode.queries[order])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--queries", type=int, default=500, help="queries whose log-probabilities are compared")
    args = parser.parse_args()
    if args.folder is None:
        print("skipped: give the output folder of a recipe")
        return
    (train_file,) = args.folder.glob("features/*/train.h*5")
    train, test = (FeatureStore.open(train_file.with_stem(part)) for part in ("train", "test"))
    (split_file,) = args.folder.glob("split/label_idx.json")
    split = ClassSplit.from_json(split_file)
    setup = split.setup("test")
    experiments = Experiments.random(train.labels, None, split.label_names, args.draws, max(args.shots), seed=1)
    rows = train.rows_of(split.base)
    X, labels = train.rows(rows), train.labels[rows]
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    networks: dict[tuple[int, str], dict[str, np.ndarray]] = {}
    for seed in range(args.seeds):
        for name, kind in (("list", MatchingEpisodes), ("random", Shuffled)):
            torch.manual_seed(seed)
            network = EpisodeModule(train.dim, n_steps=5)
            train_network(network, X, kind(labels, split.base, (1, 10), seed), args.episodes)
            state = {key: value.numpy() for key, value in network.state_dict().items()}
            networks[seed, name] = state
            for n in args.shots:
                table = []
                for draw in range(1, args.draws + 1):
                    shots = np.sort(experiments.shots(draw, n, setup.novel))
                    data = RunData(train, test, setup.base, setup.novel, shots, split.num_classes, args.folder)
                    table.append(data.accuracies(SupportSet(state, data, 5, n, seed=draw).scores))
                found.setdefault((name, n), []).append(100 * np.array(table))
    print("| | " + " | ".join(ACCURACIES) + " |")
    print("|---|" + "---|" * len(ACCURACIES))
    for n in args.shots:
        means = {name: np.mean(found[name, n], axis=0) for name in ("list", "random")}
        for name, values in {**means, "list − random": means["list"] - means["random"]}.items():
            cells = ("{:.2f} ± {:.2f}".format(*mean_and_half_width(column)) for column in values.T)
            print(f"| n = {n}, {name} | {' | '.join(cells)} |")
        differences = np.abs(np.array(found["list", n]) - found["random", n]).max(axis=(0, 1))
        print(f"| n = {n}, largest | {' | '.join(f'{value:.2f}' for value in differences)} |")
    queries = test.rows(test.rows_of(np.concatenate([setup.base, setup.novel]))[: args.queries])
    for n in args.shots:
        shots = np.sort(experiments.shots(1, n, setup.novel))
        data = RunData(train, test, setup.base, setup.novel, shots, split.num_classes, args.folder)
        scores, sizes = [], []
        for rounding in (support_set.ROUNDING, -1.0):
            with mock.patch.object(support_set, "ROUNDING", rounding):
                support = SupportSet(networks[0, "list"], data, 5, n, seed=1)
            scores.append(support.scores(queries))
            sizes.append(len(support._encoded))
        known = np.isfinite(scores[0])
        difference = np.abs(scores[0][known] - scores[1][known]).max()
        print(
            f"\nn = {n}: {sizes[0]} encodings instead of {sizes[1]}; log-probabilities differ by up to {difference:.1e}"
        )


if __name__ == "__main__":
    main()
