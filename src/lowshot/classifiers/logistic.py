"""Softmax regression on fixed features: the linear classifier of Hariharan & Girshick's low-shot phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from lowshot.classifiers.balanced_sgd import Pool, Schedule, balanced_sgd, products_in
from lowshot.classifiers.linear import LinearLowShotClassifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS


@CLASSIFIERS.register("logistic", "softmax regression by SGD on batches that balance base and novel classes")
class Logistic(LinearLowShotClassifier):
    """Linear layer with bias, cross-entropy, SGD with momentum and weight decay (arXiv 1606.02819, section 4).

    Each batch holds base and novel examples in the proportion of their numbers of classes. ``fit`` alone treats all
    rows as shots. Runs given to :meth:`fit_novel_runs` with equally many shots are trained together.

    Args:
        lr, momentum, dampening, weight_decay: of ``torch.optim.SGD``; the decay is on the bias as well.
        n_steps: SGD steps.
        batch_size: examples per step, base and novel together.
        n_outputs: outputs that are trained; None trains the classes in play. A larger number adds outputs that never
            are the right one, as the original has it (1000, whatever the split): they take part in the softmax while
            training and have no column in the scores.
        precision: of the factors in matrix products, "bfloat16" (where the processor has it) or "float32". Measured
            on 100 classes in 512-d the accuracies differ by less than 0.1 points.
        random_state: of the start and of the draws. ``fit_base`` takes the order of base examples from it,
            ``fit_novel`` the rest.
        device: "auto" (a GPU if there is one) or a torch device.

    Attributes:
        coef_: (C, D) float32.
        intercept_: (C,) float32.
    """

    def __init__(
        self,
        lr: float = 0.1,
        weight_decay: float = 0.001,
        momentum: float = 0.9,
        dampening: float = 0.9,
        n_steps: int = 10_000,
        batch_size: int = 1000,
        n_outputs: int | None = None,
        precision: str = "bfloat16",
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.dampening = dampening
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.n_outputs = n_outputs
        self.precision = precision
        self.random_state = random_state
        self.device = device

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._base_pool_ = self._pool(X, codes)
        self._base_seed_ = self._seed()

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_together([self], [(X, codes)])

    def _fit_together(self, runs: Sequence[Self], shots: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        alike = defaultdict(list)
        for run, (X, codes) in zip(runs, shots):
            alike[len(codes), len(run.classes_)].append((run, X, codes))
        for group in alike.values():
            self._fit_alike(*zip(*group))

    def _fit_alike(self, runs: Sequence[Self], features: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> None:
        """Train runs of equally many shots and classes."""
        n_base, n_classes = runs[0].n_base_classes_, len(runs[0].classes_)
        if self.precision not in ("bfloat16", "float32"):
            raise InputError(f"precision must be bfloat16 or float32, not {self.precision!r}")
        if self.n_outputs is not None and self.n_outputs < n_classes:
            raise InputError(f"n_outputs is {self.n_outputs}, but there are {n_classes} classes")
        schedule = Schedule(self.lr, self.momentum, self.dampening, self.weight_decay, self.n_steps, self.batch_size)
        with products_in(self.precision):
            weights, biases = balanced_sgd(
                getattr(self, "_base_pool_", None),
                [self._pool(X, columns + n_base) for X, columns in zip(features, codes)],
                n_base,
                n_classes - n_base,
                self.n_outputs or n_classes,
                schedule,
                getattr(self, "_base_seed_", 0),
                [run._seed() for run in runs],
            )
        for run, weight, bias in zip(runs, weights.cpu().numpy(), biases.cpu().numpy()):
            run.coef_, run.intercept_ = weight[:n_classes].copy(), bias[:n_classes].copy()

    def _pool(self, X: np.ndarray, columns: np.ndarray) -> Pool:
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        features = np.ascontiguousarray(X, np.float32)
        if not features.flags.writeable:
            features = features.copy()
        return Pool(torch.from_numpy(features).to(device), torch.from_numpy(columns).to(device))

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))
