"""Top-1 and top-5 accuracy while training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn


@torch.no_grad()
def validate(fabric: Fabric, model: nn.Module, loader: Iterable, prepare: nn.Module) -> tuple[float, float]:
    """Top-1 and top-5 accuracy over all images of all processes, as fractions, among all columns of the scores.

    Args:
        fabric: of the run.
        model: returns (scores, features). It is the bare one: processes have different numbers of batches here, and a
            wrapped one would wait for the others at each.
        loader: this process's share, as (images, labels, rows).
        prepare: uint8 images on the device → what the model reads.
    """
    model.eval()
    counts = torch.zeros(3, dtype=torch.float64, device=fabric.device)
    for images, labels, _ in loader:
        labels = fabric.to_device(labels)
        with fabric.autocast():
            scores, _ = model(prepare(fabric.to_device(images)))
        hits = top_hits(scores, labels, 5)
        counts += torch.stack([hits[:, 0].sum(), hits.sum(), torch.tensor(len(labels), device=fabric.device)])
    top1, top5, n = fabric.all_reduce(counts, reduce_op="sum").tolist()  # type: ignore[union-attr]
    return top1 / n, top5 / n


def top_hits(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """(N, k) bool: whether the label is the best, second best, … scored class; fewer columns for fewer classes."""
    return scores.topk(min(k, scores.shape[1]), dim=1).indices == labels[:, None]
