"""The classifier that judges generated features where there is no checkpoint to take one from."""

from __future__ import annotations

import numpy as np
import torch

from lowshot.classifiers.balanced_batches import Pool
from lowshot.classifiers.balanced_sgd import SGDSettings, balanced_sgd
from lowshot.devices import pick_device, to_device
from lowshot.files import Pathlike, fingerprint
from lowshot.hallucination.analogies.cache import ArrayCache

BATCH_SIZE = 1000
LR, MOMENTUM, DAMPENING, WEIGHT_DECAY = 0.1, 0.9, 0.0, 1e-4


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
    settings = SGDSettings(LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, n_steps, BATCH_SIZE)
    name = f"classifier-{fingerprint(features, labels, num_classes, vars(settings))}"
    if (found := kept.load(name)) is not None:
        return found["weight"], found["bias"]
    device = pick_device()
    base = Pool(to_device(features, device), torch.from_numpy(labels).to(device))
    none = Pool(base.features[:1], base.columns[:1])  # a batch has no share for novel examples, whatever they are
    weights, biases = balanced_sgd(base, [none], len(np.unique(labels)), 0, num_classes, settings, 0, [0])
    weight, bias = weights[0].cpu().numpy(), biases[0].cpu().numpy()
    kept.save(name, weight=weight, bias=bias)
    return weight, bias
