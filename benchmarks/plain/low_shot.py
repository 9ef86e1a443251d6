"""Train the linear classifier of the low-shot phase and measure it."""

from __future__ import annotations

import argparse
import json
import os

import h5py
import numpy as np
import torch

rng = np.random.default_rng()


def generate(path: str, features: np.ndarray, labels: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Bring every class up to ``most`` by a stored network that completes analogies."""
    content = torch.load(path, weights_only=True)
    state, centroids = content["model_state"], content["concatenated_centroids"]
    clusters = content["num_clusters_per_class"]
    new_features, new_labels = [features], [labels]
    for label in np.unique(labels):
        shots = features[labels == label]
        for _ in range(most - len(shots)):
            first = rng.integers(content["num_base_classes"]) * clusters
            c, d = (centroids[first + rng.integers(clusters)] for _ in range(2))
            x = torch.cat([torch.from_numpy(shots[rng.integers(len(shots))]), c, d])[None]
            for layer in ("fc1", "fc2", "fc3"):
                x = torch.relu(torch.nn.functional.linear(x, state[f"{layer}.weight"], state[f"{layer}.bias"]))
            new_features.append(x.numpy())
            new_labels.append(np.array([label]))
    return np.concatenate(new_features), np.concatenate(new_labels)


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("lowshotmeta", "experimentpath", "trainfile", "testfile", "outdir"):
        parser.add_argument(f"--{flag}", required=True)
    for flag, default in {"lowshotn": 1, "experimentid": 1, "testsetup": 0, "numclasses": 1000}.items():
        parser.add_argument(f"--{flag}", default=default, type=int)
    for flag, number in {"maxiters": 10_000, "batchsize": 1000, "max_per_label": 0}.items():
        parser.add_argument(f"--{flag}", default=number, type=int)
    for flag, rate in {"lr": 0.1, "momentum": 0.9, "wd": 0.001}.items():
        parser.add_argument(f"--{flag}", default=rate, type=float)
    parser.add_argument("--generator_file", default="")
    given = parser.parse_args()
    with open(given.lowshotmeta) as file:
        split = json.load(file)
    with open(given.experimentpath.format(given.experimentid)) as file:
        experiment = json.load(file)
    half = given.testsetup + 1
    base, novel = split[f"base_classes_{half}"], split[f"novel_classes_{half}"]
    with h5py.File(given.trainfile) as file:
        all_feats, labels = file["all_feats"], file["all_labels"][:]
        base_rows = np.flatnonzero(np.isin(labels, base))
        rows = np.sort([row for c in novel for row in experiment[c][: given.lowshotn]])
        shots, shot_labels = np.stack([all_feats[row] for row in rows]), labels[rows]
        if given.max_per_label:
            shots, shot_labels = generate(given.generator_file, shots, shot_labels, given.max_per_label)
        from_base = round(given.batchsize * len(base) / (len(base) + len(novel)))
        model = torch.nn.Linear(shots.shape[1], given.numclasses)
        optimizer = torch.optim.SGD(
            model.parameters(), given.lr, given.momentum, dampening=given.momentum, weight_decay=given.wd
        )
        for _ in range(given.maxiters):
            chosen = np.sort(rng.choice(base_rows, from_base, replace=False))
            drawn = rng.integers(len(shots), size=given.batchsize - from_base)
            x = np.concatenate([np.stack([all_feats[row] for row in chosen]), shots[drawn]])
            y = np.concatenate([labels[chosen], shot_labels[drawn]])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y).long()).backward()
            optimizer.step()
    right: dict[bool, list[np.ndarray]] = {True: [], False: []}
    with h5py.File(given.testfile) as file, torch.no_grad():
        feats, labels = file["all_feats"], file["all_labels"][: file["count"][0]]
        rows = np.flatnonzero(np.isin(labels, base + novel))
        for first in range(0, len(rows), 1000):
            block = rows[first : first + 1000]
            best = model(torch.from_numpy(np.stack([feats[row] for row in block]))).topk(5)[1].numpy()
            for row, guesses in zip(block, best):
                right[labels[row] in novel].append(guesses == labels[row])
    accuracies = []
    for found in (right[True], right[False], right[True] + right[False]):
        table = np.array(found)
        accuracies += [float(table[:, 0].mean()), float(table.any(axis=1).mean())]
    os.makedirs(given.outdir, exist_ok=True)
    name = os.path.basename(os.path.dirname(os.path.abspath(given.trainfile)))
    name += f"_lr_{given.lr:.3f}_wd_{given.wd:.3f}_expid_{given.experimentid}_lowshotn_{given.lowshotn}"
    value = {"lr": given.lr, "wd": given.wd, "expid": given.experimentid, "lowshotn": given.lowshotn}
    with open(os.path.join(given.outdir, f"{name}_maxgen_{given.max_per_label}.json"), "w") as file:
        json.dump({**value, "accs": accuracies}, file)


if __name__ == "__main__":
    main()
