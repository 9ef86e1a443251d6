"""Unequal classes: the weights with which every class counts the same, however many examples it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lowshot.checks import check_choice, check_number

ClassWeight = Literal["auto", "balanced"] | Mapping[Any, float] | None

# Base classes whose sizes differ by less than this factor are taken as the paper takes them: every example counts the
# same. ImageNet's have 732 to 1300 images.
SIMILAR_SIZES = 2.0


def check_class_weight(class_weight: Any) -> None:
    """Refuse what is no class weight.

    Raises:
        InputError: The value is none of "auto", "balanced" and None, and no mapping from labels to positive numbers.
    """
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            check_number(f"class_weight[{label!r}]", weight, above=0)
    else:
        check_choice("class_weight", class_weight, ("auto", "balanced", None))


def class_masses(
    class_weight: ClassWeight, counts: np.ndarray, labels: Sequence[Any] | np.ndarray, base: bool = False
) -> np.ndarray | None:
    """The weight of each class as a whole, in any unit.

    Args:
        class_weight (str, mapping or None): "balanced" weighs every class the same and None every example; "auto" is
            "balanced", except for base classes of similar sizes (see ``SIMILAR_SIZES``), where it is None. A mapping
            gives the weight of an example by its label, 1 where a label is missing.
        counts (array, (C,) int): The number of examples of each class, at least one.
        labels (sequence of C): The labels of the classes.
        base (bool): True for the base classes of ``fit_base``.

    Returns:
        (C,) float64; None where it is the number of examples of each class.
    """
    if class_weight == "auto":
        class_weight = None if base and counts.max() < SIMILAR_SIZES * counts.min() else "balanced"
    if class_weight is None or (class_weight == "balanced" and (counts == counts[0]).all()):
        return None
    if isinstance(class_weight, Mapping):
        return counts * np.array([float(class_weight.get(label, 1.0)) for label in np.asarray(labels).tolist()])
    return np.ones(len(counts))


def example_weights(
    class_weight: ClassWeight, codes: np.ndarray, labels: Sequence[Any] | np.ndarray, base: bool = False
) -> np.ndarray | None:
    """The weight of an example of each class, one on average over all examples (scikit-learn's ``class_weight``).

    Args:
        class_weight (str, mapping or None): As :func:`class_masses` has it.
        codes (array, (N,) int): The class of each example, 0..C-1; every number occurs.
        labels (sequence of C): The labels of the classes.
        base (bool): True for the base classes of ``fit_base``.

    Returns:
        (C,) float64; None where all examples weigh the same.
    """
    counts = np.bincount(codes)
    masses = None if not len(counts) else class_masses(class_weight, counts, labels, base)
    return None if masses is None else masses / counts * (len(codes) / masses.sum())


def cumulative(weights: np.ndarray | None) -> np.ndarray | None:
    """(N,) cumulative probabilities of examples with (N,) weights, for :func:`draw_rows`; None for equal ones."""
    if weights is None:
        return None
    sums = np.cumsum(weights)
    return sums / sums[-1]


def draw_rows(
    rng: np.random.Generator, n_rows: int, size: int | tuple[int, ...], cumulated: np.ndarray | None
) -> np.ndarray:
    """Draw row numbers with replacement, each as likely as its weight.

    Args:
        rng (Generator): The random numbers.
        n_rows (int): N, the number of rows.
        size (int or tuple of int): The shape of the result.
        cumulated (array, (N,), optional): The shares of the weights up to each row, as :func:`cumulative` gives them;
            None for equal weights.

    Returns:
        int64 row numbers of shape ``size``.
    """
    if cumulated is None:
        return rng.integers(n_rows, size=size)
    return np.searchsorted(cumulated, rng.random(size), side="right")
