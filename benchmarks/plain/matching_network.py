"""Train a matching network on base classes, or measure it with novel ones."""

from __future__ import annotations

import argparse
import json
import math
import os

import h5py
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng()


class Query(nn.Module):
    def __init__(self, dim: int, steps: int) -> None:
        super().__init__()
        self.lstmcell = nn.LSTMCell(2 * dim, dim)
        self.steps = steps

    def forward(self, f: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        hidden, cell = f, torch.zeros_like(f)
        for _ in range(self.steps):
            read = torch.softmax(hidden @ g.T, dim=1) @ g
            output, cell = self.lstmcell(torch.cat([f, read], dim=1), (hidden, cell))
            hidden = output + f
        return hidden


class MatchingNetwork(nn.Module):
    def __init__(self, dim: int, steps: int) -> None:
        super().__init__()
        self.G_encoder = nn.LSTM(dim, dim, bidirectional=True)
        self.FCE = Query(dim, steps)

    def encode(self, support: torch.Tensor) -> torch.Tensor:
        forward, backward = self.G_encoder(support[:, None])[0][:, 0].chunk(2, dim=1)
        return support + forward + backward

    def compare(self, queries: torch.Tensor, g: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        hidden = self.FCE(queries, g)
        attention = torch.softmax(hidden @ nn.functional.normalize(g, dim=1).T, dim=1)
        return torch.log(attention @ one_hot + 1e-12)


def train(given: argparse.Namespace, base: list[int]) -> None:
    with h5py.File(given.trainfile) as file:
        all_feats, labels = file["all_feats"], file["all_labels"][:]
        model = MatchingNetwork(all_feats.shape[1], given.K)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, dampening=0.9, weight_decay=1e-3)
        for step in range(given.steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * 0.1 ** (step // 20_000)
            support, codes, queries = [], [], []
            for code, c in enumerate(base):
                rows = np.where(labels == c)[0]
                chosen = np.sort(rng.choice(rows, rng.integers(1, 11), replace=False))
                support += [all_feats[row] for row in chosen]
                codes += [code] * len(chosen)
                queries.append(all_feats[rng.choice(rows)])
            g = model.encode(torch.from_numpy(np.stack(support)))
            one_hot = nn.functional.one_hot(torch.tensor(codes), len(base)).float()
            scores = model.compare(torch.from_numpy(np.stack(queries)), g, one_hot)
            optimizer.zero_grad()
            nn.functional.nll_loss(scores, torch.arange(len(base))).backward()
            optimizer.step()
    torch.save(model.state_dict(), given.modelfile)


def test(given: argparse.Namespace, base: list[int], novel: list[int]) -> None:
    with open(given.experimentpath.format(given.experimentid)) as file:
        experiment = json.load(file)
    with h5py.File(given.trainfile) as file:
        all_feats, labels = file["all_feats"], file["all_labels"][:]
        model = MatchingNetwork(all_feats.shape[1], given.K)
        model.load_state_dict(torch.load(given.modelfile, weights_only=True))
        order = []
        for c in base:
            rows = np.where(labels == c)[0]
            order += np.sort(rng.choice(rows, min(100, len(rows)), replace=False)).tolist()
        shots = sorted(row for c in novel for row in experiment[c][: given.lowshotn])
        order += shots * math.ceil(100 / given.lowshotn)
        support = torch.from_numpy(np.stack([all_feats[row] for row in order]))
        one_hot = nn.functional.one_hot(torch.from_numpy(labels[order]).long(), max(base + novel) + 1).float()
    right: dict[bool, list[np.ndarray]] = {True: [], False: []}
    with h5py.File(given.testfile) as file, torch.no_grad():
        g = model.encode(support)
        feats, labels = file["all_feats"], file["all_labels"][: file["count"][0]]
        rows = np.flatnonzero(np.isin(labels, base + novel))
        for first in range(0, len(rows), 1000):
            block = rows[first : first + 1000]
            queries = torch.from_numpy(np.stack([feats[row] for row in block]))
            best = model.compare(queries, g, one_hot).topk(5)[1].numpy()
            for row, guesses in zip(block, best):
                right[labels[row] in novel].append(guesses == labels[row])
    accuracies = []
    for found in (right[True], right[False], right[True] + right[False]):
        table = np.array(found)
        accuracies += [float(table[:, 0].mean()), float(table.any(axis=1).mean())]
    os.makedirs(given.outdir, exist_ok=True)
    name = os.path.basename(os.path.dirname(os.path.abspath(given.trainfile)))
    name = f"MN_{name}_expid_{given.experimentid}_lowshotn_{given.lowshotn}.json"
    with open(os.path.join(given.outdir, name), "w") as file:
        json.dump({"expid": given.experimentid, "lowshotn": given.lowshotn, "accs": accuracies}, file)


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("trainfile", "lowshotmeta", "modelfile"):
        parser.add_argument(f"--{flag}", required=True)
    for flag in ("testfile", "experimentpath", "outdir"):
        parser.add_argument(f"--{flag}")
    numbers = {"test": 0, "experimentid": 1, "lowshotn": 1, "testsetup": 0, "K": 5, "steps": 60_000}
    for flag, default in numbers.items():
        parser.add_argument(f"--{flag}", default=default, type=int)
    given = parser.parse_args()
    with open(given.lowshotmeta) as file:
        split = json.load(file)
    if given.test:
        half = given.testsetup + 1
        test(given, split[f"base_classes_{half}"], split[f"novel_classes_{half}"])
    else:
        train(given, split["base_classes"])


if __name__ == "__main__":
    main()
