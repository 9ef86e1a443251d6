"""The classifier that judges generated features where no network brings its own along."""

from __future__ import annotations

import numpy as np
import torch

from lowshot.classifiers.balanced_batches import Pool
from lowshot.classifiers.balanced_sgd import SGDSettings, balanced_sgd
from lowshot.devices import matmul_precision, pick_device
from lowshot.files import Pathlike, fingerprint
from lowshot.hallucination.analogies.cache import ArrayCache

BATCH_SIZE = 1000
# What low_shot takes unless it is told otherwise.
LR, MOMENTUM, DAMPENING, WEIGHT_DECAY = 0.1, 0.9, 0.9, 0.001


def base_classifier(
    features: np.ndarray, labels: np.ndarray, num_classes: int, n_steps: int, cache: Pathlike
) -> np.ndarray:
    """Softmax regression on all base examples by SGD, without a bias, as the network's own classifier has none.

    Args:
        features: (N, D) float32 of the base classes.
        labels: (N,) their labels, below ``num_classes``.
        num_classes: outputs; those without examples are trained as classes that never occur.
        n_steps: steps of 1000 examples, drawn from all alike and none twice.
        cache: folder that keeps the classifier for the next time.

    Returns:
        (num_classes, D) float32, a row per label.
    """
    kept = ArrayCache(cache)
    name = f"classifier-{fingerprint(features, labels, num_classes, n_steps)}"
    if (found := kept.load(name)) is not None:
        return found["weight"]
    device = pick_device()
    base = Pool(torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device))
    none = Pool(base.features[:1], base.columns[:1])  # a batch has no share for novel examples, whatever they are
    settings = SGDSettings(LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, n_steps, BATCH_SIZE, bias=False)
    with matmul_precision("bfloat16"):
        weights, _ = balanced_sgd(base, [none], len(np.unique(labels)), 0, num_classes, settings, 0, [0])
    weight = weights[0].cpu().numpy()
    kept.save(name, weight=weight)
    return weight
