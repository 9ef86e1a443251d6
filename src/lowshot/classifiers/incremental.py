"""Classes added to a fitted classifier, and removed from it."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowshot.errors import InputError


def listed(labels: np.ndarray) -> str:
    """A few labels for a message."""
    return f"{labels[:5].tolist()}" + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


class IncrementalClasses:
    """Mixin of :class:`~lowshot.classifiers.LowShotClassifier`: :meth:`add_classes` and :meth:`remove_classes`.

    Both give the classifier that fitting all remaining classes at once gives, up to rounding. Some methods can do it
    from what they learned; the others learn all novel classes again, for which they need the shots.

    Attributes:
        per_class_arrays (tuple of str): The learned arrays with a row per class in the order of ``classes_``, where
            such a row depends on the shots of its class and on the base classes alone.
    """

    per_class_arrays: ClassVar[tuple[str, ...]] = ()

    classes_: np.ndarray
    n_base_classes_: int

    def add_classes(self, X: Any, y: Any, *, shots: tuple[Any, Any] | None = None) -> Self:
        """Add novel classes to the ones that are known, whether these came from fit, fit_base or fit_novel.

        ``nearest_mean``, ``teen``, ``gaussian``, ``gaussian_text``, ``gaussian_cosine``, ``cosine``, ``prototypical``,
        ``prototypical_hallucination`` and ``weight_generator`` add a class to what they learned where a class depends
        on no other: beside base classes, and without any for a ``feature_transform`` other than "centred_l2"
        (``gaussian``, whose classes share a covariance, adds to its sums); ``cosine`` not with ``fine_tune_steps``.
        ``ridge`` always can, from its sums; ``matching_network`` and ``prototype_matching`` where they embed examples
        or prototypes one by one; ``logistic``, ``gaussian_kernel``, ``ranpac`` and ``wdae_gnn`` never.

        Args:
            X (array-like, (M, D)): The shots of the new classes.
            y (array-like, (M,)): Their labels, none of them known.
            shots (tuple of arrays, optional): Features and labels of all shots of the present novel classes (of all
                classes, without base classes). With them the novel classes are learned again, together with the new
                ones. Methods that can go on from what they learned do without.

        Raises:
            InputError: A label is known already, or is text among numbers; ``shots`` are needed, or are not those of
                the novel classes.
        """
        check_is_fitted(self, "classes_")
        known, novel = self.classes_, self._novel_classes()
        X, y = self._validated(X, y, reset=False)
        self._check_kind(y, known)
        if len(repeated := np.intersect1d(y, known)):
            raise InputError(
                f"{type(self).__name__}.add_classes: {listed(repeated)} are classes already. To give one more shots, "
                "remove_classes it and add it with all of its shots"
            )
        labels, codes = np.unique(y, return_inverse=True)
        if shots is None and len(novel):
            joined = np.concatenate([novel, labels])
            if not self._join_classes(X, codes, labels, np.argsort(joined)):
                raise InputError(self._needs_shots("add_classes(X, y, shots=(X_known, y_known))"))
            self._set_novel(np.sort(joined))
            return self
        if shots is not None:
            X_known, y_known = self._checked_present(shots, novel)
            X, y = np.concatenate([X_known, X]), np.concatenate([y_known, y])
        self._fit_novel(X, self._add_novel(y))
        return self

    def remove_classes(self, labels: Any, *, shots: tuple[Any, Any] | None = None) -> Self:
        """Remove novel classes, so that they are no answers.

        Methods that add a class without ``shots`` remove one without them too, but for ``ridge`` and for ``gaussian``
        without base classes: their sums do not say what a single class gave to them.

        Args:
            labels (array-like): The labels of the classes to remove, none of them a base class.
            shots (tuple of arrays, optional): Features and labels of all shots of the novel classes, those to be
                removed included or not. With them the remaining novel classes are learned again.

        Raises:
            InputError: A label is unknown or a base class, no class would remain, or ``shots`` are needed or are not
                those of the novel classes.
        """
        check_is_fitted(self, "classes_")
        novel, removed = self._novel_classes(), np.unique(np.asarray(labels))
        self._check_kind(removed, self.classes_)
        if len(base := np.intersect1d(removed, self.classes_[: self.n_base_classes_])):
            raise InputError(f"{type(self).__name__}: {listed(base)} are base classes; fit_base again without them")
        if len(unknown := np.setdiff1d(removed, novel)):
            raise InputError(f"{type(self).__name__} has no novel class {listed(unknown)}, only {listed(novel)}")
        kept = np.flatnonzero(~np.isin(novel, removed))
        if not len(kept) and not self.n_base_classes_:
            raise InputError(f"{type(self).__name__}: at least one class must remain")
        if not len(kept):
            self._forget_novel()
        elif shots is not None:
            X, y = self._checked_present(shots, novel, optional=removed)
            rows = ~np.isin(y, removed)
            self._fit_novel(X[rows], self._add_novel(y[rows]))
            return self
        elif not self._keep_classes(kept):
            raise InputError(self._needs_shots("remove_classes(labels, shots=(X_known, y_known))"))
        self._set_novel(novel[kept])
        return self

    def _classes_are_independent(self) -> bool:
        """True where the rows of ``per_class_arrays`` are all that novel classes add to what is learned."""
        return False

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        """Add novel classes to those learned; ``classes_`` still has the old ones.

        Args:
            X (array, (M, D)): The shots of the new classes.
            codes (array, (M,) int): Their classes, 0..K-1.
            labels (array, (K,)): The labels of these, sorted.
            order (array, (N + K,) int): The new order of the N old novel classes followed by the K new ones.

        Returns:
            False where the shots of all classes are needed; then nothing has changed.
        """
        if not self._classes_are_independent():
            return False
        alone = copy.copy(self)
        alone._set_novel(labels)
        alone._fit_novel(X, codes)
        for name in self.per_class_arrays:
            setattr(self, name, self._joined(getattr(self, name), getattr(alone, name)[self.n_base_classes_ :], order))
        return True

    def _joined(self, rows: np.ndarray, new: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Rows of all classes: the base ones of ``rows``, then its novel ones and those of new classes in ``order``."""
        base = self.n_base_classes_
        return np.concatenate([rows[:base], np.concatenate([rows[base:], new])[order]])

    def _keep_classes(self, kept: np.ndarray) -> bool:
        """Forget all novel classes but those at the places ``kept``; False where their shots are needed."""
        if not self._classes_are_independent():
            return False
        rows = np.concatenate([np.arange(self.n_base_classes_), self.n_base_classes_ + kept])
        for name in self.per_class_arrays:
            setattr(self, name, getattr(self, name)[rows])
        return True

    def _forget_novel(self) -> None:
        """Return to what fit_base learned."""
        if not self._keep_classes(np.empty(0, np.int64)):
            raise InputError(
                f"{type(self).__name__} cannot remove its last novel class: copy the classifier after fit_base, "
                "before any novel class"
            )

    def _novel_classes(self) -> np.ndarray:
        return self.classes_[self.n_base_classes_ :]

    def _set_novel(self, labels: np.ndarray) -> None:
        base = self.classes_[: self.n_base_classes_]
        self.classes_ = np.concatenate([base, labels]) if len(base) else labels

    def _checked_present(
        self, shots: tuple[Any, Any], novel: np.ndarray, optional: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Checked ``shots``: of every class in ``novel`` (but maybe not of those in ``optional``) and of no other."""
        X, y = self._validated(*shots, reset=False)
        self._check_kind(y, novel)
        if len(strange := np.setdiff1d(y, novel)):
            raise InputError(f"{type(self).__name__}: shots has labels {listed(strange)}, which are no novel classes")
        needed = novel if optional is None else np.setdiff1d(novel, optional)
        if len(lacking := np.setdiff1d(needed, y)):
            raise InputError(f"{type(self).__name__}: shots has no example of {listed(lacking)}; give all of them")
        return X, y

    def _needs_shots(self, call: str) -> str:
        return f"{type(self).__name__} learns its novel classes together, so it needs the shots of all of them: {call}"

    # What the classifier itself has.

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def _check_kind(self, y: np.ndarray, known: np.ndarray) -> None:
        raise NotImplementedError

    def _add_novel(self, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        raise NotImplementedError
