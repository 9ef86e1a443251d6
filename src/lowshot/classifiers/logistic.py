"""Softmax regression on fixed features: the linear classifier of Hariharan & Girshick's low-shot phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from lowshot.checks import check_choice, check_count, check_number
from lowshot.classifiers.balanced_batches import Pool
from lowshot.classifiers.balanced_sgd import SGDSettings, balanced_sgd
from lowshot.classifiers.base import Examples
from lowshot.classifiers.class_weight import ClassWeight
from lowshot.classifiers.linear import LinearLowShotClassifier
from lowshot.classifiers.softmax import class_balanced, fit_softmax
from lowshot.devices import PRECISIONS, matmul_precision, pick_device, to_device
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.papers import HARIHARAN_2017
from lowshot.registry import CLASSIFIERS

# A root mean square length of features that the learning rates in use suit; pooled features of ResNets have 10 to 30.
USUAL_LENGTH = 20.0

MOST_OUTPUTS = 1_000_000


@CLASSIFIERS.register(
    "logistic", "softmax regression by SGD on batches that balance base and novel classes", bibtex=HARIHARAN_2017
)
class Logistic(LinearLowShotClassifier):
    """Linear layer with bias, cross-entropy, SGD with momentum and weight decay (arXiv 1606.02819, section 4).

    Each batch holds base and novel examples in the proportion of their numbers of classes. ``fit`` alone treats all
    rows as shots. Runs given to :meth:`fit_novel_runs` with equally many shots are trained together. After
    :meth:`fit_base` alone, the base classes are learned when scores are first asked for.

    Args:
        solver (str): "sgd" as published, or "lbfgs" for the optimum of the same objective, which needs no steps,
            batches or seed; of the other parameters it reads ``weight_decay`` and ``class_weight`` alone.
        lr (float): The learning rate.
        weight_decay (float): The weight decay, on the bias as well.
        momentum (float): The momentum of SGD, in [0, 1).
        dampening (float): The dampening of the momentum.
        n_steps (int): The number of SGD steps.
        batch_size (int): The number of examples in a batch, base and novel together.
        gradient_every (int): The number of steps that one gradient serves, 1 in SGD as published. More make that many
            times fewer matrix products, on batches that go through the examples in epochs; where steps are short,
            accuracies hardly change (measured at the published rates: docs/results/performance.md). If the loss of
            some run rises over the training, it and the runs trained with it are refused (DivergedError).
        n_outputs (int, optional): The number of trained outputs; None takes the base and novel classes. A larger
            number adds outputs whose classes never occur, as in the original (1000, whatever the split): they take
            part in the softmax while training and have no column in the scores.
        precision (str): The precision of factors in matrix products, "bfloat16" (where the processor multiplies that
            in hardware) or "float32". On 100 classes in 512-d the mean accuracies differ by less than 0.05 points.
        random_state (int or numpy.random.RandomState, optional): The seed of initial weights and draws. ``fit_base``
            takes the order of base examples from it, ``fit_novel`` the rest.
        device (str): "auto" (a GPU if there is one) or a torch device.
        class_weight (str, mapping or None): The weights of classes of unequal size among the base classes, and among
            the novel ones: "balanced" for equal weights; None to weigh every example the same; "auto", which is
            "balanced" except for base classes whose sizes differ by less than a factor of two: those are drawn as
            published, every example as often as any other. A mapping gives the weight of an example by its label.
        rescale_above (float, optional): The root mean square length of features (of the base examples, else of the
            shots) above which SGD sees them divided, so that it becomes 20: the gradient grows with the square of the
            length, and from 40 on SGD does not converge at the usual learning rates. ``coef_`` is for the features as
            they are. None never divides, as in the original.

    Attributes:
        coef_ (array, (C, D)): The weights.
        intercept_ (array, (C,)): The biases.
    """

    novel_parameters = frozenset({
        "solver", "lr", "weight_decay", "momentum", "dampening", "n_steps", "batch_size", "gradient_every",
        "n_outputs", "precision", "class_weight", "rescale_above",
    })  # fmt: skip
    tuning_grid = {"lr": (0.01, 0.1, 1.0), "weight_decay": (1e-4, 1e-3, 1e-2)}

    def __init__(
        self,
        solver: str = "sgd",
        lr: float = 0.1,
        weight_decay: float = 0.001,
        momentum: float = 0.9,
        dampening: float = 0.9,
        n_steps: int = 10_000,
        batch_size: int = 1000,
        gradient_every: int = 1,
        n_outputs: int | None = None,
        precision: str = "bfloat16",
        random_state: Any = None,
        device: str = "auto",
        class_weight: ClassWeight = "auto",
        rescale_above: float | None = 40.0,
    ) -> None:
        self.solver = solver
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.dampening = dampening
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.gradient_every = gradient_every
        self.n_outputs = n_outputs
        self.precision = precision
        self.random_state = random_state
        self.device = device
        self.class_weight = class_weight
        self.rescale_above = rescale_above

    def _check_parameters(self) -> None:
        check_choice("solver", self.solver, ("sgd", "lbfgs"))
        check_choice("precision", self.precision, PRECISIONS)
        check_count("n_steps", self.n_steps, least=0)
        check_count("batch_size", self.batch_size)
        check_count("gradient_every", self.gradient_every)
        for name in ("lr", "weight_decay", "dampening"):
            check_number(name, getattr(self, name), least=0)
        if self.n_outputs is not None and check_count("n_outputs", self.n_outputs) > MOST_OUTPUTS:
            raise InputError(f"n_outputs={self.n_outputs} must be at most {MOST_OUTPUTS}")
        if self.rescale_above is not None:
            check_number("rescale_above", self.rescale_above, above=0)
        check_number("momentum", self.momentum, least=0, below=1)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._base_examples_ = np.asarray(X, np.float32), codes
        self._base_seed_ = self._seed()

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_together([self], [(X, codes)])

    def _fit_together(self, runs: Sequence[Self], shots: Sequence[Examples]) -> None:
        base = getattr(self, "_base_examples_", None)
        groups = defaultdict(list)
        for run, (X, codes) in zip(runs, shots):
            groups[len(codes), len(run.classes_)].append((run, (X, codes)))
        for group in groups.values():
            self._learn([run for run, _ in group], [own for _, own in group], base)

    def _forget_novel(self) -> None:
        del self.coef_, self.intercept_  # those of the base classes are learned when scores are asked for

    def _check_learned(self, learned: LearnedState) -> None:
        if self.n_base_classes_:
            features, codes = learned.parts("_base_examples_", 2)
            learned.check("_base_examples_", features, "base examples", "D")
            learned.check_codes("_base_examples_", codes, "base examples", self.n_base_classes_)
            check_count(f"{learned.source}: _base_seed_", learned.value("_base_seed_"), least=0)
        if len(self.classes_) > self.n_base_classes_ or learned.has("coef_"):
            super()._check_learned(learned)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        if not hasattr(self, "coef_"):
            self._learn([self], [self._base_examples_], None)
        return super()._scores(X)

    def _as_torch(self) -> torch.nn.Module:
        if not hasattr(self, "coef_"):
            self._learn([self], [self._base_examples_], None)
        return super()._as_torch()

    def _learn(self, runs: Sequence[Self], shots: Sequence[Examples], base: Examples | None) -> None:
        """Fit runs of equally many shots and of the same base classes."""
        n_classes = len(runs[0].classes_)
        n_base = 0 if base is None else runs[0].n_base_classes_
        only_base = base is None and runs[0].n_base_classes_ > 0
        if self.n_outputs is not None and self.n_outputs < n_classes:
            raise InputError(f"n_outputs is {self.n_outputs}, but there are {n_classes} classes")
        weights = [run._row_weights(codes, base=only_base) for run, (_, codes) in zip(runs, shots, strict=True)]
        base_weights = None if base is None else self._row_weights(base[1], base=True)
        shots = [(X, codes + n_base) for X, codes in shots]
        if self.solver == "sgd":
            learned = self._sgd(runs, shots, weights, base, base_weights, n_base, n_classes)
        else:
            groups = [
                class_balanced(base, own, n_base, n_classes - n_base, base_weights, each)
                for own, each in zip(shots, weights)
            ]
            learned = [fit_softmax(group, n_classes, self.weight_decay) for group in groups]
        for run, (weight, bias) in zip(runs, learned, strict=True):
            run._set_outputs(weight, bias)

    def _set_outputs(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Take the rows of the classes from an (n_outputs, D) weight and its bias."""
        classes = len(self.classes_)
        self.coef_, self.intercept_ = weight[:classes].copy(), bias[:classes].copy()

    def _sgd(
        self,
        runs: Sequence[Self],
        shots: Sequence[Examples],
        weights: Sequence[np.ndarray | None],
        base: Examples | None,
        base_weights: np.ndarray | None,
        n_base: int,
        n_classes: int,
    ) -> list[Examples]:
        divisors = [self._divisor(X if base is None else base[0]) for X, _ in shots]
        settings = SGDSettings(
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            gradient_every=self.gradient_every,
        )
        with matmul_precision(self.precision):
            coefs, biases = balanced_sgd(
                None if base is None else self._pool(*base, base_weights, divisors[0]),
                [self._pool(*own, each, divisor) for own, each, divisor in zip(shots, weights, divisors)],
                n_base,
                n_classes - n_base,
                self.n_outputs or n_classes,
                settings,
                getattr(self, "_base_seed_", 0),
                [run._seed() for run in runs],
            )
        learned = zip(coefs.cpu().numpy(), biases.cpu().numpy(), divisors)
        return [(coef if divisor == 1 else coef / np.float32(divisor), bias) for coef, bias, divisor in learned]

    def _divisor(self, X: np.ndarray) -> float:
        """The number that (N, D) features are divided by for SGD, 1 unless they are longer than ``rescale_above``."""
        if self.rescale_above is None:
            return 1.0
        some = X[:: -(-len(X) // 10_000)]
        length = float(np.sqrt(np.einsum("nd,nd->", some, some, dtype=np.float64) / len(some)))
        return length / USUAL_LENGTH if length > self.rescale_above else 1.0

    def _pool(self, X: np.ndarray, columns: np.ndarray, weights: np.ndarray | None, divisor: float) -> Pool:
        device = pick_device(self.device)
        X = X if divisor == 1 else X / np.asarray(divisor, X.dtype)
        # Nothing writes to the examples, and a copy of all base features would double the memory.
        return Pool(to_device(X, device, copy_read_only=False), torch.from_numpy(columns).to(device), weights)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))
