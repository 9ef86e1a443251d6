"""Top-1 and top-5 accuracy while training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lowshot.representation.step import Trainer


def validate(trainer: Trainer, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
    """Top-1 and top-5 accuracy over the images of all processes, as fractions, among all columns of the scores.

    Args:
        trainer: the network.
        batches: this process's share, as (images, labels, rows). Shares may differ in length.
    """
    fabric = trainer.fabric
    counts = torch.zeros(3, dtype=torch.float64, device=fabric.device)
    for images, labels, _ in batches:
        hits = top_hits(trainer.scores(images), fabric.to_device(labels), 5)
        counts += torch.stack([hits[:, 0].sum(), hits.sum(), hits.new_tensor(len(labels), dtype=torch.int64)])
    top1, top5, n = fabric.all_reduce(counts, reduce_op="sum").tolist()  # type: ignore[union-attr]
    return top1 / n, top5 / n


def top_hits(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """(N, k) bool: whether the label is the best, second best, … scored class; fewer columns for fewer classes."""
    return scores.topk(min(k, scores.shape[1]), dim=1).indices == labels[:, None]
