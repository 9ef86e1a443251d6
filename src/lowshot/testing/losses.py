"""The contract of an auxiliary loss, checked on a small batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lowshot.registry import LOSSES
from lowshot.representation.losses import AuxiliaryLoss
from lowshot.testing.conformance import Check, built, run_checks

_Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def check_loss(loss: AuxiliaryLoss | type[AuxiliaryLoss] | str, **params: Any) -> None:
    """Check that an auxiliary loss can be trained with.

    Checked are: that it is a finite scalar, of one example and of several, and the same for any order of the batch;
    that its gradient is the derivative of its value (finite differences in float64) and reaches features, scores or
    the weight of the classifier; that it has no parameters of its own, which nothing would train; and that it changes
    none of its arguments.

    Args:
        loss (AuxiliaryLoss, class or str): The loss, its class, or its registered name.
        **params (objects): The parameters of a class or name.

    Raises:
        ConformanceError: It breaks the contract; a line for each finding.
        InputError: The name or a parameter is unknown.

    Example:
        >>> check_loss("sgm")
    """
    made = built(LOSSES, loss, params)
    run_checks(f"loss {type(made).__name__}", _checks(made))


def _checks(loss: AuxiliaryLoss) -> Iterator[Check]:
    yield partial(_nothing_is_trained, loss)
    yield partial(_the_loss_is_a_finite_scalar, loss, _batch(6))
    yield partial(_the_loss_is_a_finite_scalar, loss, _batch(1))
    yield partial(_order_does_not_matter, loss)
    yield partial(_arguments_are_left_alone, loss)
    yield partial(_gradients_are_right, loss)


def _batch(n: int) -> _Batch:
    """Features (n, 5), scores (n, 4), labels (n,) and classifier weight (4, 5) in float64."""
    rng = torch.Generator().manual_seed(n)
    features = torch.rand(n, 5, generator=rng, dtype=torch.float64) + 0.1
    weight = torch.randn(4, 5, generator=rng, dtype=torch.float64)
    return features, features @ weight.T, torch.arange(n) % 4, weight


def _nothing_is_trained(loss: AuxiliaryLoss) -> str | None:
    names = [name for name, _ in loss.named_parameters()]
    return f"parameters {', '.join(names)} are not trained: only those of the backbone are" if names else None


def _the_loss_is_a_finite_scalar(loss: AuxiliaryLoss, batch: _Batch) -> str | None:
    value = loss(*batch)
    if not isinstance(value, Tensor) or value.ndim or not value.isfinite():
        shown = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        return f"the loss of a batch of {len(batch[0])} is {shown}, or not finite; expected a finite scalar"
    return None


def _order_does_not_matter(loss: AuxiliaryLoss) -> str | None:
    features, scores, labels, weight = _batch(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    there, back = loss(features, scores, labels, weight), loss(features[order], scores[order], labels[order], weight)
    return None if torch.allclose(there, back) else "the loss depends on the order of the batch"


def _arguments_are_left_alone(loss: AuxiliaryLoss) -> str | None:
    batch = _batch(6)
    before = [tensor.clone() for tensor in batch]
    loss(*batch)
    same = all(torch.equal(one, other) for one, other in zip(batch, before))
    return None if same else "the loss changes one of its arguments in place"


def _gradients_are_right(loss: AuxiliaryLoss) -> str | None:
    features, scores, labels, weight = _batch(6)
    inputs = [tensor.clone().requires_grad_() for tensor in (features, scores, weight)]

    def value(features: Tensor, scores: Tensor, weight: Tensor) -> Tensor:
        found: Tensor = loss(features, scores, labels, weight)
        return found

    if not value(*inputs).requires_grad:
        return "no gradient reaches features, scores or classifier_weight: something detaches it, or leaves torch"
    if torch.autograd.gradcheck(value, inputs, raise_exception=False):
        return None
    return "the gradient is not the derivative of the loss, by finite differences in float64"
