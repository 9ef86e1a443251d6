"""Nearest class mean by loops, from SimpleShot's section 3."""

from __future__ import annotations

import numpy as np


def transform(x, kind, centre):
    if kind == "none":
        return x
    if kind == "centred_l2":
        x = x - centre
    length = np.sqrt(sum(value * value for value in x))
    return x / length if length > 0 else x


def scores(X, y, queries, metric, kind, centre):
    """(Q, C) scores over the sorted labels of ``y``."""
    table = []
    for query in queries:
        q = transform(query, kind, centre)
        row = []
        for label in sorted(set(y.tolist())):
            mean = np.mean([transform(x, kind, centre) for x, own in zip(X, y) if own == label], axis=0)
            if metric == "euclidean":
                row.append(-np.sum((q - mean) ** 2))
            else:
                lengths = np.linalg.norm(q) * np.linalg.norm(mean)
                row.append(q @ mean / lengths if lengths > 0 else 0.0)
        table.append(row)
    return np.array(table)
