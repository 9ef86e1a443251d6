"""The linear classifier of the low-shot phase, one run, every example drawn and computed by itself."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def class_balanced_sgd(
    weight: np.ndarray,
    bias: np.ndarray,
    batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    n_steps: int | None = None,
    every: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """SGD from (C, D) weights and (C,) biases over batches of (features, class columns, weights), in float64.

    Cross-entropy of the batch, by these weights; weight decay on weights and biases; the velocity is the first
    gradient, and from the second step on momentum times itself plus (1 - dampening) times the gradient. Without
    momentum it is the gradient: torch dampens only what has momentum. Each batch's gradient is used for ``every``
    steps, the last batch's for what then is left of ``n_steps``.
    """
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    velocity = None
    done = 0
    for features, columns, weights in batches:
        of_weight, of_bias = weight_decay * weight, weight_decay * bias
        for x, column, of_x in zip(features.astype(np.float64), columns, weights, strict=True):
            scores = weight @ x + bias
            p = np.exp(scores - scores.max())
            p /= p.sum()
            p[column] -= 1
            of_weight = of_weight + of_x * np.outer(p, x)
            of_bias = of_bias + of_x * p
        for _ in range(every):
            if done == n_steps:
                break
            done += 1
            if velocity is None or momentum == 0:
                velocity = [of_weight, of_bias]
            else:
                velocity = [momentum * v + (1 - dampening) * g for v, g in zip(velocity, (of_weight, of_bias))]
            weight, bias = weight - lr * velocity[0], bias - lr * velocity[1]
    return weight, bias
