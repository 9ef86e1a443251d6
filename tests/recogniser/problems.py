"""Classes of features for the tests of this folder."""

from __future__ import annotations

import numpy as np

DIM = 64


class Classes:
    """Gaussian classes of positive features, as after a ReLU; any number of photos of each."""

    def __init__(self, n_classes: int, seed: int = 0, noise: float = 0.8) -> None:
        self.rng = np.random.default_rng(seed)
        self.means = self.rng.normal(size=(n_classes, DIM))
        self.noise = noise

    def photos(self, n: int, classes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """n photos of each class: (N, D) float32 features and (N,) labels."""
        y = np.repeat(np.arange(len(self.means)) if classes is None else classes, n)
        X = self.means[y] + self.noise * self.rng.normal(size=(len(y), DIM)) + 0.5
        return np.maximum(X, 0).astype(np.float32), y
