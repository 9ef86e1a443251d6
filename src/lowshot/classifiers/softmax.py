"""Softmax regression by L-BFGS: the optimum of the low-shot phase's objective, without batches or a learning rate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from lowshot.classifiers.moments import blocks

# The rows of a block: the scores of one block, not of the data set, are in memory at a time.
BLOCK_ROWS = 16384


class Group(NamedTuple):
    """Examples whose mean loss has one weight.

    Attributes:
        features (array, (N, D)): The features.
        codes (array, (N,) int): Their classes, 0..C-1.
        weight (float): The weight of their mean loss.
        example_weights (array, (N,), optional): The weight of each example in that mean, one on average; None for
            equal ones.
    """

    features: np.ndarray
    codes: np.ndarray
    weight: float
    example_weights: np.ndarray | None = None


def class_balanced(
    base: tuple[np.ndarray, np.ndarray] | None,
    novel: tuple[np.ndarray, np.ndarray],
    n_base: int,
    n_novel: int,
    base_weights: np.ndarray | None = None,
    novel_weights: np.ndarray | None = None,
) -> list[Group]:
    """The groups of the low-shot phase: weight B/(B+N) on the mean base loss and N/(B+N) on the mean novel loss.

    That is the expected loss of a batch with round(batch * B/(B+N)) base examples (arXiv 1606.02819, section 4).

    Args:
        base (tuple of arrays, optional): Features (N, D) and codes (N,) of the base examples.
        novel (tuple of arrays): Features and codes of the shots.
        n_base (int): B, the number of base classes.
        n_novel (int): N, the number of novel classes.
        base_weights (array, (N,), optional): The weight of each base example, one on average; None for equal ones.
        novel_weights (array, (M,), optional): The same of the shots.
    """
    parts = [(base, n_base, base_weights), (novel, n_novel, novel_weights)]
    total = n_base + n_novel
    return [Group(*part, n / total, weights) for part, n, weights in parts if part is not None and len(part[1])]


def fit_softmax(
    groups: Sequence[Group],
    n_classes: int,
    weight_decay: float,
    *,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    max_iter: int = 1000,
    tol: float = 1e-6,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the groups' weighted mean cross-entropies + ``weight_decay``/2 * (|W|^2 + |b|^2) by L-BFGS.

    The penalty is on weights and intercepts alike, as is the weight decay of SGD on a linear layer with bias. With a
    positive ``weight_decay`` the optimum is unique; the result depends on neither a seed nor ``start``.

    Args:
        groups (sequence of Group): The examples, float32 or float64.
        n_classes (int): C, the number of classes.
        weight_decay (float): The strength of the penalty, as SGD has it.
        start (tuple of arrays, optional): The initial (C, D) weights and (C,) intercepts, such as the optimum of a
            similar problem; zeros by default.
        max_iter (int): The most iterations.
        tol (float): The largest partial derivative at which the search ends. Where float32 features are too coarse
            for it, the search continues in float64.

    Returns:
        (C, D) weights and (C,) intercepts, float64.

    Warns:
        ConvergenceWarning: ``tol`` was not reached within ``max_iter`` iterations, or cannot be reached at all.
    """
    dim = groups[0].features.shape[1]
    initial = np.zeros((n_classes, dim + 1))
    if start is not None:
        initial[:, :dim], initial[:, dim] = start

    def objective(flat: np.ndarray, dtype: np.dtype | type) -> tuple[float, np.ndarray]:
        weights = flat.reshape(n_classes, dim + 1)
        loss, gradient = weight_decay / 2 * flat @ flat, weight_decay * weights
        for group in groups:
            for rows in blocks(len(group.codes), BLOCK_ROWS):
                X, codes = group.features[rows].astype(dtype, copy=False), group.codes[rows]
                scale = group.weight / len(group.codes)
                weight = np.ones(1, X.dtype) if group.example_weights is None else group.example_weights[rows]
                weight = weight.astype(X.dtype, copy=False)
                scores = X @ weights[:, :dim].T.astype(X.dtype) + weights[:, dim].astype(X.dtype)
                scores -= scores.max(axis=1, keepdims=True)
                own = np.arange(len(codes)), codes
                loss -= scale * (weight * scores[own]).sum(dtype=np.float64)
                p = np.exp(scores, out=scores)
                total = p.sum(axis=1)
                loss += scale * (weight * np.log(total)).sum(dtype=np.float64)
                p /= total[:, None]
                p[own] -= 1  # now the derivative of the loss with respect to the scores
                if group.example_weights is not None:
                    p *= weight[:, None]
                gradient[:, :dim] += scale * (p.T @ X)
                gradient[:, dim] += scale * p.sum(axis=0, dtype=np.float64)
        return float(loss), gradient.ravel()

    flat, left, dtype = initial.ravel(), max_iter, groups[0].features.dtype
    while True:
        found = optimize.minimize(
            objective,
            flat,
            args=(dtype,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": left, "maxfun": 2 * left, "gtol": tol, "ftol": 0.0, "maxcor": 20},
        )
        flat, left = found.x, left - max(found.nit, 1)
        steepest = np.abs(found.jac).max()
        # A search that ends early met rounding errors: float64 has smaller ones, a restart takes other directions.
        stuck = dtype == np.float64 and not found.nit
        if steepest <= tol or left <= 0 or stuck:
            break
        dtype = np.dtype(np.float64)
    if steepest > tol:
        warnings.warn(
            f"softmax regression stopped after {max_iter - left} of {max_iter} iterations short of its optimum: a "
            f"partial derivative is still {steepest:.1e}, not {tol:.1e}. Scale the features, or raise weight_decay.",
            ConvergenceWarning,
            stacklevel=2,
        )
    weights = flat.reshape(n_classes, dim + 1)
    return weights[:, :dim].copy(), weights[:, dim].copy()
