"""SGD on batches that balance base and novel classes, for many runs at once.

Runs differ in their shots, not in the base examples, so one batch of base examples and one matrix product serve them
all: with R runs of C classes, the scores of a batch are ``X @ W.T`` for W of (R·C, D). Shots drawn with replacement
from a few are a weighting of those few: each is computed once and weighted by how often it was drawn. Both give the
gradient of drawing and computing every example by itself, up to rounding.

The remaining time goes into matrix products. Where an approximation is enough, one gradient may serve several steps,
which are so short that it hardly changes from one to the next. Each of the fewer batches weighs more, and independent
draws would bring noise that costs accuracy, so these batches go through all examples in epochs instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lowshot.classifiers.balanced_batches import BalancedBatches, Pool
from lowshot.classifiers.sgd import SGD
from lowshot.errors import DivergedError

# The share by which noise may raise the loss of a run of few short steps that has not diverged.
DESCENT_SLACK = 0.01

Gradients = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class SGDSettings:
    """The parameters of ``torch.optim.SGD``, and the steps and batches of the low-shot phase.

    Attributes:
        lr (float): The learning rate.
        momentum (float): The momentum.
        dampening (float): The dampening of the momentum, from the second step on.
        weight_decay (float): The weight decay, on biases as well.
        n_steps (int): The number of steps.
        batch_size (int): The number of examples in a batch.
        gradient_every (int): The number of steps that one gradient, decay included, serves. Above 1 batches go through
            all examples in epochs.
        bias (bool): False leaves all biases at 0.
    """

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    n_steps: int
    batch_size: int
    gradient_every: int = 1
    bias: bool = True


def balanced_sgd(
    base: Pool | None,
    shots: Sequence[Pool],
    n_base_classes: int,
    n_novel_classes: int,
    n_outputs: int,
    settings: SGDSettings,
    base_seed: int,
    seeds: Sequence[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train a linear softmax classifier for each of R runs (arXiv 1606.02819, section 4).

    The batches are those of :class:`~lowshot.classifiers.balanced_batches.BalancedBatches`. Weights and biases are
    initialised as those of ``torch.nn.Linear``. The base examples of a step depend on ``base_seed`` alone, the initial
    weights and the shots of a run on its seed alone, so a run trained with others ends as it does alone.

    Args:
        base (Pool, optional): The base examples, on the device to train on; None without base classes.
        shots (sequence of R Pool): The novel examples of each run, equally many.
        n_base_classes (int): B, the number of base classes.
        n_novel_classes (int): N, the number of novel classes.
        n_outputs (int): The number of outputs, at least B + N. Those beyond are trained as classes that never occur.
        settings (SGDSettings): Steps and rates.
        base_seed (int): The seed of the base examples' order.
        seeds (sequence of R int): The seed of each run.

    Returns:
        (R, n_outputs, D) float32 weights and (R, n_outputs) biases.

    Raises:
        DivergedError: A gradient served too many steps: the loss of a run ended above its initial value.
    """
    approximate = settings.gradient_every > 1
    sizes = n_base_classes, n_novel_classes, settings.batch_size
    batches = BalancedBatches(base, shots, *sizes, base_seed, seeds, in_epochs=approximate)
    features = torch.stack([run.features for run in shots])
    columns = torch.stack([run.columns for run in shots])
    weight, bias = _initial(seeds, n_outputs, features.shape[2], features.device)
    if not settings.bias:
        bias.zero_()
    gradients = torch.zeros_like(weight), torch.zeros_like(bias)
    weight.grad, bias.grad = gradients
    before = _losses(base, shots, batches, weight, bias) if approximate else None
    optimizer = _MultiStepSGD([weight, bias], settings) if approximate else _optimizer([weight, bias], settings)
    scale = 1 / settings.batch_size
    # Rows of all runs one after the other: index_select gathers from these twice as fast as indexing does.
    stacked = features.flatten(0, 1)
    offsets = len(columns[0]) * torch.arange(len(shots), device=columns.device)[:, None]
    with torch.no_grad():
        for rows, drawn in batches.steps(math.ceil(settings.n_steps / settings.gradient_every)):
            for gradient in gradients:
                gradient.zero_()
            if base is not None:
                X = base.features.index_select(0, rows)
                factors = None if batches.base_weights is None else batches.base_weights[0, rows]
                _add_base_gradient(gradients, weight, bias, X, base.columns[rows], scale, factors)
            if batches.weighted:
                _add_shot_gradient(gradients, weight, bias, features, columns, drawn * scale)
            else:
                weights = torch.full(drawn.shape, scale, device=drawn.device)
                if batches.shot_weights is not None:
                    weights *= batches.shot_weights.gather(1, drawn)
                X = stacked.index_select(0, (drawn + offsets).flatten()).view(*drawn.shape, features.shape[2])
                _add_shot_gradient(gradients, weight, bias, X, columns.gather(1, drawn), weights)
            if not settings.bias:
                gradients[1].zero_()
            optimizer.step()
        if before is not None:
            _check_descent(before, _losses(base, shots, batches, weight, bias), settings)
    return weight, bias


def _optimizer(parameters: list[torch.Tensor], settings: SGDSettings) -> SGD:
    return SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.dampening,
        weight_decay=settings.weight_decay,
    )


