"""The classifier that judges generated features where there is no checkpoint to take one from."""

from __future__ import annotations

import numpy as np

from lowshot.compat.linear_sgd import Examples, Rates, train_linear
from lowshot.files import Pathlike, fingerprint
from lowshot.hallucination.analogies.cache import ArrayCache

BATCH_SIZE = 1000
LR, MOMENTUM, DAMPENING, WEIGHT_DECAY = 0.1, 0.9, 0.0, 1e-4
SEED = 0


def base_classifier(
    features: np.ndarray, labels: np.ndarray, num_classes: int, n_steps: int, cache: Pathlike
) -> tuple[np.ndarray, np.ndarray]:
    """Train a softmax regression on all base examples by SGD.

    Args:
        features (float32 array of shape (N, D)): The features of the base classes.
        labels (int64 array of shape (N,)): Their labels, below ``num_classes``.
        num_classes (int): The number of outputs; those without examples are trained as classes that never occur.
        n_steps (int): The number of steps, each on 1000 examples, drawn from all alike and none twice.
        cache (str or path): A folder that keeps the classifier for the next time.

    Returns:
        tuple: float32 weight (num_classes, D) and bias (num_classes,), a row per label.
    """
    kept = ArrayCache(cache)
    rates = Rates(LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, n_steps, BATCH_SIZE)
    name = f"classifier-{fingerprint(features, labels, num_classes, vars(rates))}"
    if (found := kept.load(name)) is not None:
        return found["weight"], found["bias"]
    weight, bias = train_linear(Examples(features, labels), None, 1.0, num_classes, rates, seed=SEED)
    kept.save(name, weight=weight, bias=bias)
    return weight, bias
