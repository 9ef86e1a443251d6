"""Leave-one-out algebra of classifiers that share one covariance: a shot less is an update of small rank.

Leaving out a shot changes the weights of its class alone: those of the others of its n shots grow from 1/n to
1/(n-1). So the matrix that is inverted changes from S to ``a S + Z' diag(d) Z + b I`` with as many rows Z as the
class has shots, give or take one. In the eigenbasis of S Woodbury's identity leaves systems of that size:

    (A + Z' diag(d) Z)^-1 = A^-1 - A^-1 Z' (diag(1/d) + Z A^-1 Z')^-1 Z A^-1,      A = a diag(l) + b I.

The vectors of all products lie in the span of the shots and the class means, so D dimensions become as many as there
are such vectors, where these are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lowshot.classifiers.shrinkage import eigh

# Beyond this size of a class one system per shot costs more than fitting a few times without a part of the shots.
LARGEST_CLASS = 50
# Of more shots than this, one alone hardly moves the centre of all.
MOST_SHOTS_THAT_MOVE_A_CENTRE = 1000


class Updated(NamedTuple):
    """Inverses of R matrices ``diag + Z' diag(delta) Z``, one for each shot that is left out.

    Attributes:
        diagonals (array, (R, r)): The diagonals.
        scaled (array, (R, p, r)): ``Z / diagonal``.
        cores (array, (R, p, p)): ``diag(1/delta) + Z A^-1 Z'``.
    """

    diagonals: np.ndarray
    scaled: np.ndarray
    cores: np.ndarray

    @classmethod
    def of(cls, diagonals: np.ndarray, Z: np.ndarray, delta: np.ndarray) -> Updated:
        """The inverses for (R, p, r) rows ``Z`` with the (R, p) factors ``delta``, none of them zero."""
        scaled = Z / diagonals[:, None]
        return cls(diagonals, scaled, scaled @ Z.transpose(0, 2, 1) + np.eye(Z.shape[1]) / delta[:, None])

    def solve(self, y: np.ndarray) -> np.ndarray:
        """(R, r) products of the inverses with (R, r) vectors."""
        small = np.linalg.solve(self.cores, self.scaled @ y[:, :, None])
        return y / self.diagonals - (small * self.scaled).sum(axis=1)

    def squared_distances(self, y: np.ndarray, means: np.ndarray) -> np.ndarray:
        """(R, C) squared distances, in the metric of each inverse, of (R, r) vectors to (C, r) means."""
        own = (y**2 / self.diagonals).sum(axis=1, keepdims=True)
        distances = own - 2 * (y / self.diagonals) @ means.T + (1 / self.diagonals) @ (means**2).T
        offsets = self.scaled @ y[:, :, None] - self.scaled @ means.T
        return distances - (np.linalg.solve(self.cores, offsets) * offsets).sum(axis=1)


def span(X: np.ndarray) -> np.ndarray | None:
    """(D, r) orthonormal columns that span the M rows of ``X``; None where these are no fewer than D."""
    if len(X) >= X.shape[1]:
        return None
    # Through the products of the rows: faster than a QR decomposition. Directions beyond rounding are left out.
    squares, axes = eigh(X @ X.T)
    kept = squares > 1e-10 * squares[-1]
    return np.asarray(X.T @ (axes[:, kept] / np.sqrt(squares[kept]))) if kept.any() else np.eye(X.shape[1], 1)


def by_class(codes: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The shots of each class of several: its code, all of its shots, and the places in ``rows`` of those to leave out.

    Args:
        codes (array, (M,) int): The classes of the shots.
        rows (array, (R,) int): The shots to leave out.
    """
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    for code in np.unique(codes[rows]):
        if len(members[code]) > 1:
            yield int(code), members[code], np.flatnonzero(codes[rows] == code)


