"""The original's low-shot phase for one run, written down plainly: draw a batch, take a step, ten thousand times."""

from __future__ import annotations

import numpy as np

Examples = tuple[np.ndarray, np.ndarray]


def low_shot_accuracies(
    base: Examples,
    shots: Examples,
    queries: Examples,
    n_outputs: int,
    *,
    lr: float,
    weight_decay: float,
    n_steps: int,
    batch_size: int,
    rng: np.random.Generator,
    momentum: float = 0.9,
    dampening: float = 0.9,
    balanced: bool = True,
    all_outputs: bool = True,
) -> list[float]:
    """Top-1 and top-5 accuracy of novel, base and all queries, as fractions.

    A linear layer with bias over all outputs, started uniformly within 1/sqrt(D). Each batch has as many base examples
    as the base classes are among all classes, drawn without replacement, and shots drawn with replacement for the rest;
    with ``balanced=False`` it is drawn from all examples alike, which is not what the original does. A query is right
    for top-k when fewer than k outputs, of all of them, score higher; with ``all_outputs=False`` fewer than k of those
    that have examples, which is not what the original does either.
    """
    n_base, n_novel = len(np.unique(base[1])), len(np.unique(shots[1]))
    from_base = round(batch_size * n_base / (n_base + n_novel))
    if not balanced:
        from_base = round(batch_size * len(base[1]) / (len(base[1]) + len(shots[1])))
    dim = base[0].shape[1]
    weight = rng.uniform(-1, 1, (n_outputs, dim)) / np.sqrt(dim)
    bias = rng.uniform(-1, 1, n_outputs) / np.sqrt(dim)
    velocity_w, velocity_b = np.zeros_like(weight), np.zeros_like(bias)
    for step in range(n_steps):
        drawn = rng.permutation(len(base[1]))[:from_base]
        repeated = rng.integers(len(shots[1]), size=batch_size - from_base)
        x = np.concatenate([base[0][drawn], shots[0][repeated]])
        y = np.concatenate([base[1][drawn], shots[1][repeated]])
        scores = x @ weight.T + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(batch_size), y] -= 1
        gradient_w = p.T @ x / batch_size + weight_decay * weight
        gradient_b = p.mean(axis=0) + weight_decay * bias
        keep = 1 if step == 0 else 1 - dampening  # torch starts the velocity with the whole first gradient
        velocity_w = momentum * velocity_w + keep * gradient_w
        velocity_b = momentum * velocity_b + keep * gradient_b
        weight, bias = weight - lr * velocity_w, bias - lr * velocity_b
    scores = queries[0] @ weight.T + bias
    if not all_outputs:
        scores[:, np.setdiff1d(np.arange(n_outputs), np.concatenate([base[1], shots[1]]))] = -np.inf
    ahead = (scores > scores[np.arange(len(scores)), queries[1]][:, None]).sum(axis=1)
    novel = np.isin(queries[1], shots[1])
    groups = (novel, ~novel, np.ones(len(novel), bool))
    return [float((ahead[group] < k).mean()) for group in groups for k in (1, 5)]
