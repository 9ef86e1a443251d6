"""TEEN by loops, from Wang et al. (2023), equations 4 to 6."""

from __future__ import annotations

import math

import numpy as np


def unit(x):
    length = math.sqrt(sum(value * value for value in x))
    return np.array([value / length for value in x])


def similarities(mean, base_means, sharpness):
    """The softmax over the base classes of the scaled cosines, by its definition."""
    powers = [math.exp(sharpness * sum(a * b for a, b in zip(mean, base))) for base in base_means]
    return [power / sum(powers) for power in powers]


def means(base_examples, novel_examples, alpha, sharpness):
    """The (C, D) means of lists of (n, D) transformed examples, one list for each class; base classes first."""
    base = [unit(np.mean(own, axis=0)) for own in base_examples]
    table = list(base)
    for own in novel_examples:
        mean = unit(np.mean(own, axis=0))
        mixture = sum(s * b for s, b in zip(similarities(mean, base, sharpness), base))
        table.append(alpha * mean + (1 - alpha) * mixture)
    return np.array(table)
