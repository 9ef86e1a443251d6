"""What every low-shot classifier shares: input checks, class bookkeeping and the two-phase fit.

A classifier is a scikit-learn estimator, so ``fit(X, y).predict(X)`` works on any labelled features. The low-shot
protocol needs more: the base classes have thousands of examples and stay the same in every run, the novel classes
have a handful and change from run to run. So fitting has two phases::

    known = clone(classifier).fit_base(base_features, base_labels)            # once
    run = copy.copy(known).fit_novel(shot_features, shot_labels)              # for each draw of shots
    run.scores(queries)                                                       # over base and novel classes together

``fit`` alone is ``fit_novel`` with no base classes behind it. A subclass writes three short methods:
``_fit_base`` (optional), ``_fit_novel`` and ``_scores``, and may declare two things for those who tune it:
``novel_parameters`` and ``tuning_grid``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lowshot.errors import InputError


class LowShotClassifier(ClassifierMixin, BaseEstimator):
    """Base class. Constructors only store parameters; what is learned ends in an underscore.

    The next :meth:`fit` or :meth:`fit_base` forgets all that was learned: a refitted estimator equals a fresh one.

    Attributes:
        classes_: (C,) labels, the columns of :meth:`scores`: base classes first, each group sorted.
        n_base_classes_: how many of ``classes_`` are base classes.
        n_features_in_: D.
        novel_bias_: what :meth:`with_prior` adds to novel scores; not there without one.
        novel_parameters: the parameters that :meth:`fit_base` does not read, so that one fit of the base classes serves
            all their values. One that is left out costs time; one that is wrongly in it gives wrong results.
        tuning_grid: parameter → values worth trying: what ``grid: default`` in a recipe stands for.
        trained_on_episodes: True where :meth:`fit_base` is a long training on episodes of base classes: a recipe then
            has a stage for it, whose file the parameter ``pretrained`` takes.
        inference_parameters: The parameters that a trained network does not depend on; with ``trained_on_episodes``
            these alone can be tuned, and methods that differ in nothing else share one training.
    """

    novel_parameters: ClassVar[frozenset[str]] = frozenset()
    tuning_grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    trained_on_episodes: ClassVar[bool] = False
    inference_parameters: ClassVar[frozenset[str]] = frozenset()

    classes_: np.ndarray
    n_base_classes_: int
    n_features_in_: int
    novel_bias_: float

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the classes of ``y`` from (N, D) features alone, all treated alike, as shots."""
        X, y = self._validated(X, y, reset=True)
        self._forget_base()
        self._fit_novel(X, self._add_novel(y))
        return self

    def fit_base(self, X: Any, y: Any) -> Self:
        """Learn whatever the method takes from the base classes; done once for any number of :meth:`fit_novel`.

        Args:
            X: (N, D) features of the base classes.
            y: (N,) their labels.
        """
        X, y = self._validated(X, y, reset=True)
        self._forget_base()
        self._base_classes_, codes = np.unique(y, return_inverse=True)
        self.classes_ = self._base_classes_
        self.n_base_classes_ = len(self.classes_)
        self._fit_base(X, codes)
        return self

    def fit_novel(self, X: Any, y: Any) -> Self:
        """Add novel classes to the base classes; a second call replaces the novel classes of the first.

        Args:
            X: (M, D) the shots, with any generated features.
            y: (M,) their labels, none of them a base class.

        Raises:
            ValueError: :meth:`fit_base` was not called, ``y`` is empty, names a base class, or is text
                where the base labels are numbers (or the other way round).
        """
        X, codes = self._checked_shots(X, y)
        self._fit_novel(X, codes)
        return self

    def fit_novel_runs(self, runs: Sequence[tuple[np.ndarray, np.ndarray]], seeds: Sequence[int]) -> list[Self]:
        """One fitted copy per run of (shots, labels); the copies share what :meth:`fit_base` learned.

        ``seeds`` replace ``random_state`` run by run. Each copy is what :meth:`fit_novel` would make of its run alone.
        """
        fitted = []
        for seed in seeds:
            run = copy.copy(self)
            if "random_state" in run.get_params(deep=False):
                run.set_params(random_state=seed)
            fitted.append(run)
        shots = [run._checked_shots(X, y) for run, (X, y) in zip(fitted, runs, strict=True)]
        self._fit_together(fitted, shots)
        return fitted

    def with_novel_parameters(self, **params: Any) -> Self:
        """A copy for :meth:`fit_novel` with other values of ``novel_parameters``; it shares what was learned so far.

        Raises:
            InputError: :meth:`fit_base` reads one of the parameters: it must run again.
        """
        if read := sorted(params.keys() - self.novel_parameters):
            raise InputError(f"{type(self).__name__}: fit_base reads {read[0]!r} and must run again for another value")
        return copy.copy(self).set_params(**params)

    def scores_of_tasks(self, shots: np.ndarray, queries: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Scores in T small tasks of their own novel classes, which alone compete: N-way K-shot episodes.

        A method takes from :meth:`fit_base` what it learned there; no base class is an answer. The T tasks are learned
        together where that is faster, and nothing is kept of them.

        Args:
            shots: (T, W, K, D) float32, K shots of each of the W classes of a task, finite.
            queries: (T, Q, D) float32, finite.
            seeds: T of them, in place of ``random_state``.

        Returns:
            (T, Q, W), higher is likelier.
        """
        check_is_fitted(self, "_base_classes_")
        self._check_parameters()
        n_tasks, n_way, n_shots, dim = shots.shape
        if dim != self.n_features_in_ or queries.shape[2] != dim:
            raise InputError(
                f"{type(self).__name__} learned base classes of {self.n_features_in_} features; "
                f"shots have {dim} and queries {queries.shape[2]}"
            )
        # Labels that no base class has, and that sort as the classes of a task stand.
        base, places = self._base_classes_, np.arange(n_way)
        labels = np.array([f"{max(base)}+{i:09d}" for i in places]) if _is_text(base) else int(max(base)) + 1 + places
        pattern = copy.copy(self)
        codes = pattern._add_novel(np.repeat(labels, n_shots))
        seeded = "random_state" in self.get_params(deep=False)
        runs = [copy.copy(pattern) for _ in seeds]
        for run, seed in zip(runs, seeds):
            if seeded:
                run.random_state = seed
        flat = shots.reshape(n_tasks, n_way * n_shots, dim)
        return np.stack(self._scores_of_tasks(runs, [(X, codes) for X in flat], list(queries)))

    def scores(self, X: Any) -> np.ndarray:
        """(N, C) float scores over ``classes_``; higher is likelier. Two classes give two columns as well."""
        check_is_fitted(self, "classes_")
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        scores = np.asarray(self._scores(X))
        if bias := getattr(self, "novel_bias_", 0.0):
            scores = scores + np.where(np.arange(scores.shape[1]) < self.n_base_classes_, 0, bias).astype(scores.dtype)
        return scores

    def with_prior(self, bias: float) -> Self:
        """A fitted copy that adds ``bias`` to every score of a novel class: the balance of base and novel classes.

        Choose it on validation runs (:func:`lowshot.benchmark.choose_prior`), never on the queries it is used for. The
        copy keeps it through every later :meth:`fit_novel` and in a saved file; :meth:`fit` and :meth:`fit_base`
        forget it.
        """
        check_is_fitted(self, "classes_")
        if not np.isfinite(bias):
            raise InputError(f"bias={bias!r} must be a finite number")
        copied = copy.copy(self)
        copied.novel_bias_ = float(bias)
        return copied

    def decision_function(self, X: Any) -> np.ndarray:
        """As :meth:`scores`; with exactly two classes (N,), the second's lead, as scikit-learn has it."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the class with the highest score; the first of ``classes_`` among equals."""
        scores = self.scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def _check_parameters(self) -> None:
        """Raise :class:`InputError` for a parameter that no fit can use; called before each of them."""

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Learn from base examples; ``codes`` (N,) index ``classes_``. Methods without a base phase inherit this."""

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Learn from shots; ``codes`` (M,) index the novel part of ``classes_``, from 0."""
        raise NotImplementedError

    def _fit_together(self, runs: Sequence[Self], shots: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Call ``_fit_novel`` of each run; methods that are faster on several runs at once override it."""
        for run, (X, codes) in zip(runs, shots, strict=True):
            run._fit_novel(X, codes)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """(N, C) scores over ``classes_`` for checked input."""
        raise NotImplementedError

    def _scores_of_tasks(
        self, runs: Sequence[Self], shots: Sequence[tuple[np.ndarray, np.ndarray]], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """(Q, W) novel columns of each run; methods that can leave the base columns out to begin with override it."""
        self._fit_together(runs, shots)
        return [run._scores(X)[:, run.n_base_classes_ :] for run, X in zip(runs, queries)]

    def _forget_base(self) -> None:
        """Drop what was learned before."""
        learned = [name for name in vars(self) if name.endswith("_")]
        for name in set(learned) - {"n_features_in_", "feature_names_in_"}:
            delattr(self, name)

    def _checked_shots(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Shots of novel classes beside known base classes: checked features and their codes."""
        if not hasattr(self, "_base_classes_"):
            raise InputError(f"{type(self).__name__}: call fit_base before fit_novel, or fit for classes alone")
        X, y = self._validated(X, y, reset=False)
        if _is_text(y) != _is_text(self._base_classes_):
            # Joined in one array, numbers would turn into text, and no caller's label would be found again.
            kinds = ["text" if _is_text(labels) else "numbers" for labels in (self._base_classes_, y)]
            raise InputError(
                f"{type(self).__name__}: base labels are {kinds[0]} and novel labels are {kinds[1]}; "
                "give both phases labels of one kind"
            )
        if len(known := np.intersect1d(y, self._base_classes_)):
            raise InputError(f"novel labels {known[:5].tolist()} are base classes already: a label has one role")
        return X, self._add_novel(y)

    def _add_novel(self, y: np.ndarray) -> np.ndarray:
        """Make the labels of ``y`` the novel classes; their codes."""
        novel, codes = np.unique(y, return_inverse=True)
        base = getattr(self, "_base_classes_", novel[:0])
        self.n_base_classes_ = len(base)
        self.classes_ = np.concatenate([base, novel]) if len(base) else novel
        return codes

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        self._check_parameters()
        X, y = validate_data(self, X, y, reset=reset, dtype=[np.float32, np.float64])
        if y.dtype.kind not in "iuU":  # with few shots scikit-learn would warn that integers look like a regression
            check_classification_targets(y)
        return X, y


def _is_text(labels: np.ndarray) -> bool:
    """Whether labels are strings; scikit-learn lets no other objects through."""
    return labels.dtype.kind not in "biuf"