def gaussian_scores(
    X: np.ndarray, codes: np.ndarray, means: np.ndarray, rows: np.ndarray, shrinkage: float, predictive: bool
) -> np.ndarray | None:
    """Left-out log densities of classes that weigh the same in one shrunk covariance and have no prior.

    Args:
        X (array, (M, D) float64): The transformed shots.
        codes (array, (M,) int): Their classes.
        means (array, (C, D)): The class means.
        rows (array, (R,) int): The shots to leave out.
        shrinkage (float): The weight of the isotropic part, above 0.
        predictive (bool): As ``gaussian`` has it.

    Returns:
        (R, C) scores; None where the remaining shots show no variance within classes.
    """
    (n_shots, dim), n_classes, counts = X.shape, len(means), np.bincount(codes)
    if n_shots - 1 <= n_classes or counts.max() > LARGEST_CLASS:
        return None
    origin = means.mean(axis=0)
    X, means = X - origin, means - origin
    if (basis := span(X)) is not None:
        X, means = X @ basis, means @ basis
    offsets = X - means[codes]
    share = n_shots / n_classes
    variances, axes = eigh((offsets.T * (share / counts)[codes]) @ offsets)
    X, means, offsets = X @ axes, means @ axes, offsets @ axes
    trace = variances.sum()

    def diagonals(factor: float, traces: np.ndarray, dof: int) -> np.ndarray:
        spread = (1 - shrinkage) * factor / dof * variances.clip(0)
        # Shots without any variance say nothing: their covariance is taken to be the identity, as in the fit.
        return spread + np.where(traces > 0, shrinkage * traces / (dof * dim), 1.0)[:, None]

    scores = np.empty((len(rows), n_classes))
    singles = np.flatnonzero(counts[codes[rows]] == 1)
    if len(singles) and n_classes > 1:
        # The class leaves with its shot; what remains weighs a little more.
        factor = (n_shots - 1) * n_classes / ((n_classes - 1) * n_shots)
        inverse = 1 / diagonals(factor, np.array([factor * trace]), n_shots - n_classes)
        y = X[rows[singles]]
        squares = (y**2 @ inverse.T) - 2 * (y * inverse) @ means.T + inverse @ (means**2).T
        scores[singles] = _log_density(squares, counts, dim, predictive)
    factor, share = (n_shots - 1) / n_shots, (n_shots - 1) / n_classes
    for code, members, places in by_class(codes, rows):
        n, left = counts[code], rows[places]
        # The scatter of the others of n shots is that of all less n / (n - 1) times the square of the offset.
        own = (members[None] == left[:, None]) * n / (n - 1) ** 2
        delta = share * (1 / (n - 1) - 1 / n - own)
        Z = np.broadcast_to(offsets[members], (len(left), n, X.shape[1]))
        traces = factor * trace + delta @ (offsets[members] ** 2).sum(axis=1)
        dof = n_shots - 1 - n_classes
        weight = (1 - shrinkage) / dof
        updated = Updated.of(diagonals(factor, traces, dof), Z, weight * delta)
        squares = updated.squared_distances(X[left], means)
        squares[:, code] *= (n / (n - 1)) ** 2
        remaining = np.tile(counts, (len(left), 1))
        remaining[:, code] -= 1
        scores[places] = _log_density(squares, remaining, dim, predictive)
    return scores


def _log_density(squares: np.ndarray, counts: np.ndarray, dim: int, predictive: bool) -> np.ndarray:
    if not predictive:
        return -squares / 2
    variances = 1 / counts
    return -(squares / (1 + variances) + dim * np.log1p(variances)) / 2


def ridge_scores(
    shots: np.ndarray,
    codes: np.ndarray,
    offsets: np.ndarray,
    base_variances: np.ndarray,
    base_mean: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    alphas: Sequence[float],
) -> np.ndarray | None:
    """Left-out scores of ridge regressions in which every novel class weighs the same.

    Args:
        shots (array, (M, D) float64): The shots about the weighted mean of everything.
        codes (array, (M,) int): Their classes.
        offsets (array, (C, D)): The class means about the same mean, base classes first.
        base_variances (array, (D,)): The diagonal scatter of the base classes about their mean, with their weight in
            all; zeros without base classes.
        base_mean (array, (D,)): The mean of the base classes, times the root of their weight; zeros without.
        weights (array, (C,)): The weights of the classes, one together.
        rows (array, (R,) int): The shots to leave out.
        alphas (sequence of float): The A strengths of the penalty.

    Returns:
        (A, R, C) scores; None where a class is too large.
    """
    n_classes, n_base, counts = len(offsets), len(offsets) - codes.max() - 1, np.bincount(codes)
    if counts.max() > LARGEST_CLASS or n_classes < 2:
        return None
    dim, share = shots.shape[1], weights[-1]
    basis = None if n_base else span(shots)
    if basis is not None:
        shots, offsets, base_variances, base_mean = shots @ basis, offsets @ basis, basis[0] * 0, basis[0] * 0
    scatter = (shots.T * (share / counts)[codes]) @ shots + np.diag(base_variances) + np.outer(base_mean, base_mean)
    variances, axes = eigh(scatter)
    variances, shots, offsets = variances.clip(0), shots @ axes, offsets @ axes
    scores = np.empty((len(alphas), len(rows), n_classes))
    singles = np.flatnonzero(counts[codes[rows]] == 1)
    growth = 1 / (1 - share)
    groups: list[tuple[int | None, np.ndarray, np.ndarray]] = [(None, rows[singles], singles)] if len(singles) else []
    groups += [(code, members, places) for code, members, places in by_class(codes, rows)]
    for code, members, places in groups:
        left = rows[places]
        own = shots[left]
        if code is None:  # a class leaves with its only shot, and the weights of all others grow
            factor, shift = growth, -growth * share * own
            delta = np.full((len(left), 1), -(growth * share + (growth * share) ** 2))
            Z = own[:, None]
        else:
            n, mean = counts[code], offsets[n_base + code]
            factor, shift = 1.0, share * (mean - own) / (n - 1)
            others = share * (1 / (n - 1) - 1 / n - (members[None] == left[:, None]) / (n - 1))
            delta = np.hstack([others, np.full((len(left), 1), -1.0)])
            Z = np.concatenate([np.broadcast_to(shots[members], (len(left), n, shots.shape[1])), shift[:, None]], 1)
        traces = factor * variances.sum() + np.einsum("rp,rpd,rpd->r", delta, Z, Z)
        units = np.where(traces > 0, traces, dim) / dim
        y = own - shift
        for strength, alpha in enumerate(alphas):
            updated = Updated.of(factor * variances + alpha * units[:, None], Z, delta)
            v = updated.solve(y)
            products = v @ offsets.T
            if code is not None:
                column = n_base + code
                products[:, column] = (n * products[:, column] - (v * own).sum(axis=1)) / (n - 1)
            products += 1 - (v * shift).sum(axis=1, keepdims=True)
            scores[strength, places] = factor * weights * products
    return scores


