"""Running sums of an epoch, and the check that the loss is still a number."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from lowshot.errors import LowshotError
from lowshot.representation.evaluation import top_hits
from lowshot.representation.step import StepResult


class Meter:
    """Sums over an epoch, kept on the device so that counting does not make it wait."""

    def __init__(self, fabric: Fabric, epoch: int) -> None:
        self.fabric, self.epoch = fabric, epoch
        self.sums = torch.zeros(5, dtype=torch.float64, device=fabric.device)
        self.first_bad = torch.full((), -1, device=fabric.device)

    @torch.no_grad()
    def add(self, step: int, result: StepResult, labels: Tensor) -> None:
        """Count a step of this process."""
        loss, cross_entropy, auxiliary, scores = result
        n = len(labels)
        hits = top_hits(scores, labels, 1).sum()
        extra = torch.zeros_like(loss) if auxiliary is None else auxiliary
        weighted = torch.stack([loss, cross_entropy, extra]).double() * n
        self.sums += torch.cat([weighted, hits.double()[None], torch.full_like(weighted[:1], n)])
        bad = ~torch.isfinite(loss) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)

    def look(self) -> float:
        """The mean loss so far of this process.

        Raises:
            LowshotError: the loss was NaN or infinite; the message says when and what to try.
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
        """Means over the images of all processes, and how many there were."""
        self.look()
        *sums, n = self.fabric.all_reduce(self.sums, reduce_op="sum").tolist()  # type: ignore[union-attr]
        means = dict(zip(("loss", "cross_entropy", "auxiliary", "top1"), (value / n for value in sums)))
        return {**means, "images": n}