class _MultiStepSGD:
    """An optimizer that takes ``gradient_every`` steps of SGD by one gradient, in one update.

    Velocity and parameters after these steps are linear in the initial velocity and the gradient, so only their
    coefficients are computed step by step.
    """

    def __init__(self, parameters: list[torch.Tensor], settings: SGDSettings) -> None:
        self.settings = settings
        self.left = settings.n_steps
        self.parameters = parameters
        self.velocities: list[torch.Tensor] | None = None

    @torch.no_grad()
    def step(self) -> None:
        steps = min(self.left, self.settings.gradient_every)
        self.left -= steps
        first = self.velocities is None
        if self.velocities is None:
            self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]
        total, last = self._coefficients(steps, first)
        for parameter, velocity in zip(self.parameters, self.velocities, strict=True):
            gradient = parameter.grad
            assert gradient is not None
            gradient.add_(parameter, alpha=self.settings.weight_decay)
            parameter.add_(velocity, alpha=-self.settings.lr * total[0])
            parameter.add_(gradient, alpha=-self.settings.lr * total[1])
            velocity.mul_(last[0]).add_(gradient, alpha=last[1])

    def _coefficients(self, steps: int, first: bool) -> tuple[tuple[float, float], tuple[float, float]]:
        """The coefficients of (velocity, gradient) in the sum of the velocities of all steps, and in the last one."""
        momentum = self.settings.momentum
        last, total = (1.0, 0.0), (0.0, 0.0)
        for step in range(steps):
            if momentum == 0 or (first and step == 0):
                last = (0.0, 1.0)
            else:
                last = momentum * last[0], momentum * last[1] + 1 - self.settings.dampening
            total = total[0] + last[0], total[1] + last[1]
        return total, last


def _losses(
    base: Pool | None, shots: Sequence[Pool], batches: BalancedBatches, weight: torch.Tensor, bias: torch.Tensor
) -> list[float]:
    """Mean cross-entropy of each run over its shots and as many base examples as a batch has, weighted as in one."""
    share = batches.from_base / (batches.from_base + batches.from_shots)
    losses = []
    for run, own in enumerate(shots):
        loss = (1 - share) * _loss(own, weight[run], bias[run])
        if base is not None and batches.from_base:
            few = slice(None, None, math.ceil(batches.n_base_rows / batches.from_base))
            weights = None if base.weights is None else base.weights[few]
            loss += share * _loss(Pool(base.features[few], base.columns[few], weights), weight[run], bias[run])
        losses.append(loss)
    return losses


def _loss(examples: Pool, weight: torch.Tensor, bias: torch.Tensor) -> float:
    scores = torch.addmm(bias, examples.features, weight.T)
    if examples.weights is None:
        return float(torch.nn.functional.cross_entropy(scores, examples.columns))
    losses = torch.nn.functional.cross_entropy(scores, examples.columns, reduction="none")
    return float(np.average(losses.cpu().numpy(), weights=examples.weights))


def _check_descent(before: Sequence[float], after: Sequence[float], settings: SGDSettings) -> None:
    for first, last in zip(before, after, strict=True):
        if not last <= (1 + DESCENT_SLACK) * first:  # true for NaN as well
            raise DivergedError(
                f"gradient_every={settings.gradient_every} with lr={settings.lr}: the loss rose from {first:.3g} to "
                f"{last:.3g}, so these steps are too long for one gradient to serve; lower gradient_every or lr"
            )


def _add_base_gradient(
    gradients: Gradients,
    weight: torch.Tensor,
    bias: torch.Tensor,
    X: torch.Tensor,
    columns: torch.Tensor,
    scale: float,
    factors: torch.Tensor | None,
) -> None:
    """Add to all runs the gradient of one batch of base examples, X (n, D), each with weight ``scale`` times factor."""
    runs, outputs, dim = weight.shape
    scores = torch.addmm(bias.view(-1), X, weight.view(-1, dim).T)
    residual = scores.view(len(X), runs, outputs).softmax(2)
    residual[torch.arange(len(X), device=X.device), :, columns] -= 1
    if factors is not None:
        residual *= factors[:, None, None]
    residual = residual.view(len(X), runs * outputs)
    gradients[0].view(-1, dim).addmm_(residual.T, X, alpha=scale)
    gradients[1].view(-1).add_(residual.sum(0), alpha=scale)


def _add_shot_gradient(
    gradients: Gradients,
    weight: torch.Tensor,
    bias: torch.Tensor,
    X: torch.Tensor,
    columns: torch.Tensor,
    weights: torch.Tensor,
) -> None:
    """Add to each run the gradient of its own examples, X (R, n, D), with ``weights`` (R, n)."""
    residual = torch.baddbmm(bias[:, None], X, weight.transpose(1, 2)).softmax(2).mul_(weights[..., None])
    residual.scatter_add_(2, columns[..., None], -weights[..., None])
    gradients[0].baddbmm_(residual.transpose(1, 2), X)
    gradients[1].add_(residual.sum(1))


def _initial(seeds: Sequence[int], outputs: int, dim: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, outputs, dim) weights and (R, outputs) biases as ``torch.nn.Linear(dim, outputs)`` draws them."""
    bound = 1 / math.sqrt(dim)
    weight, bias = torch.empty(len(seeds), outputs, dim), torch.empty(len(seeds), outputs)
    for run, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        weight[run].uniform_(-bound, bound, generator=generator)
        bias[run].uniform_(-bound, bound, generator=generator)
    return weight.to(device), bias.to(device)
