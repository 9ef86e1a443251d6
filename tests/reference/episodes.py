"""N-way K-shot episodes by loops, from the definition: one task after the other, the answer among its own classes."""

from __future__ import annotations

import math

import numpy as np


def check_task(labels, novel, classes, shots, queries, n_way, n_shots, n_query):
    """Assert that one task (class labels, rows of shots and queries per class) is what an episode has to be."""
    assert len(set(classes)) == n_way
    assert set(classes) <= set(novel)
    for label, own_shots, own_queries in zip(classes, shots, queries, strict=True):
        assert len(own_shots) == n_shots
        assert len(own_queries) == n_query
        assert len({*own_shots, *own_queries}) == n_shots + n_query  # no image twice, none both shot and query
        assert {labels[row] for row in (*own_shots, *own_queries)} == {label}


def nearest_mean_accuracy(features, shots, queries, centre):
    """The share of right answers in one task of a nearest-mean classifier by cosine, features less the centre."""

    def unit(x):
        return (x - centre) / np.linalg.norm(x - centre)

    means = [np.mean([unit(features[row]) for row in own], axis=0) for own in shots]
    right = 0
    for truth, own in enumerate(queries):
        for row in own:
            cosines = [unit(features[row]) @ mean / np.linalg.norm(mean) for mean in means]
            right += cosines.index(max(cosines)) == truth
    return right / sum(len(own) for own in queries)


def mean_and_half_width(accuracies):
    """Mean and 1.96 standard errors."""
    mean = sum(accuracies) / len(accuracies)
    variance = sum((a - mean) ** 2 for a in accuracies) / (len(accuracies) - 1)
    return mean, 1.96 * math.sqrt(variance / len(accuracies))
