"""Which examples each step of the low-shot phase's SGD uses: drawn independently, or dealt like cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

# Steps whose draws are made, and sent to the device, together.
BLOCK_STEPS = 64


class Pool(NamedTuple):
    """Examples to draw from: (M, D) float32 features and (M,) int64 columns of their classes."""

    features: torch.Tensor
    columns: torch.Tensor


class Draws:
    """Which examples each step uses, made a block of steps at a time.

    Independent of each other from step to step, or ``dealt``: every example comes once before any comes again, the
    classes evenly mixed, and shots that are all computed have equal weights.

    Attributes:
        weighs: whether a run's shots are few enough to be computed all and weighted, rather than gathered.
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
        dealt: bool = False,
    ) -> None:
        self.dealt = dealt
        self.device = shots[0].features.device
        self.n_base_rows = 0 if base is None else len(base.columns)
        self.n_shots = len(shots[0].columns)
        share = 0 if base is None else n_base_classes / (n_base_classes + n_novel_classes)
        self.from_base = round(batch_size * share)
        self.from_shots = batch_size - self.from_base
        self.weighs = self.n_shots <= self.from_shots
        # The first number keeps equal seeds from giving equal draws.
        self._base = np.random.default_rng([0, base_seed])
        self._runs = [np.random.default_rng([1, seed]) for seed in seeds]
        columns = np.empty(0, np.int64) if base is None else base.columns.cpu().numpy()
        self._base_deck = _Deck(columns, self._base)
        self._decks = [_Deck(own.columns.cpu().numpy(), rng) for own, rng in zip(shots, self._runs)]

    def steps(self, n_steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Per step the base rows (n,), and per run the drawn shots (R, m), or how often each was drawn (R, M)."""
        for first in range(0, n_steps, BLOCK_STEPS):
            length = min(BLOCK_STEPS, n_steps - first)
            base = torch.from_numpy(np.stack([self._base_rows() for _ in range(length)])).to(self.device)
            shots = torch.from_numpy(np.stack([self._shots(run, length) for run in range(len(self._runs))], 1)).to(
                self.device
            )
            yield from zip(base, shots)

    def _base_rows(self) -> np.ndarray:
        if not self.from_base:
            return np.empty(0, np.int64)
        if self.dealt:
            return self._base_deck.deal(self.from_base)
        scarce = self.from_base > self.n_base_rows  # then a batch cannot do without repeats
        return self._base.choice(self.n_base_rows, self.from_base, replace=scarce, shuffle=False)

    def _shots(self, run: int, length: int) -> np.ndarray:
        if self.dealt:
            if self.weighs:
                return np.full((length, self.n_shots), self.from_shots / self.n_shots, np.float32)
            return np.stack([self._decks[run].deal(self.from_shots) for _ in range(length)])
        drawn = self._runs[run].integers(self.n_shots, size=(length, self.from_shots))
        if not self.weighs:
            return drawn
        numbered = (drawn + self.n_shots * np.arange(length)[:, None]).ravel()
        return np.bincount(numbered, minlength=length * self.n_shots).reshape(length, -1).astype(np.float32)


class _Deck:
    """Examples, dealt; shuffled anew when all were. Those of a class are spread evenly over the deck."""

    def __init__(self, columns: np.ndarray, rng: np.random.Generator) -> None:
        self.columns = columns
        self._rng = rng
        self._cards = np.empty(0, np.int64)

    def deal(self, count: int) -> np.ndarray:
        while len(self._cards) < count:
            self._cards = np.concatenate([self._cards, self._shuffled()])
        dealt, self._cards = self._cards[:count], self._cards[count:]
        return dealt

    def _shuffled(self) -> np.ndarray:
        of_class = np.bincount(self.columns)
        order = self._rng.permutation(len(self.columns))
        order = order[np.argsort(self.columns[order], kind="stable")]
        columns = self.columns[order]
        rank = np.arange(len(order)) - (np.cumsum(of_class) - of_class)[columns]
        place = (rank + self._rng.random(len(of_class))[columns]) / of_class[columns]
        return order[np.argsort(place)]
