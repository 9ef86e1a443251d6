"""The base class of auxiliary losses, and the terms that several of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.errors import InputError


class AuxiliaryLoss(nn.Module, ABC):
    """A loss that is added, with a weight, to the cross-entropy while the representation is trained.

    A subclass has a :meth:`formula` and a docstring, and is registered with a decorator::

        @LOSSES.register("scores_l2", "keeps the scores small")
        class ScoresL2Loss(AuxiliaryLoss):
            def formula(self, features, scores, labels, classifier_weight):
                return scores.square().sum(dim=1).mean()

    It may use all four arguments, and gradients flow through those it uses. Options are ordinary constructor arguments.
    It has no parameters of its own: only those of the backbone are trained.

    Features and weight are those whose product are the scores: with a cosine head, features of length one and the unit
    weights times the scale. With an objective that mixes images or smooths labels, ``labels`` are the targets of the
    cross-entropy, (N, C).

    Attributes:
        takes_distributions (bool): True if ``labels`` may be distributions (N, C) too. A loss without this is refused
            beside an objective that makes them.
        uses_length (bool): True if the loss only acts on the length of the features, so that it is refused beside a
            head that does not depend on it.
    """

    takes_distributions: ClassVar[bool] = False
    uses_length: ClassVar[bool] = False

    def forward(
        self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of a batch.

        With several processes this is the batch of one process, and the gradients are averaged over processes.

        Args:
            features (float, (N, D)): The features φ.
            scores (float, (N, C)): The output of the classifier before the softmax.
            labels (int64, (N,), or float, (N, C)): The labels, in 0..C-1, or distributions over the classes.
            classifier_weight (float, (C, D)): The weight of the classifier; losses that do not use it accept None.

        Returns:
            A scalar of float32 or float64, inside autocast too.

        Raises:
            InputError: The shapes do not fit together.
        """
        self._check(features, scores, labels, classifier_weight)
        with torch.autocast(features.device.type, enabled=False):
            weight = None if classifier_weight is None else _at_least_float32(classifier_weight)
            labels = labels if labels.ndim == 1 else _at_least_float32(labels)
            return self.formula(_at_least_float32(features), _at_least_float32(scores), labels, weight)

    @abstractmethod
    def formula(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> Tensor:
        """Compute the scalar loss of checked arguments, which are float32 or float64."""

    def _check(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> None:
        n = len(labels)
        fits = features.ndim == scores.ndim == 2 and len(features) == len(scores) == n > 0
        fits = fits and (labels.ndim == 1 or (self.takes_distributions and labels.shape == scores.shape))
        if fits and classifier_weight is not None:
            fits = classifier_weight.shape == (scores.shape[1], features.shape[1])
        if not fits:
            weight = None if classifier_weight is None else tuple(classifier_weight.shape)
            raise InputError(
                f"{type(self).__name__} expects features (N, D), scores (N, C), labels (N,) and classifier_weight "
                f"(C, D) with N > 0, not {tuple(features.shape)}, {tuple(scores.shape)}, {tuple(labels.shape)} "
                f"and {weight}"
            )


def residuals(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute y − p, the targets minus the softmax: the error (N, C) of the classifier on each example.

    Args:
        scores (float, (N, C)): The scores.
        labels (int64, (N,), or float, (N, C)): The labels, whose targets are one-hot, or the targets.
    """
    targets = F.one_hot(labels, scores.shape[1]) if labels.ndim == 1 else labels
    return targets.to(scores.dtype) - scores.softmax(dim=1)


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
