"""Train a representation."""

from __future__ import annotations

import argparse
import os

import torch
from images import loader
from network import Network
from torch import nn


def auxiliary(kind: str, scores: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if kind == "l2":
        return features.pow(2).sum(1).mean() / 2
    wrong = torch.softmax(scores, 1) - nn.functional.one_hot(labels, scores.shape[1])
    if kind == "sgm":
        return (wrong.pow(2).sum(1) * features.pow(2).sum(1)).mean()
    return (wrong.T @ features / len(labels)).pow(2).sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("traincfg", "valcfg", "checkpoint_dir"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--model", default="ResNet18")
    parser.add_argument("--num_classes", default=1000, type=int)
    parser.add_argument("--stop_epoch", default=90, type=int)
    parser.add_argument("--save_freq", default=10, type=int)
    parser.add_argument("--lr", default=0.1, type=float)
    parser.add_argument("--aux_loss_type", default="l2")
    parser.add_argument("--aux_loss_wt", default=0.1, type=float)
    given = parser.parse_args()
    os.makedirs(given.checkpoint_dir, exist_ok=True)
    train, val = loader(given.traincfg, shuffle=True), loader(given.valcfg, shuffle=False)
    network = Network(given.model, given.num_classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=given.lr, momentum=0.9, weight_decay=1e-4)
    for epoch in range(given.stop_epoch):
        for group in optimizer.param_groups:
            group["lr"] = given.lr * 0.1 ** (epoch // 30)
        network.train()
        for images, labels in train:
            scores, features = network(images)
            loss = nn.functional.cross_entropy(scores, labels)
            if given.aux_loss_wt:
                loss = loss + given.aux_loss_wt * auxiliary(given.aux_loss_type, scores, features, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        right = 0
        with torch.no_grad():
            for images, labels in val:
                right += int((network(images)[0].argmax(1) == labels).sum())
        print(f"epoch {epoch}: loss {loss.item():.3f}, right {right}")
        if epoch % given.save_freq == 0 or epoch + 1 == given.stop_epoch:
            state = {f"module.{name}": value for name, value in network.state_dict().items()}
            torch.save({"epoch": epoch, "state": state}, os.path.join(given.checkpoint_dir, f"{epoch}.tar"))


if __name__ == "__main__":
    main()
