"""Loss and accuracy while training, summed on the device over the images of all processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lowshot.errors import LowshotError
from lowshot.representation.step import StepResult, Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class EpochMeter:
    """Sums of an epoch, counted from 0, which stay on the device so that the device need not wait."""

    def __init__(self, fabric: Fabric, epoch: int) -> None:
        self.fabric, self.epoch = fabric, epoch
        self.sums = torch.zeros(5, dtype=torch.float64, device=fabric.device)
        self.first_bad = torch.full((), -1, device=fabric.device)
        self.further_sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, step: int, result: StepResult, labels: Tensor) -> None:
        """Add the result of a step, counted from 0, whose batch had the labels (N,)."""
        loss, cross_entropy, auxiliary, scores, further = result
        n = len(labels)
        hits = _top_hits(scores, labels, 1).sum()
        extra = torch.zeros_like(loss) if auxiliary is None else auxiliary
        weighted = torch.stack([loss, cross_entropy, extra]).double() * n
        self.sums += torch.cat([weighted, hits.double()[None], torch.full_like(weighted[:1], n)])
        for name, value in further.items():
            self.further_sums[name] = self.further_sums.get(name, 0) + value.double() * n
        bad = ~torch.isfinite(loss) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)

    def mean_loss(self) -> float:
        """Return the mean loss of this process so far.

        Raises:
            LowshotError: The loss was NaN or infinite; the message says when, and what to try.
        """
        if (step := int(self.first_bad)) >= 0:
            raise LowshotError(
                f"the training loss stopped being a finite number at epoch {self.epoch + 1}, step {step + 1}. "
                "The run diverged: lower train.lr or train.loss_weight, or add train.warmup_epochs; if the loss is "
                "fine for a while in precision 32-true, keep that. The checkpoints before this epoch are intact."
            )
        loss, n = self.sums[[0, 4]].tolist()
        return loss / n

    def totals(self) -> dict[str, float]:
        """Return the means over the images of all processes, and the number of these images.

        Raises:
            LowshotError: The loss was NaN or infinite.
        """
        self.mean_loss()
        *sums, n = self.fabric.all_reduce(self.sums, reduce_op="sum").tolist()  # type: ignore[union-attr]
        means = dict(zip(("loss", "cross_entropy", "auxiliary", "top1"), (value / n for value in sums)))
        return {**means, "images": n}

    def further(self) -> dict[str, float]:
        """Return the means of the losses of objectives over the images of all processes."""
        own = {name: torch.stack([value, self.sums[4]]) for name, value in sorted(self.further_sums.items())}
        sums = {name: self.fabric.all_reduce(pair, reduce_op="sum") for name, pair in own.items()}
        return {name: float(pair[0] / pair[1]) for name, pair in sums.items()}


def validate(trainer: Trainer, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
    """Compute top-1 and top-5 accuracy over the images of all processes, among all columns of the scores.

    Args:
        trainer (Trainer): The network.
        batches (iterable): The batches of this process, as (images, labels, rows). Processes may have different numbers
            of images.

    Returns:
        The two accuracies as fractions.
    """
    fabric = trainer.fabric
    counts = torch.zeros(3, dtype=torch.float64, device=fabric.device)
    for images, labels, _ in batches:
        hits = _top_hits(trainer.scores(images), fabric.to_device(labels), 5)
        counts += torch.stack([hits[:, 0].sum(), hits.sum(), hits.new_tensor(len(labels), dtype=torch.int64)])
    top1, top5, n = fabric.all_reduce(counts, reduce_op="sum").tolist()  # type: ignore[union-attr]
    return top1 / n, top5 / n


def _top_hits(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """True at (i, j) if the class with the j-th best score of image i is its label: (N, k) bool, fewer for k > C."""
    return scores.topk(min(k, scores.shape[1]), dim=1).indices == labels[:, None]
