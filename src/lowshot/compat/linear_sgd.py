"""SGD of one linear softmax classifier on the batches of the original's low-shot phase.

:func:`~lowshot.classifiers.balanced_sgd.balanced_sgd` trains many runs at once. For a single one a step is two products
of the batch with the weights, so it pays to compute every example of a batch once: shots are drawn with replacement,
and those drawn several times are weighted. The gradient is that of the whole batch, up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lowshot.classifiers.sgd import SGD
from lowshot.devices import pick_device, to_device


@dataclass(frozen=True)
class Examples:
    """Labelled features.

    Attributes:
        features (float32 array of shape (N, D)): The features.
        labels (int64 array of shape (N,)): Their labels, which are the outputs that score them.
    """

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Rates:
    """The parameters of ``torch.optim.SGD``, and the numbers of steps and of examples in a batch."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    n_steps: int
    batch_size: int


class Batches:
    """Draws batches of base examples, none of them twice, and of shots with replacement.

    Args:
        n_base (int): The number of base examples.
        n_shots (int): The number of shots.
        from_base (int): The base examples of a batch; with fewer there are, they are drawn with replacement.
        from_shots (int): The shots of a batch.
        seed (int): The seed.
    """

    def __init__(self, n_base: int, n_shots: int, from_base: int, from_shots: int, seed: int) -> None:
        self.n_base, self.n_shots = n_base, n_shots
        self.from_base, self.from_shots = from_base, from_shots
        self._rng = np.random.default_rng([1, seed])

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows (B,) of base examples, the distinct rows (S,) of shots, and how often each of these occurs, (S,)."""
        scarce = self.from_base > self.n_base
        base = self._rng.choice(self.n_base, self.from_base, replace=scarce, shuffle=False)
        if not self.from_shots:
            return base, np.empty(0, np.int64), np.empty(0, np.int64)
        times = np.bincount(self._rng.integers(self.n_shots, size=self.from_shots))
        drawn = np.flatnonzero(times)
        return base, drawn, times[drawn]


def train_linear(
    base: Examples, shots: Examples | None, share: float, n_outputs: int, rates: Rates, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Train a linear layer with bias by SGD on the mean cross-entropy of each batch.

    Args:
        base (Examples): The base examples.
        shots (Examples or None): The shots, with generated ones; None without any.
        share (float): The share of base examples in a batch.
        n_outputs (int): The number of outputs; those without examples are trained as classes that never occur.
        rates (Rates): Steps and rates.
        seed (int): The seed of the initial values, which are those of ``torch.nn.Linear``, and of the batches.

    Returns:
        tuple: float32 weight (n_outputs, D) and bias (n_outputs,).
    """
    device = pick_device()
    pools = [to_device(part.features, device) for part in (base, shots) if part is not None]
    columns = [torch.from_numpy(part.labels).to(device) for part in (base, shots) if part is not None]
    from_base = round(rates.batch_size * share)
    n_shots = 0 if shots is None else len(shots.labels)
    batches = Batches(len(base.labels), n_shots, from_base, rates.batch_size - from_base, seed)
    weight, bias = _initial(n_outputs, pools[0].shape[1], seed, device)
    weight.grad, bias.grad = torch.empty_like(weight), torch.empty_like(bias)
    optimizer = SGD([weight, bias], rates.lr, rates.momentum, rates.dampening, rates.weight_decay)
    # The examples of a batch are gathered into one block of memory, so that each product is a single one.
    block = torch.empty(rates.batch_size, pools[0].shape[1], device=device)
    for _ in range(rates.n_steps):
        base_rows, drawn, times = batches.draw()
        rows = [torch.from_numpy(part).to(device) for part in (base_rows, drawn)][: len(pools)]
        X = block[: sum(map(len, rows))]
        first = 0
        for pool, chosen in zip(pools, rows):
            torch.index_select(pool, 0, chosen, out=X[first : first + len(chosen)])
            first += len(chosen)
        y = torch.cat([labels.index_select(0, chosen) for labels, chosen in zip(columns, rows)])
        parts = torch.from_numpy(np.concatenate([np.ones(len(base_rows)), times]).astype(np.float32)).to(device)
        parts /= rates.batch_size
        # d mean cross-entropy / d scores = (softmax - one-hot) / batch, times how often an example is in the batch
        residual = torch.addmm(bias, X, weight.T).softmax(1).mul_(parts[:, None])
        residual.scatter_add_(1, y[:, None], -parts[:, None])
        torch.mm(residual.T, X, out=weight.grad)
        torch.sum(residual, 0, out=bias.grad)
        optimizer.step()
    return weight.cpu().numpy(), bias.cpu().numpy()


def _initial(n_outputs: int, dim: int, seed: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias as ``torch.nn.Linear(dim, n_outputs)`` draws them."""
    generator, bound = torch.Generator().manual_seed(seed), dim**-0.5
    weight = torch.empty(n_outputs, dim).uniform_(-bound, bound, generator=generator)
    bias = torch.empty(n_outputs).uniform_(-bound, bound, generator=generator)
    return weight.to(device), bias.to(device)
