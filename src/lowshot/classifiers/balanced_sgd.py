"""SGD on batches that balance base and novel classes, for many runs at once.

Runs differ in their shots, not in the base examples, so one batch of base examples and one matrix product serve them
all: with R runs of C classes, the scores of a batch are ``X @ W.T`` for W of (R·C, D). Shots drawn with replacement
from a few are a weighting of those few: each is computed once and weighted with how often it was drawn. Both are the
gradient of drawing and computing every example by itself, to the last rounding.

What remains is bound by matrix products. Where an approximation will do, a gradient may serve several steps, which are
so short that it hardly changes from one to the next. Fewer batches weigh more each, and drawn independently they bring
noise that costs accuracy. So their examples are dealt: every one once before any comes again, the classes evenly mixed.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from lowshot.classifiers.draws import Draws, Pool
from lowshot.errors import DivergedError

# Share by which the noise of a few short steps may raise a loss that is not led away.
DESCENT_SLACK = 0.01

Gradients = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """SGD as torch has it (the first step is not dampened), with the low-shot phase's batches.

    Attributes:
        gradient_every: steps that one gradient, decay included, serves; 1 computes one a step, more also deals the
            examples of batches.
        bias: whether there is one; without, biases stay 0.
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
    schedule: Schedule,
    base_seed: int,
    seeds: Sequence[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train one linear softmax classifier per run (arXiv 1606.02819, section 4; B base and N novel classes).

    A batch is round(batch · B/(B+N)) base examples, drawn without replacement, and shots, drawn with replacement.
    Weights and biases start as ``torch.nn.Linear`` starts them. The base examples of a step depend on ``base_seed``
    alone, the start and the shots of a run on its seed alone, so a run ends the same beside others as by itself.

    Args:
        base: the base examples, on the device to train on; None without base classes.
        shots: per run the novel examples, equally many.
        n_base_classes: B.
        n_novel_classes: N.
        n_outputs: how many columns there are, at least B + N; the others are trained as classes that never occur.
        schedule: steps and rates.
        base_seed: of the base examples' order.
        seeds: one per run.

    Returns:
        (R, n_outputs, D) float32 weights and (R, n_outputs) biases.

    Raises:
        DivergedError: gradients that serve several steps led a run away: its loss ended above where it began.
    """
    approximate = schedule.gradient_every > 1
    sizes = n_base_classes, n_novel_classes, schedule.batch_size
    draws = Draws(base, shots, *sizes, base_seed, seeds, dealt=approximate)
    features = torch.stack([run.features for run in shots])
    columns = torch.stack([run.columns for run in shots])
    weight, bias = _start(seeds, n_outputs, features.shape[2], features.device)
    if not schedule.bias:
        bias.zero_()
    gradients = torch.zeros_like(weight), torch.zeros_like(bias)
    weight.grad, bias.grad = gradients
    began = _losses(base, shots, draws, weight, bias) if approximate else None
    optimizer = _HeldGradient([weight, bias], schedule) if approximate else _optimizer([weight, bias], schedule)
    scale = 1 / schedule.batch_size
    # Rows of all runs one after the other: index_select gathers from these twice as fast as indexing does.
    stacked = features.flatten(0, 1)
    offsets = len(columns[0]) * torch.arange(len(shots), device=columns.device)[:, None]
    with torch.no_grad():
        for rows, drawn in draws.steps(math.ceil(schedule.n_steps / schedule.gradient_every)):
            for gradient in gradients:
                gradient.zero_()
            if base is not None:
                X = base.features.index_select(0, rows)
                _add_base_gradient(gradients, weight, bias, X, base.columns[rows], scale)
            if draws.weighs:
                _add_shot_gradient(gradients, weight, bias, features, columns, drawn * scale)
            else:
                times = torch.full(drawn.shape, scale, device=drawn.device)
                X = stacked.index_select(0, (drawn + offsets).flatten()).view(*drawn.shape, features.shape[2])
                _add_shot_gradient(gradients, weight, bias, X, columns.gather(1, drawn), times)
            if not schedule.bias:
                gradients[1].zero_()
            optimizer.step()
        if began is not None:
            _check_descent(began, _losses(base, shots, draws, weight, bias), schedule)
    return weight, bias


def _optimizer(parameters: list[torch.Tensor], schedule: Schedule) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=schedule.lr,
        momentum=schedule.momentum,
        dampening=schedule.dampening,
        weight_decay=schedule.weight_decay,
        fused=True,
    )


class _HeldGradient:
    """SGD's steps by a gradient that is held for ``gradient_every`` of them, all of these in one update.

    Velocity and parameters are linear in the velocity and the gradient that the steps begin with, so their coefficients
    after several steps are found on numbers.
    """

    def __init__(self, parameters: list[torch.Tensor], schedule: Schedule) -> None:
        self.schedule = schedule
        self.left = schedule.n_steps
        self.parameters = parameters
        self.velocities: list[torch.Tensor] | None = None

    @torch.no_grad()
    def step(self) -> None:
        steps = min(self.left, self.schedule.gradient_every)
        self.left -= steps
        first = self.velocities is None
        if self.velocities is None:
            self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]
        moved, kept = self._coefficients(steps, first)
        for parameter, velocity in zip(self.parameters, self.velocities, strict=True):
            gradient = parameter.grad
            assert gradient is not None
            gradient.add_(parameter, alpha=self.schedule.weight_decay)
            parameter.add_(velocity, alpha=-self.schedule.lr * moved[0])
            parameter.add_(gradient, alpha=-self.schedule.lr * moved[1])
            velocity.mul_(kept[0]).add_(gradient, alpha=kept[1])

    def _coefficients(self, steps: int, first: bool) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of (velocity, gradient): in the sum of the velocities of all steps, and in the last one."""
        momentum = self.schedule.momentum
        kept, moved = (1.0, 0.0), (0.0, 0.0)
        for step in range(steps):
            if momentum == 0 or (first and step == 0):
                kept = (0.0, 1.0)
            else:
                kept = momentum * kept[0], momentum * kept[1] + 1 - self.schedule.dampening
            moved = moved[0] + kept[0], moved[1] + kept[1]
        return moved, kept


def _losses(
    base: Pool | None, shots: Sequence[Pool], draws: Draws, weight: torch.Tensor, bias: torch.Tensor
) -> list[float]:
    """Mean cross-entropy of each run over its shots and a batch's worth of base examples, in a batch's proportion."""
    share = draws.from_base / (draws.from_base + draws.from_shots)
    losses = []
    for run, own in enumerate(shots):
        loss = (1 - share) * _loss(own, weight[run], bias[run])
        if base is not None and draws.from_base:
            few = slice(None, None, math.ceil(draws.n_base_rows / draws.from_base))
            loss += share * _loss(Pool(base.features[few], base.columns[few]), weight[run], bias[run])
        losses.append(loss)
    return losses


def _loss(examples: Pool, weight: torch.Tensor, bias: torch.Tensor) -> float:
    scores = torch.addmm(bias, examples.features, weight.T)
    return float(torch.nn.functional.cross_entropy(scores, examples.columns))


def _check_descent(began: Sequence[float], ended: Sequence[float], schedule: Schedule) -> None:
    for before, after in zip(began, ended, strict=True):
        if not after <= (1 + DESCENT_SLACK) * before:  # nor where it is no number
            raise DivergedError(
                f"gradient_every={schedule.gradient_every} with lr={schedule.lr}: the loss rose from {before:.3g} to "
                f"{after:.3g}, so these steps are too long for one gradient to serve; lower gradient_every or lr"
            )


def _add_base_gradient(
    gradients: Gradients, weight: torch.Tensor, bias: torch.Tensor, X: torch.Tensor, columns: torch.Tensor, scale: float
) -> None:
    """Add to all runs the gradient of one batch of base examples, (n, D) and (n,), each with weight ``scale``."""
    runs, outputs, dim = weight.shape
    scores = torch.addmm(bias.view(-1), X, weight.view(-1, dim).T)
    residual = scores.view(len(X), runs, outputs).softmax(2)
    residual[torch.arange(len(X), device=X.device), :, columns] -= 1
    residual = residual.view(len(X), runs * outputs)
    gradients[0].view(-1, dim).addmm_(residual.T, X, alpha=scale)
    gradients[1].view(-1).add_(residual.sum(0), alpha=scale)


def _add_shot_gradient(
    gradients: Gradients,
    weight: torch.Tensor,
    bias: torch.Tensor,
    X: torch.Tensor,
    columns: torch.Tensor,
    times: torch.Tensor,
) -> None:
    """Add to each run the gradient of its own examples, (R, n, D) and (R, n), with weights ``times`` (R, n)."""
    residual = torch.baddbmm(bias[:, None], X, weight.transpose(1, 2)).softmax(2).mul_(times[..., None])
    residual.scatter_add_(2, columns[..., None], -times[..., None])
    gradients[0].baddbmm_(residual.transpose(1, 2), X)
    gradients[1].add_(residual.sum(1))


@contextlib.contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Within the block float32 matrix products round their factors to bfloat16, or not at all ("float32").

    Sums and results stay float32. It has an effect where the processor multiplies bfloat16 in hardware (AMX, AVX-512
    BF16, tensor cores), and none elsewhere.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _start(seeds: Sequence[int], outputs: int, dim: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, outputs, dim) weights and (R, outputs) biases as ``torch.nn.Linear(dim, outputs)`` draws them."""
    bound = 1 / math.sqrt(dim)
    weight, bias = torch.empty(len(seeds), outputs, dim), torch.empty(len(seeds), outputs)
    for run, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        weight[run].uniform_(-bound, bound, generator=generator)
        bias[run].uniform_(-bound, bound, generator=generator)
    return weight.to(device), bias.to(device)
