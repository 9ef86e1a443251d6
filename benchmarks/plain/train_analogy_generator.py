"""Cluster base classes, mine analogies among the centroids and train the network that completes them."""

from __future__ import annotations

import argparse
import json
import os

import h5py
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng()

CLUSTERS, ROUNDS = 100, 20


class Generator(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(3 * dim, 512), nn.Linear(512, 512), nn.Linear(512, dim)

    def forward(self, a: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.fc1(torch.cat([a, c, d], dim=1)))
        return torch.relu(self.fc3(torch.relu(self.fc2(x))))


def cluster(x: torch.Tensor) -> torch.Tensor:
    centroids = nn.functional.normalize(torch.randn(CLUSTERS, x.shape[1]), dim=1)
    ever = torch.zeros(CLUSTERS, dtype=torch.bool)
    for _ in range(ROUNDS):
        nearest = torch.cdist(x, centroids).argmin(dim=1)
        for k in range(CLUSTERS):
            if len(members := x[nearest == k]):
                centroids[k] = members.mean(dim=0)
                ever[k] = True
        for k in torch.nonzero(~ever).flatten().tolist():
            centroids[k] = x[rng.integers(len(x))]
    return centroids


def differences(centroids: torch.Tensor) -> torch.Tensor:
    """(K, K, D) differences, each divided by its norm + 1e-5."""
    found = centroids[:, None] - centroids[None]
    return found / (found.norm(dim=2, keepdim=True) + 1e-5)


def mine(centroids: list[torch.Tensor]) -> torch.Tensor:
    quadruples = []
    for a, own in enumerate(centroids):
        mine = differences(own).flatten(0, 1)
        best, partner = torch.zeros(len(mine)), torch.zeros(len(mine), dtype=torch.long)
        for b, other in enumerate(centroids):
            if a == b:
                continue
            cosines, places = (mine @ differences(other).flatten(0, 1).T).max(dim=1)
            better = cosines > best
            best[better] = cosines[better]
            partner[better] = places[better] + b * CLUSTERS**2
        pair = torch.arange(len(mine))
        i, j = pair // CLUSTERS, pair % CLUSTERS
        b, k, l = partner // CLUSTERS**2, partner % CLUSTERS**2 // CLUSTERS, partner % CLUSTERS  # noqa: E741
        kept = (best > 0) & (i != j) & (k != l)
        quads = [i + a * CLUSTERS, j + a * CLUSTERS, k + b * CLUSTERS, l + b * CLUSTERS]
        quadruples.append(torch.stack(quads, dim=1)[kept])
    return torch.cat(quadruples)


def classifier_of(x: torch.Tensor, y: torch.Tensor, num_classes: int, steps: int) -> nn.Linear:
    model = nn.Linear(x.shape[1], num_classes)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-4)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(x), 1000, replace=len(x) < 1000))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("lowshotmeta", "trainfile", "outdir"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--numclasses", default=1000, type=int)
    parser.add_argument("--initlr", default=0.1, type=float)
    parser.add_argument("--steps", default=120_000, type=int)
    parser.add_argument("--classifier_steps", default=10_000, type=int)
    given = parser.parse_args()
    with open(given.lowshotmeta) as file:
        base = sorted(json.load(file)["base_classes"])
    with h5py.File(given.trainfile) as file:
        labels = file["all_labels"][:]
        rows = np.flatnonzero(np.isin(labels, base))
        x = torch.from_numpy(np.stack([file["all_feats"][row] for row in rows]))
        y = torch.from_numpy(labels[rows]).long()
    classifier = classifier_of(x, y, given.numclasses, given.classifier_steps)
    centroids = [cluster(x[y == c]) for c in base]
    analogies = mine(centroids)
    table = torch.cat(centroids)
    of_row = torch.tensor(base).repeat_interleave(CLUSTERS)
    model = Generator(x.shape[1])
    optimizer = torch.optim.SGD(model.parameters(), given.initlr, 0.9, dampening=0.9, weight_decay=1e-4)
    order, place = torch.randperm(len(analogies)), 0
    weight, bias = classifier.weight.detach(), classifier.bias.detach()
    for step in range(given.steps):
        for group in optimizer.param_groups:
            group["lr"] = given.initlr * 0.1 ** (step // 40_000)
        batch = analogies[order[(place + torch.arange(128)) % len(order)]]
        place = (place + 128) % len(order)
        a, b, c, d = (table[batch[:, column]] for column in range(4))
        made = model(a, c, d)
        loss = nn.functional.cross_entropy(nn.functional.linear(made, weight, bias), of_row[batch[:, 1]])
        loss = loss + 10 * nn.functional.mse_loss(made, b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = os.path.join(given.outdir, os.path.basename(os.path.dirname(os.path.abspath(given.trainfile))))
    os.makedirs(folder, exist_ok=True)
    content = {"model_state": model.state_dict(), "concatenated_centroids": table}
    content |= {"num_base_classes": len(base), "num_clusters_per_class": CLUSTERS}
    torch.save(content, os.path.join(folder, "generator.tar"))


if __name__ == "__main__":
    main()
