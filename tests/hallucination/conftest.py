from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def base() -> tuple[np.ndarray, np.ndarray]:
    """Features (60, 5) of four base classes, after a ReLU, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat([2, 3, 5, 7], 15)
    features = np.maximum(rng.normal(size=(60, 5)) + 2 * rng.normal(size=(8, 5))[labels], 0)
    return features.astype(np.float32), labels


@pytest.fixture
def signed_base() -> tuple[np.ndarray, np.ndarray]:
    """Features (60, 5) of four base classes, of any sign, and their labels."""
    rng = np.random.default_rng(1)
    labels = np.repeat([2, 3, 5, 7], 15)
    features = rng.normal(size=(60, 5)) + 2 * rng.normal(size=(8, 5))[labels]
    return features.astype(np.float32), labels
