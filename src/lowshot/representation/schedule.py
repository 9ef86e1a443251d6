"""The learning rate as a function of the point reached, so that a resumed run needs no schedule state."""

from __future__ import annotations

import math

from lowshot.representation.settings import TrainSettings


def learning_rate(settings: TrainSettings, epoch: float) -> float:
    """The rate after ``epoch`` epochs, counted from 0 and with the part of the current one.

    Warm-up epochs have their own constant rate and count as epochs. ``step`` multiplies by ``lr_decay`` every
    ``step_size`` epochs (Hariharan & Girshick, arXiv 1606.02819); ``cosine`` falls from ``lr`` after the warm-up to
    0 at the end of the last epoch (Loshchilov & Hutter, arXiv 1608.03983, without restarts).
    """
    if epoch < settings.warmup_epochs:
        return settings.warmup_lr
    if settings.schedule == "step":
        return settings.lr * settings.lr_decay ** (int(epoch) // settings.step_size)
    progress = (epoch - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
    return settings.lr * (1 + math.cos(math.pi * progress)) / 2
