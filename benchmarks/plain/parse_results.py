"""Print mean accuracies over the experiments."""

from __future__ import annotations

import argparse
import json
import os

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resultsdir", required=True)
    parser.add_argument("--repr", required=True)
    parser.add_argument("--lr", default=0.1, type=float)
    parser.add_argument("--wd", default=0.001, type=float)
    parser.add_argument("--max_per_label", default=0, type=int)
    given = parser.parse_args()
    table = np.zeros((5, 5, 6))
    for i, n in enumerate((1, 2, 5, 10, 20)):
        for e in range(1, 6):
            name = (
                f"{given.repr}_lr_{given.lr:.3f}_wd_{given.wd:.3f}_expid_{e}_lowshotn_{n}_maxgen_{given.max_per_label}"
            )
            with open(os.path.join(given.resultsdir, f"{name}.json")) as file:
                table[i, e - 1] = json.load(file)["accs"]
    means = 100 * table.mean(axis=1)
    for n, row in zip(("1", "2", "5", "10", "20", "mean"), [*means, means.mean(axis=0)]):
        print(n, " ".join(f"{value:.2f}" for value in row))


if __name__ == "__main__":
    main()