def moved_centre_products(X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products of left-out shots with class means, all of unit vectors about a centre that the shot has no part in.

    The centre is the mean of the class means, so without a shot it moves, and with it the direction of every other. All
    that is needed of the moved vectors follows from the products of the shots with each other.

    Args:
        X (array, (M, D) float64): The shots about their centre.
        codes (array, (M,) int): Their classes, each weighing the same in the centre.
        rows (array, (R,) int): The shots to leave out.

    Returns:
        (R, C) products of the unit vector of the shot with the mean of the unit vectors of a class, and (R, C) squared
        lengths of these means. A class without another shot has zeros.
    """
    counts = np.bincount(codes)
    n_classes, own = len(counts), codes[rows]
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    gram = X @ X.T
    with_means = np.stack([gram[of_class].mean(axis=0) for of_class in members])
    # n - 1 others have the mean mu + (mu - x) / (n - 1); a class of one shot leaves the centre of the C - 1 others. The
    # centre moves by a mu - b x, whose products with all shots follow.
    single = counts[own] == 1
    by_mean = np.where(single, 0.0, 1 / (np.maximum(counts[own] - 1, 1) * n_classes))
    by_shot = np.where(single, 1 / max(n_classes - 1, 1), by_mean)
    shifts = by_mean[:, None] * with_means[own] - by_shot[:, None] * gram[rows]
    own_means = np.array([with_means[code, of_class].mean() for code, of_class in enumerate(members)])[own]
    crossed, own_squares = with_means[own, rows], gram[rows, rows]
    move_squares = by_mean**2 * own_means - 2 * by_mean * by_shot * crossed + by_shot**2 * own_squares
    query_moves = by_mean * crossed - by_shot * own_squares - move_squares
    move_squares = move_squares[:, None]
    squares = gram.diagonal() - 2 * shifts + move_squares
    # A shot at the centre has no direction; rounding would give it one.
    weights = np.where(squares > 1e-14 * gram.diagonal().max(), 1 / np.sqrt(np.maximum(squares, 1e-300)), 0.0)
    itself = np.arange(len(rows)), rows
    own_weights, weights[itself] = weights[itself], 0.0
    towards = own_weights[:, None] * weights * (gram[rows] - shifts - query_moves[:, None])
    products, lengths = np.zeros((2, len(rows), n_classes))
    for code, of_class in enumerate(members):
        weight = weights[:, of_class]
        total = weight.sum(axis=1, keepdims=True)
        square = ((weight @ gram[np.ix_(of_class, of_class)]) * weight).sum(axis=1, keepdims=True)
        square += total * (total * move_squares - 2 * (weight * shifts[:, of_class]).sum(axis=1, keepdims=True))
        number = np.maximum(counts[code] - (own == code), 1)
        products[:, code] = towards[:, of_class].sum(axis=1) / number
        lengths[:, code] = square[:, 0].clip(0) / number**2
    return products, lengths
