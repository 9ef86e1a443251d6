"""The base class of low-shot classifiers: input checks, the order of classes, and fitting in two phases.

A classifier is a scikit-learn estimator, so ``fit(X, y).predict(X)`` works on any labelled features. The low-shot
protocol needs more: the base classes have thousands of examples and are the same in every experiment, the novel classes
have a handful and change with every experiment. So fitting has two phases::

    known = clone(classifier).fit_base(base_features, base_labels)            # once
    run = copy.copy(known).fit_novel(shot_features, shot_labels)              # for each experiment
    run.scores(queries)                                                       # over base and novel classes together

``fit`` alone is ``fit_novel`` without base classes. A subclass writes three short methods: ``_fit_base`` (optional),
``_fit_novel`` and ``_scores``. For tuning it may declare ``novel_parameters`` and ``tuning_grid``.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lowshot.checks import check_number
from lowshot.classifiers.class_weight import ClassWeight, check_class_weight, example_weights
from lowshot.classifiers.incremental import IncrementalClasses, listed
from lowshot.classifiers.torch_form import TorchForm
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.parameters import keyword_parameters

if TYPE_CHECKING:
    pass

Examples = tuple[np.ndarray, np.ndarray]

_TRAINING_PARAMETERS = ("random_state", "checkpoint", "pretrained")


class LowShotClassifier(IncrementalClasses, TorchForm, ClassifierMixin, BaseEstimator):
    """Base class. Constructors only store parameters; learned attributes end in an underscore.

    :meth:`fit` and :meth:`fit_base` delete all that was learned before: a refitted estimator equals a fresh one.

    Attributes:
        classes_ (array, (C,)): The labels of the columns of :meth:`scores`: base classes first, each group sorted.
        n_base_classes_ (int): The number of base classes among ``classes_``.
        n_features_in_ (int): D, the width of the features.
        novel_bias_ (float): The bias that :meth:`with_calibration_bias` adds to novel scores; absent without one.
        temperature_ (float): The temperature that :meth:`with_temperature` set; absent without one.
        class_weight (str, mapping or None): The weights of classes of unequal size; see
            :mod:`~lowshot.classifiers.class_weight`. Classifiers that weigh examples have a parameter of this name.
        novel_parameters (frozenset of str): The parameters that :meth:`fit_base` does not read, so that one fit of the
            base classes serves all their values. A name missing here costs time; a wrong one gives wrong results.
        tuning_grid (Mapping): Parameter → values worth trying, which ``grid: default`` in a recipe stands for.
        trained_on_episodes (bool): True where :meth:`fit_base` is a long training on episodes of base classes. A
            recipe then has a stage for it, which sets three parameters that the constructor must have:
            ``random_state``, ``checkpoint`` (the file to resume from) and, in later stages, ``pretrained`` (the file
            of the trained classifier, with which :meth:`fit_base` trains nothing).
        unrecorded_defaults (frozenset of str): The parameters that files and records of results leave out at their
            default, because there are files and results without them.
        inference_parameters (frozenset of str): The parameters that a trained network does not depend on. With
            ``trained_on_episodes`` these alone can be tuned, and methods that differ in nothing else share a training.
    """

    novel_parameters: ClassVar[frozenset[str]] = frozenset()
    tuning_grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    trained_on_episodes: ClassVar[bool] = False
    inference_parameters: ClassVar[frozenset[str]] = frozenset()
    unrecorded_defaults: ClassVar[frozenset[str]] = frozenset({"class_weight", "rescale_above"})

    class_weight: ClassWeight = "auto"
    classes_: np.ndarray
    n_base_classes_: int
    n_features_in_: int
    novel_bias_: float
    temperature_: float

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.trained_on_episodes and "__init__" in vars(cls):
            lacking = [name for name in _TRAINING_PARAMETERS if name not in inspect.signature(cls).parameters]
            if lacking:
                raise TypeError(f"{cls.__name__} is trained_on_episodes, but has no parameter {', '.join(lacking)}")

    def fit(self, X: Any, y: Any) -> Self:
        """Learn classes without any base classes behind them; all examples are treated as shots.

        Args:
            X (array-like, (N, D)): The features.
            y (array-like, (N,)): Their labels.
        """
        X, y = self._validated(X, y, reset=True)
        self._delete_learned()
        self._fit_novel(X, self._add_novel(y))
        return self

    def fit_base(self, X: Any, y: Any) -> Self:
        """Learn from the base classes, once for any number of :meth:`fit_novel`.

        Args:
            X (array-like, (N, D)): The features of the base classes.
            y (array-like, (N,)): Their labels.
        """
        X, y = self._validated(X, y, reset=True)
        self._delete_learned()
        self._base_classes_, codes = np.unique(y, return_inverse=True)
        self.classes_ = self._base_classes_
        self.n_base_classes_ = len(self.classes_)
        self._fit_base(X, codes)
        return self

    def fit_novel(self, X: Any, y: Any) -> Self:
        """Add novel classes to the base classes; a second call replaces the novel classes of the first.

        :meth:`add_classes` adds to them.

        Args:
            X (array-like, (M, D)): The shots, with any generated features.
            y (array-like, (M,)): Their labels, none of them a base class.

        Raises:
            ValueError: :meth:`fit_base` was not called, ``y`` is empty or names a base class, or labels are text in
                one phase and numbers in the other.

        Warns:
            UserWarning: An earlier call had novel classes that this one has not.
        """
        known = self._novel_classes() if hasattr(self, "classes_") else np.empty(0, np.int64)
        X, codes = self._checked_shots(X, y)
        if len(replaced := np.setdiff1d(known, self._novel_classes())):
            warnings.warn(
                f"{type(self).__name__}.fit_novel replaces the novel classes {listed(replaced)}: they are forgotten. "
                "add_classes adds to them; or give fit_novel the examples of all novel classes",
                stacklevel=2,
            )
        self._fit_novel(X, codes)
        return self

    def fit_novel_runs(self, runs: Sequence[Examples], seeds: Sequence[int]) -> list[Self]:
        """Fit the novel classes of several experiments.

        Args:
            runs (sequence of (X, y)): The shots of each experiment, as :meth:`fit_novel` takes them.
            seeds (sequence of int): The ``random_state`` of each.

        Returns:
            A fitted copy for each experiment, equal to what :meth:`fit_novel` gives for it alone. The copies share
            what :meth:`fit_base` learned.
        """
        fitted = self._copies(seeds)
        shots = [run._checked_shots(X, y) for run, (X, y) in zip(fitted, runs, strict=True)]
        self._fit_together(fitted, shots)
        return fitted

    def with_novel_parameters(self, **params: Any) -> Self:
        """A copy with other values of ``novel_parameters``, which shares what :meth:`fit_base` learned.

        Raises:
            InputError: :meth:`fit_base` reads one of the parameters, so it must run again.
        """
        if read := sorted(params.keys() - self.novel_parameters):
            raise InputError(f"{type(self).__name__}: fit_base reads {read[0]!r} and must run again for another value")
        return copy.copy(self).set_params(**params)

    def scores_of_episodes(self, shots: np.ndarray, queries: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Scores in T N-way K-shot episodes, each over its own novel classes alone.

        The method uses what :meth:`fit_base` learned, but no base class is an answer. The estimator itself does not
        change. Episodes are learned together where that is faster.

        Args:
            shots (array, (T, W, K, D) float32): K shots of each of the W classes of an episode, finite.
            queries (array, (T, Q, D) float32): The queries, finite.
            seeds (sequence of T int): The ``random_state`` of each episode.

        Returns:
            (T, Q, W) scores, higher for likelier classes.

        Raises:
            InputError: Features have another width than the base examples, or scores another shape than the episodes.
        """
        check_is_fitted(self, "_base_classes_")
        self._check_parameters()
        n_episodes, n_way, n_shots, dim = shots.shape
        if dim != self.n_features_in_ or queries.shape[2] != dim:
            raise InputError(
                f"{type(self).__name__} learned base classes of {self.n_features_in_} features; "
                f"shots have {dim} and queries {queries.shape[2]}"
            )
        # Labels that no base class has, and that sort in the order of an episode's classes.
        base, numbers = self._base_classes_, np.arange(n_way)
        labels = np.array([f"{max(base)}+{i:09d}" for i in numbers]) if _is_text(base) else int(max(base)) + 1 + numbers
        pattern = copy.copy(self)
        codes = pattern._add_novel(np.repeat(labels, n_shots))
        flat = shots.reshape(n_episodes, n_way * n_shots, dim)
        scores = self._scores_of_episodes(pattern._copies(seeds), [(X, codes) for X in flat], list(queries))
        return np.stack([self._checked_scores(own, queries.shape[1], n_way) for own in scores])

    def scores(self, X: Any) -> np.ndarray:
        """Scores over ``classes_``, one column each also for two classes.

        Args:
            X (array-like, (N, D)): The queries.

        Returns:
            (N, C) float scores, higher for likelier classes.
        """
        check_is_fitted(self, "classes_")
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        scores = self._checked_scores(self._scores(X), len(X), len(self.classes_))
        if bias := getattr(self, "novel_bias_", 0.0):
            scores = scores + np.where(np.arange(scores.shape[1]) < self.n_base_classes_, 0, bias).astype(scores.dtype)
        return scores

    def with_calibration_bias(self, bias: float) -> Self:
        """A fitted copy that adds a bias to every score of a novel class, which balances base and novel classes.

        Choose the bias on validation experiments (:mod:`lowshot.benchmark`), never on the queries it is used for. The
        copy retains it through every later :meth:`fit_novel` and in a saved file; :meth:`fit` and :meth:`fit_base`
        delete it.

        Args:
            bias (float): The calibration bias, which the papers call a prior.
        """
        check_is_fitted(self, "classes_")
        copied = copy.copy(self)
        copied.novel_bias_ = check_number("bias", bias)
        return copied

    def with_temperature(self, temperature: float) -> Self:
        """A fitted copy whose probabilities are the softmax of the scores divided by this temperature.

        Scores, and so answers, do not change. The copy retains it through every later :meth:`fit_novel` and in a saved
        file; :meth:`fit` and :meth:`fit_base` delete it.

        Args:
            temperature (float): The temperature, above 0, in units of the scores.
        """
        check_is_fitted(self, "classes_")
        copied = copy.copy(self)
        copied.temperature_ = check_number("temperature", temperature, above=0)
        return copied

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores as scikit-learn has them: those of :meth:`scores`, or for two classes (N,) their difference."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes: the softmax of the scores, divided by a temperature.

        ``logistic``, ``cosine``, ``gaussian`` and the classifiers that are trained on episodes are models of these
        probabilities, with temperature 1. ``nearest_mean``, ``teen``, ``ridge`` and ``ranpac`` are not, and have a
        temperature that their documentation names. With few shots no method's are calibrated; :meth:`with_temperature`
        sets a temperature that was fitted to data. A calibration bias enters with the scores.

        Args:
            X (array-like, (N, D)): The queries.

        Returns:
            (N, C) float64, each row summing to one. The columns are in the order of ``classes_``, base classes first:
            for a metric that expects sorted classes, take ``[:, np.argsort(classes_)]``.
        """
        scores = self.scores(X).astype(np.float64)
        return softmax(scores / getattr(self, "temperature_", self._temperature()), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) labels of the classes with the highest scores; among equal scores the first of ``classes_``."""
        scores = self.scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def _check_parameters(self) -> None:
        """Raise :class:`InputError` for a parameter out of range; called before each fit."""

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Learn from base examples; ``codes`` (N,) index ``classes_``. Methods without a base phase inherit this."""

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Learn from shots; ``codes`` (M,) index the novel part of ``classes_``, from 0."""
        raise NotImplementedError

    def _fit_together(self, runs: Sequence[Self], shots: Sequence[Examples]) -> None:
        """Call ``_fit_novel`` of each run; methods that are faster on several runs at once override it."""
        for run, (X, codes) in zip(runs, shots, strict=True):
            run._fit_novel(X, codes)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """(N, C) scores over ``classes_`` for checked input."""
        raise NotImplementedError

    def _check_learned(self, learned: LearnedState) -> None:
        """Refuse learned attributes from a file whose shapes or values this classifier would never learn.

        Names and the attributes of this class are checked before; sizes ``C``, ``B``, ``N`` and ``D`` are the numbers
        of classes, base classes and novel classes, and the width of the features.

        Args:
            learned (LearnedState): The checks, each of which raises an InputError.
        """

    def _temperature(self) -> float:
        """The number that scores are divided by, before their softmax gives probabilities."""
        return 1.0

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        """Scores of shots by classifiers that learned all other shots, without fitting these; None where none is known.

        A centre that features are transformed by may stay that of all shots. The scores are without calibration bias.

        Args:
            X (array, (M, D)): The shots that the novel classes were fitted on.
            codes (array, (M,) int): The classes of the shots, indices of the novel part of ``classes_``.
            rows (array, (R,) int): The shots to leave out, each alone.

        Returns:
            (R, C) scores. The column of a class without another shot has any value.
        """
        return None

    def _scores_of_episodes(
        self, runs: Sequence[Self], shots: Sequence[Examples], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """(Q, W) novel columns of each run; methods that can omit the base columns from the start override it."""
        self._fit_together(runs, shots)
        return [run._scores(X)[:, run.n_base_classes_ :] for run, X in zip(runs, queries)]

    def _copies(self, seeds: Sequence[int]) -> list[Self]:
        """A copy for each seed, which is its ``random_state`` where it has one."""
        copies = [copy.copy(self) for _ in seeds]
        if "random_state" in self.get_params(deep=False):
            for copied, seed in zip(copies, seeds):
                copied.__dict__["random_state"] = seed
        return copies

    def _example_weights(self, codes: np.ndarray, base: bool = False) -> np.ndarray | None:
        """The weight of an example of each class by ``class_weight``, one on average; None where all are equal.

        Args:
            codes (array, (N,) int): The class of each example, from 0, as ``_fit_base`` and ``_fit_novel`` get them.
            base (bool): True for base examples.
        """
        labels = self.classes_[: self.n_base_classes_] if base else self.classes_[self.n_base_classes_ :]
        return example_weights(self.class_weight, codes, labels, base)

    def _row_weights(self, codes: np.ndarray, base: bool = False) -> np.ndarray | None:
        """(N,) weights of the examples themselves; arguments as :meth:`_example_weights` takes them."""
        weights = self._example_weights(codes, base)
        return None if weights is None else weights[codes]

    def _checked_scores(self, scores: Any, n_queries: int, n_classes: int) -> np.ndarray:
        """Scores as an array, refused where a plug-in's are something else than (n_queries, n_classes) numbers."""
        try:
            found = np.asarray(scores)
            described = f"{found.dtype} of shape {found.shape}"
        except (TypeError, ValueError, RuntimeError):  # rows of different lengths, tensors with a gradient
            found, described = np.empty(0), f"a {type(scores).__name__} that is no array"
        if found.shape != (n_queries, n_classes) or found.dtype.kind not in "fiu":
            raise InputError(
                f"classifier {type(self).__name__}: _scores returned {described}; expected numbers of shape "
                f"({n_queries}, {n_classes}), for {n_queries} queries and {n_classes} classes"
            )
        return found

    def recorded_params(self) -> dict[str, Any]:
        """The parameters as files and records of results have them: without some that have their default."""
        defaults = {name: parameter.default for name, parameter in keyword_parameters(type(self)).items()}
        return {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self.unrecorded_defaults or value != defaults[name]
        }

    def _delete_learned(self) -> None:
        learned = [name for name in vars(self) if name.endswith("_")]
        for name in set(learned) - {"n_features_in_", "feature_names_in_"}:
            delattr(self, name)

    def _checked_shots(self, X: Any, y: Any) -> Examples:
        """Checked shots of novel classes, which are none of the base classes, and their codes."""
        if not hasattr(self, "_base_classes_"):
            raise InputError(f"{type(self).__name__}: call fit_base before fit_novel, or fit for classes alone")
        X, y = self._validated(X, y, reset=False)
        self._check_kind(y, self._base_classes_)
        if len(known := np.intersect1d(y, self._base_classes_)):
            raise InputError(f"novel labels {listed(known)} are base classes already: a label has one role")
        return X, self._add_novel(y)

    def _check_kind(self, y: np.ndarray, known: np.ndarray) -> None:
        """Refuse text labels beside numbers: joined in one array, numbers would turn into text."""
        if _is_text(y) != _is_text(known):
            kinds = ["text" if _is_text(labels) else "numbers" for labels in (known, y)]
            raise InputError(
                f"{type(self).__name__}: base labels are {kinds[0]} and novel labels are {kinds[1]}; "
                "give both phases labels of one kind"
            )

    def _add_novel(self, y: np.ndarray) -> np.ndarray:
        """Set the labels of ``y`` as the novel classes; returns their codes."""
        novel, codes = np.unique(y, return_inverse=True)
        base = getattr(self, "_base_classes_", novel[:0])
        self.n_base_classes_ = len(base)
        self.classes_ = np.concatenate([base, novel]) if len(base) else novel
        return codes

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        self._check_parameters()
        check_class_weight(self.class_weight)
        X, y = validate_data(self, X, y, reset=reset, dtype=[np.float32, np.float64])
        if y.dtype.kind not in "iuU":  # with few shots scikit-learn would warn that integers look like a regression
            check_classification_targets(y)
        return X, y


def _is_text(labels: np.ndarray) -> bool:
    """True for strings; scikit-learn lets no objects but strings and numbers through."""
    return labels.dtype.kind not in "biuf"
