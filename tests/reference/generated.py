"""Measures of generated features, example by example: the classes that they lie in, and what their means are worth."""

from __future__ import annotations

import math

import numpy as np


def balls(held_out, n_neighbours=5):
    """The distance from each held-out example to its ``n_neighbours``-th nearest other one, or to the farthest."""
    radii = []
    for i, example in enumerate(held_out):
        distances = sorted(math.dist(example, other) for j, other in enumerate(held_out) if j != i)
        radii.append(distances[min(n_neighbours, len(distances)) - 1])
    return radii


def covered(held_out, features, n_neighbours=5):
    """The share of the held-out examples with some feature in their ball."""
    radii = balls(held_out, n_neighbours)
    return np.mean(
        [
            any(math.dist(example, feature) <= radius for feature in features)
            for example, radius in zip(held_out, radii, strict=True)
        ]
    )


def covered_by_each_other_class(features, labels, held_out, held_out_labels):
    """{class: the shares of its held-out examples that the features of each other class cover}."""
    return {
        label: [
            covered(held_out[held_out_labels == label], features[labels == other])
            for other in np.unique(labels)
            if other != label
        ]
        for label in np.unique(labels)
    }


def landing(features, labels, real, real_labels):
    """{class: shares of its features whose nearest real one is of it, of another of ``labels``, of any other class}."""
    found = {}
    for label in np.unique(labels):
        counts = [0, 0, 0]
        for feature in features[labels == label]:
            nearest = real_labels[min(range(len(real)), key=lambda i: math.dist(feature, real[i]))]
            counts[0 if nearest == label else 1 if nearest in labels else 2] += 1
        found[label] = [count / sum(counts) for count in counts]
    return found


def worth(features, labels, held_out, held_out_labels):
    """The number n of real examples at which n · Σ |mean − class mean|² is as large as the variance of the classes.

    Both sums are over classes and dimensions, and each squared distance is free of the part that the finite number of
    held-out examples adds.
    """
    variance = squared = 0.0
    for label in np.unique(labels):
        real = held_out[held_out_labels == label]
        if len(real) < 2:
            continue
        for column in range(real.shape[1]):
            mean = sum(real[:, column]) / len(real)
            of_column = sum((value - mean) ** 2 for value in real[:, column]) / (len(real) - 1)
            own = features[labels == label][:, column]
            variance += of_column
            squared += (sum(own) / len(own) - mean) ** 2 - of_column / len(real)
    return variance / squared
