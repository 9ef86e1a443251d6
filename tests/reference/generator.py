"""The analogy network and its training as anyone would first write them: a module, autograd and torch's own SGD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import nn


class Network(nn.Module):
    """G: 3 D -> hidden -> hidden -> D, a ReLU after each (Hariharan & Girshick 2017, section 4.2).

    For features that may be negative, ``signed`` leaves out the last ReLU.
    """

    def __init__(self, dim: int, hidden: int, signed: bool = False) -> None:
        super().__init__()
        self.last = nn.Identity() if signed else nn.ReLU()
        self.fc1 = nn.Linear(3 * dim, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, dim)

    def forward(self, a: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.fc1(torch.cat([a, c, d], dim=1)))
        return self.last(self.fc3(torch.relu(self.fc2(x))))


def loss(
    made: torch.Tensor,
    b: torch.Tensor,
    label: torch.Tensor,
    classifier: torch.Tensor,
    mse_weight: float,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    scores = nn.functional.linear(made, classifier, bias)
    return nn.functional.cross_entropy(scores, label) + mse_weight * nn.functional.mse_loss(made, b)


def train(
    network: Network,
    centroids: np.ndarray,
    batches: Iterable[np.ndarray],
    classifier: np.ndarray,
    rows: np.ndarray,
    *,
    lr: float,
    decay_every: int,
    mse_weight: float = 10.0,
    bias: np.ndarray | None = None,
) -> None:
    """Train in place; each batch is (B, 4) quadruples, gathered from numpy as it comes."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9, dampening=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, decay_every, 0.1)
    weight = torch.from_numpy(classifier)
    offset = None if bias is None else torch.from_numpy(bias)
    for quadruples in batches:
        a, b, c, d = (torch.from_numpy(centroids[ids]) for ids in quadruples.T)
        label = torch.from_numpy(rows[quadruples[:, 1]])
        optimizer.zero_grad()
        loss(network(a, c, d), b, label, weight, mse_weight, offset).backward()
        optimizer.step()
        schedule.step()


def permuted_batches(
    quadruples: np.ndarray, permutation: np.ndarray, batch_size: int, n_steps: int
) -> Iterator[np.ndarray]:
    """Batches (batch_size, 4) of analogies in the order of one permutation, which begins anew whenever it ends."""
    place = 0
    for _ in range(n_steps):
        batch = []
        while len(batch) < batch_size:
            batch.append(quadruples[permutation[place]])
            place = place + 1 if place + 1 < len(permutation) else 0
        yield np.array(batch)
