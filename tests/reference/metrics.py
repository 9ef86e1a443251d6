"""The accuracies of the low-shot benchmark, image by image, from their definition."""

from __future__ import annotations

from collections.abc import Sequence


def rank(scores: Sequence[float], column: int, among: Sequence[int]) -> int:
    """Count the columns that come before one: those of a higher score, and those of the same score further left."""
    return sum(
        scores[other] > scores[column] or (scores[other] == scores[column] and other < column)
        for other in among
        if other != column
    )


def low_shot_metrics(
    scores: Sequence[Sequence[float]], labels: Sequence[int], base: Sequence[int], novel: Sequence[int]
) -> dict[str, float]:
    """Fractions of images of a group whose class is among the k best; groups without images are left out."""
    groups = {"base": set(base), "novel": set(novel), "all": {*base, *novel}}
    found = {}
    for k in (1, 5):
        for name, group in groups.items():
            images = [i for i, label in enumerate(labels) if label in group]
            if images:
                hits = [rank(scores[i], labels[i], range(len(scores[i]))) < k for i in images]
                found[f"{name}_top{k}"] = sum(hits) / len(hits)
        images = [i for i, label in enumerate(labels) if label in groups["novel"]]
        if images:
            hits = [rank(scores[i], labels[i], sorted(groups["novel"])) < k for i in images]
            found[f"novel_only_top{k}"] = sum(hits) / len(hits)
    return found
