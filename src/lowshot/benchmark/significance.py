"""Intervals and tests of a mean over crossed random effects: draws of the shots, classes, trainings.

Methods are compared on the same draws, classes and queries. The difference d[e, c] of draw e and class c is taken for
the sum of a mean, an effect of the draw, an effect of the class and noise, all random: classes, like words in an
experiment on language, are a sample of those that the methods are for (Clark 1973, The language-as-fixed-effect
fallacy). From the two-way analysis of variance, the mean squares of the draws and of the classes estimate what each of
them adds to the variance of the mean d, with E - 1 and C - 1 degrees of freedom; the noise is in both.

With few draws, one t value for the sum of such variances, by Satterthwaite's approximation, rejects far too often: up
to 12 % instead of 5 % with two draws. Here each variance keeps the t value of its own degrees of freedom::

    half_width² = t²(E - 1) · V_draws + t²(C - 1) · V_classes

which Banerjee (Sankhyā 22, 1960) proved never to reject more often than it says, for any ratio of the variances. The
noise, counted twice, is subtracted once, but never so much that the interval is narrower than that over draws alone or
over classes alone. ``tests/benchmark/test_significance.py`` simulates the rate of errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
"""The rate of errors of all tests, and one minus the confidence of all intervals."""

_HALVINGS = 50
_SMALLEST = 1e-30


@dataclass(frozen=True)
class Means:
    """P means, each with the variances that its sources of randomness add to it.

    Attributes:
        mean (float64 array of shape (P,)): The means.
        variance (float64 array of shape (P, K)): The variance of the mean that its values show along each source, the
            noise included.
        own (float64 array of shape (P, K)): The same without the noise that another source has counted already.
        df (float64 array of shape (P, K)): The degrees of freedom of each variance.
    """

    mean: np.ndarray
    variance: np.ndarray
    own: np.ndarray
    df: np.ndarray

    def half_width(self, level: float | np.ndarray = LEVEL) -> np.ndarray:
        """(P,) float64: half the width of the interval with confidence 1 - ``level``."""
        from scipy.special import stdtrit  # imported here: the accuracies of a run do not need it

        level = np.broadcast_to(np.asarray(level, dtype=np.float64), self.mean.shape)
        t2 = stdtrit(self.df, level[:, None] / 2) ** 2
        return np.sqrt(np.maximum((t2 * self.own).sum(axis=1), (t2 * self.variance).max(axis=1)))

    def p_values(self) -> np.ndarray:
        """(P,) float64: the smallest level at which an interval leaves zero out, of a two-sided test of the mean."""
        low, high = np.full(len(self.mean), np.log(_SMALLEST)), np.zeros(len(self.mean))
        distance = np.abs(self.mean)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            inside = self.half_width(np.exp(middle)) >= distance
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return np.where(distance == 0, 1.0, np.exp(high))

    @classmethod
    def together(cls, several: Sequence[Means]) -> Means:
        """The means of several, one after the other; those with fewer sources get some without variance."""
        width = max(one.variance.shape[1] for one in several)

        def column(name: str, fill: float) -> np.ndarray:
            parts = [getattr(one, name) for one in several]
            pads = [((0, 0), (0, width - part.shape[1])) for part in parts]
            return np.concatenate([np.pad(part, pad, constant_values=fill) for part, pad in zip(parts, pads)])

        mean = np.concatenate([one.mean for one in several])
        return cls(mean, column("variance", 0), column("own", 0), column("df", 1))

    def and_over(self, variance: np.ndarray, df: np.ndarray) -> Means:
        """The same means with a further source.

        Args:
            variance (float64 array of shape (P,)): The variance that the source adds to each mean.
            df (float64 array of shape (P,)): Its degrees of freedom.
        """
        column = np.asarray(variance, dtype=np.float64)[:, None]
        return Means(
            self.mean,
            np.hstack([self.variance, column]),
            np.hstack([self.own, column]),
            np.hstack([self.df, np.asarray(df, dtype=np.float64)[:, None]]),
        )


def over_draws(values: np.ndarray) -> Means:
    """Means over draws alone: Student's t, for the very classes and queries that were measured.

    Args:
        values (float array of shape (P, E)): The value of each draw, such as the difference of two methods' accuracies;
            E is at least 2.
    """
    variance = values.var(axis=1, ddof=1, keepdims=True) / values.shape[1]
    return Means(values.mean(axis=1), variance, variance, np.full_like(variance, values.shape[1] - 1))


def over_draws_and_trainings(values: np.ndarray) -> Means:
    """Means over trainings of a network and draws of the shots that all of them have.

    Args:
        values (float array of shape (P, T, E)): The value of each training and draw; T and E are at least 2.
    """
    _, trainings, draws = values.shape
    mean = values.mean(axis=(1, 2))
    by_training, by_draw = values.mean(axis=2), values.mean(axis=1)
    rest = values - by_training[:, :, None] - by_draw[:, None, :] + mean[:, None, None]
    noise = (rest**2).sum(axis=(1, 2)) / ((trainings - 1) * (draws - 1)) / (trainings * draws)
    v_trainings, v_draws = by_training.var(axis=1, ddof=1) / trainings, by_draw.var(axis=1, ddof=1) / draws
    return Means(
        mean,
        np.stack([v_trainings, v_draws], axis=1),
        np.stack([v_trainings, np.maximum(v_draws - noise, 0)], axis=1),
        np.broadcast_to(np.array([trainings - 1.0, draws - 1.0]), (len(mean), 2)),
    )


def variance_components(values: np.ndarray) -> tuple[float, float, float]:
    """The variances of the effects of rows and of columns of a table, and of the rest, by the analysis of variance.

    Args:
        values (float array of shape (R, C)): One value of each row and column, such as of each training and draw.

    Returns:
        tuple of float: The variances between rows, between columns and of the rest; 0 where the estimate is negative.
    """
    rows, columns = values.shape
    by_row, by_column = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_row[:, None] - by_column[None, :] + values.mean()
    noise = float((rest**2).sum()) / ((rows - 1) * (columns - 1))
    between = (by_row.var(ddof=1) - noise / columns, by_column.var(ddof=1) - noise / rows)
    return max(0.0, float(between[0])), max(0.0, float(between[1])), noise


def over_draws_and_classes(values: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> Means:
    """Means over draws and classes, which are crossed: each draw has all classes.

    The mean is that over all queries, so a class counts as its queries do; where they differ in number, the variance is
    that of the ratio estimate (Cochran 1977, Sampling Techniques, section 6.4). Base and novel classes are two groups
    whose sizes are given, so the effects of classes vary within each group.

    Args:
        values (float array of shape (P, E, C)): The value of each draw and class, such as the difference of two
            methods' accuracies; E is at least 2.
        weights (array of shape (C,)): The number of queries of each class.
        groups (int array of shape (C,)): The group of each class; one of a single class adds no variance.
    """
    share = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    draws = values.shape[1]
    by_draw = values @ share
    mean = by_draw.mean(axis=1)
    # What each class adds to the mean: the sum over classes is the deviation of the draw's mean.
    parts = (values - mean[:, None, None]) * share
    v_draws = by_draw.var(axis=1, ddof=1) / draws
    v_classes, noise, inverse = np.zeros_like(mean), np.zeros_like(mean), np.zeros_like(mean)
    for group in np.unique(groups):
        own = parts[:, :, np.asarray(groups) == group]
        if (size := own.shape[2]) < 2:
            continue
        classes, whole = own.mean(axis=1), own.mean(axis=2)
        variance = size * classes.var(axis=1, ddof=1)
        rest = own - classes[:, None, :] - whole[:, :, None] + classes.mean(axis=1)[:, None, None]
        noise += size * (rest**2).sum(axis=(1, 2)) / ((draws - 1) * (size - 1)) / draws
        v_classes += variance
        inverse += variance**2 / (size - 1)
    # Satterthwaite's degrees of freedom of the sum over groups; without any variance they make no difference.
    df_classes = np.divide(v_classes**2, inverse, out=np.ones_like(mean), where=inverse > 0)
    return Means(
        mean,
        np.stack([v_draws, v_classes], axis=1),
        np.stack([v_draws, np.maximum(v_classes - noise, 0)], axis=1),
        np.stack([np.full_like(mean, draws - 1), df_classes], axis=1),
    )


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust the p values of a family of tests (Holm 1979): those up to a level hold together at that level.

    With probability 1 - level no true hypothesis is rejected at all, however the tests depend on each other.

    Args:
        p_values (array of shape (M,)): The p values.

    Returns:
        array of shape (M,): The adjusted p values, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted
