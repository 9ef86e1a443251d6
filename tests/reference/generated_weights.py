"""Networks that make classification weights, class by class, from Gidaris and Komodakis (2018, 2019)."""

from __future__ import annotations

import math

import numpy as np


def unit(x):
    return x / math.sqrt(sum(value * value for value in x))


def softmax(values):
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def attention(shots_of, base, w):
    """(K, D) novel weights (2018, equations 4 to 7) for a list of (n, D) shots; ``w`` are the learned parameters."""
    keys = [unit(w["key.weight"] @ b) for b in base]
    made = []
    for shots in shots_of:
        attended = np.zeros(base.shape[1])
        for shot in shots:
            query = unit(w["query.weight"] @ shot)
            shares = softmax([w["sharpness"][0] * (query @ key) for key in keys])
            attended = attended + sum(share * b for share, b in zip(shares, base)) / len(shots)
        made.append(unit(w["of_mean"] * np.mean(shots, axis=0) + w["of_attention"] * attended))
    return np.array(made)


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def denoised(weights, w, n_neighbours, steps, noisy=None):
    """(W, D) weights after a step towards their reconstruction (2019, sections 3.3 and 4).

    In training ``noisy`` is what is reconstructed; the neighbours remain those of ``weights``.
    """
    neighbours = []
    for i, own in enumerate(weights):
        others = [j for j in range(len(weights)) if j != i]
        cosines = {j: unit(own) @ unit(weights[j]) for j in others}
        nearest = sorted(others, key=lambda j: -cosines[j])[:n_neighbours]
        neighbours.append(dict(zip(nearest, softmax([5 * cosines[j] for j in nearest]))))

    weights = weights if noisy is None else noisy

    def aggregated(states, layer):
        table = []
        for i, own in enumerate(states):
            total = 0
            for j, share in neighbours[i].items():
                joined = np.concatenate([own, states[j]])
                matrix = np.hstack([w[f"{layer}.own.weight"], w[f"{layer}.other.weight"]])
                total = total + share * leaky(matrix @ joined + w[f"{layer}.own.bias"])
            table.append(total)
        return table

    states = []
    for own, seen in zip(weights, aggregated(weights, "first")):
        update = w["first_update.weight"] @ np.concatenate([own, seen]) + w["first_update.bias"]
        states.append(np.concatenate([own, unit(leaky(update))]))
    made = []
    for own, state, seen, step in zip(weights, states, aggregated(states, "second"), steps):
        state = np.concatenate([state, seen])
        gate = 1 / (1 + np.exp(-(w["gate.weight"] @ state + w["gate.bias"])))
        correction = unit(w["correction.weight"] @ state + w["correction.bias"])
        made.append(unit(own + step * (unit(own + gate * correction) - own)))
    return np.array(made)
