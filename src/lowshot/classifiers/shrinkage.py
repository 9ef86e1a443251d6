"""Shrunk estimates of covariances from few samples, and their eigendecomposition."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from lowshot.errors import InputError

Shrinkage = str | float


def oas_intensity(covariance: np.ndarray, dof: int) -> float:
    """Shrinkage intensity of the oracle approximating estimator (Chen et al. 2010, arXiv 0907.4698, eq. 23).

    Unlike Ledoit and Wolf's it does not need the samples.

    Args:
        covariance (array, (D, D)): The sample covariance.
        dof (int): Its degrees of freedom.

    Returns:
        The weight of the isotropic part, in [0, 1].
    """
    p = len(covariance)
    square, trace2 = (covariance**2).sum(), np.trace(covariance) ** 2
    excess = (dof + 1 - 2 / p) * (square - trace2 / p)
    return float(min(1.0, ((1 - 2 / p) * square + trace2) / excess)) if excess > 0 else 1.0


def shrunk_covariance(scatter: np.ndarray, dof: int, shrinkage: Shrinkage = "oas") -> np.ndarray:
    """A mix of the covariance ``scatter / dof`` and an isotropic one of the same trace.

    Args:
        scatter (array, (D, D)): The sum of outer products of the samples' offsets from their mean.
        dof (int): The degrees of freedom of the scatter, at least one.
        shrinkage (str or float): "oas", or the weight of the isotropic part, in [0, 1].

    Returns:
        (D, D) covariance.

    Raises:
        InputError: ``shrinkage`` is neither.
    """
    covariance = scatter / dof
    intensity = oas_intensity(covariance, dof) if shrinkage == "oas" else shrinkage
    if isinstance(intensity, str) or not 0 <= intensity <= 1:
        raise InputError(f"shrinkage={shrinkage!r} must be 'oas' or a number from 0 to 1")
    isotropic = np.trace(covariance) / len(covariance)
    return (1 - intensity) * covariance + intensity * isotropic * np.eye(len(covariance))


def eigh(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (D,), ascending, and eigenvectors (D, D), in columns, of a symmetric (D, D) matrix."""
    # By divide and conquer: LAPACK's default (MRRR) fails on some matrices with hundreds of equal eigenvalues, which
    # the shrunk covariance of a few class means in many dimensions has.
    return linalg.eigh(covariance, driver="evd")
