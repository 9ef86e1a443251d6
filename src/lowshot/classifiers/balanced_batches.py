"""Batches that balance base and novel classes: the examples of each step of the low-shot phase's SGD."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from lowshot.classifiers.class_weight import cumulative, draw_rows

# The steps whose batches are drawn, and moved to the device, together.
BLOCK_STEPS = 64


class Pool(NamedTuple):
    """Examples to draw from.

    Attributes:
        features (Tensor, (M, D) float32): The features.
        columns (Tensor, (M,) int64): The column of each one's class in the scores.
        weights (array, (M,) float64, optional): The weight of each, one on average; None for equal ones.
    """

    features: torch.Tensor
    columns: torch.Tensor
    weights: np.ndarray | None = None


class BalancedBatches:
    """Draws the batches of R runs that have the same base examples and different shots.

    A batch holds round(batch_size · B/(B+N)) base examples, the same in all runs; the others are shots of the run.
    Examples with weights are drawn as often as their weight says.

    Args:
        base (Pool, optional): The base examples; None without base classes.
        shots (sequence of Pool): The shots of each run, equally many.
        n_base_classes (int): B.
        n_novel_classes (int): N.
        batch_size (int): The number of examples in a batch.
        base_seed (int): The seed of the draws of base examples.
        seeds (sequence of int): The seed of each run's draws of shots.
        in_epochs (bool): Go through all examples before any comes again, in an order that mixes the classes evenly. By
            default each step draws independently of the others, base examples without replacement (with it, if they
            have weights) and shots with it.

    Attributes:
        from_base (int): The number of base examples in a batch.
        from_shots (int): The number of shots in a batch.
        weighted (bool): True where a run has so few shots that each step computes all of them, weighted by how often
            they are drawn, instead of gathering the drawn ones. With ``in_epochs`` these are their own weights.
        base_weights (Tensor, (1, M) float32, optional): The factors of the base examples' gradients, where they have
            weights and are not drawn by them, because ``in_epochs`` takes each as often as any other.
        shot_weights (Tensor, (R, S) float32, optional): The same of the shots.
    """

    def __init__(
        self,
        base: Pool | None,
        shots: Sequence[Pool],
        n_base_classes: int,
        n_novel_classes: int,
        batch_size: int,
        base_seed: int,
        seeds: Sequence[int],
        in_epochs: bool = False,
    ) -> None:
        self.in_epochs = in_epochs
        self.device = shots[0].features.device
        self.n_base_rows = 0 if base is None else len(base.columns)
        self.n_shots = len(shots[0].columns)
        share = 0 if base is None else n_base_classes / (n_base_classes + n_novel_classes)
        self.from_base = round(batch_size * share)
        self.from_shots = batch_size - self.from_base
        self.weighted = self.n_shots <= self.from_shots
        # With the first number, equal seeds do not give equal draws.
        self._base_rng = np.random.default_rng([0, base_seed])
        self._run_rngs = [np.random.default_rng([1, seed]) for seed in seeds]
        columns = np.empty(0, np.int64) if base is None else base.columns.cpu().numpy()
        self._base_cumulative = None if base is None else cumulative(base.weights)
        self._run_weights = [own.weights for own in shots]
        self._run_cumulative = [cumulative(weights) for weights in self._run_weights]
        self.base_weights = self._factors([None if base is None else base.weights], [self.n_base_rows])
        self.shot_weights = self._factors(self._run_weights, [self.n_shots] * len(shots))
        self._base_epochs = _Epochs(columns, self._base_rng)
        self._run_epochs = [_Epochs(own.columns.cpu().numpy(), rng) for own, rng in zip(shots, self._run_rngs)]

    def steps(self, n_steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Draw the batches of some steps.

        Yields:
            For each step the (``from_base``,) rows of base examples, and the shots of all runs: their rows
            (R, ``from_shots``), or where ``weighted`` how often each was drawn, (R, shots of a run).
        """
        for first in range(0, n_steps, BLOCK_STEPS):
            length = min(BLOCK_STEPS, n_steps - first)
            base = np.stack([self._base_rows() for _ in range(length)])
            shots = np.stack([self._shots(run, length) for run in range(len(self._run_rngs))], axis=1)
            yield from zip(torch.from_numpy(base).to(self.device), torch.from_numpy(shots).to(self.device))

    def _base_rows(self) -> np.ndarray:
        if not self.from_base:
            return np.empty(0, np.int64)
        if self.in_epochs:
            return self._base_epochs.take(self.from_base)
        if self._base_cumulative is not None:
            return draw_rows(self._base_rng, self.n_base_rows, self.from_base, self._base_cumulative)
        scarce = self.from_base > self.n_base_rows  # then a batch cannot do without repeats
        return self._base_rng.choice(self.n_base_rows, self.from_base, replace=scarce, shuffle=False)

    def _shots(self, run: int, length: int) -> np.ndarray:
        if self.in_epochs:
            if self.weighted:
                each = np.full((length, self.n_shots), self.from_shots / self.n_shots, np.float32)
                weights = self._run_weights[run]
                return each if weights is None else each * weights.astype(np.float32)
            return np.stack([self._run_epochs[run].take(self.from_shots) for _ in range(length)])
        drawn = draw_rows(self._run_rngs[run], self.n_shots, (length, self.from_shots), self._run_cumulative[run])
        if not self.weighted:
            return drawn
        numbered = (drawn + self.n_shots * np.arange(length)[:, None]).ravel()
        return np.bincount(numbered, minlength=length * self.n_shots).reshape(length, -1).astype(np.float32)

    def _factors(self, weights: Sequence[np.ndarray | None], sizes: Sequence[int]) -> torch.Tensor | None:
        """The weights of each group of examples, one below the other, if ``in_epochs`` and any has some."""
        if not self.in_epochs or all(own is None for own in weights):
            return None
        rows = [np.ones(size) if own is None else own for own, size in zip(weights, sizes)]
        return torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.device)


class _Epochs:
    """Rows in shuffled epochs, each class spread evenly over an epoch."""

    def __init__(self, columns: np.ndarray, rng: np.random.Generator) -> None:
        self.columns = columns
        self._rng = rng
        self._next = np.empty(0, np.int64)

    def take(self, count: int) -> np.ndarray:
        while len(self._next) < count:
            self._next = np.concatenate([self._next, self._epoch()])
        taken, self._next = self._next[:count], self._next[count:]
        return taken

    def _epoch(self) -> np.ndarray:
        of_class = np.bincount(self.columns)
        order = self._rng.permutation(len(self.columns))
        order = order[np.argsort(self.columns[order], kind="stable")]
        columns = self.columns[order]
        rank = np.arange(len(order)) - (np.cumsum(of_class) - of_class)[columns]
        position = (rank + self._rng.random(len(of_class))[columns]) / of_class[columns]
        return order[np.argsort(position)]
