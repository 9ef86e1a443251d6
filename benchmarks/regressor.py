"""Training the analogy network: steps a second against a plain PyTorch loop.

The plain loop gathers every batch from numpy, runs a module under autograd and updates it with torch's SGD, in float32.
Ours is measured in float32 throughout, and with matrix products in bfloat16 or TF32 where the hardware has them, its
default. Rounds alternate, so that other load on the machine affects all of them equally.

    python benchmarks/regressor.py              # under a minute on two cores
    python benchmarks/regressor.py --device cuda
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import torch

from lowshot.hallucination import Analogies
from lowshot.hallucination.analogies.regressor import TrainingSettings, train_regressor

BATCH, HIDDEN = 128, 512


class Network(torch.nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = torch.nn.Linear(3 * dim, HIDDEN)
        self.fc2 = torch.nn.Linear(HIDDEN, HIDDEN)
        self.fc3 = torch.nn.Linear(HIDDEN, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x))))))


def plain(
    centroids: np.ndarray,
    analogies: Analogies,
    weight: np.ndarray,
    rows: np.ndarray,
    n_steps: int,
    device: str,
) -> None:
    network, classifier = Network(centroids.shape[1]).to(device), torch.from_numpy(weight).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, dampening=0.9, weight_decay=1e-4)
    rng = np.random.default_rng(0)
    for _ in range(n_steps):
        i, j, k, l = analogies.quadruples[rng.integers(len(analogies), size=BATCH)].T  # noqa: E741
        x = torch.from_numpy(np.concatenate([centroids[i], centroids[k], centroids[l]], axis=1)).to(device)
        target, label = torch.from_numpy(centroids[j]).to(device), torch.from_numpy(rows[j]).to(device)
        made = network(x)
        loss = torch.nn.functional.cross_entropy(made @ classifier.T, label)
        loss = loss + 10 * torch.nn.functional.mse_loss(made, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=389)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--steps", type=int, default=400, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rng = np.random.default_rng(0)
    n = args.classes * args.clusters
    centroids = np.maximum(rng.standard_normal((n, args.dim), dtype=np.float32), 0)
    analogies = Analogies(rng.integers(n, size=(1_000_000, 4)), np.ones(1_000_000, np.float32))
    weight = rng.standard_normal((args.classes, args.dim), dtype=np.float32) / 10
    problem = centroids, analogies, weight, np.repeat(np.arange(args.classes), args.clusters)

    def ours(precision: str) -> Callable[[], object]:
        settings = TrainingSettings(n_steps=args.steps, precision=precision)
        return lambda: train_regressor(*problem, settings, device=args.device)

    ways = {
        "plain loop, float32": lambda: plain(*problem, args.steps, args.device),
        "ours, float32": ours("highest"),
        "ours, default": ours("medium"),
    }
    best: dict[str, tuple[float, float]] = {}
    for _ in range(args.rounds):
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if args.device != "cpu":
                torch.cuda.synchronize()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = min(spent, best.get(name, spent))
    print(
        f"{args.threads} threads, torch {torch.__version__}, {args.device}; best of {args.rounds} x {args.steps} steps"
    )
    base = best["plain loop, float32"]
    for name, (wall, cpu) in best.items():
        print(
            f"  {name:20} {args.steps / wall:7.0f} steps/s ({base[0] / wall:4.2f}x)   "
            f"{1e3 * cpu / args.steps:6.2f} ms CPU a step ({base[1] / cpu:4.2f}x)"
        )


if __name__ == "__main__":
    main()
