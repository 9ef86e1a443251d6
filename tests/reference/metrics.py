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


def answers(scores: Sequence[Sequence[float]], novel: Sequence[int], bias: float = 0.0) -> list[int]:
    """The column of the highest score of each image, the first of several, after a bias is added to novel columns."""
    shifted = [[score + (bias if column in novel else 0.0) for column, score in enumerate(row)] for row in scores]
    return [max(range(len(row)), key=lambda column: (row[column], -column)) for row in shifted]


def right_by_class(
    scores: Sequence[Sequence[float]], labels: Sequence[int], order: Sequence[int], among: Sequence[int], k: int
) -> list[int]:
    """Of each class in an order, count the images whose class is among the k best of some columns."""
    return [sum(label == c and rank(scores[i], c, among) < k for i, label in enumerate(labels)) for c in order]


def confusions(runs: Sequence[Sequence[int]], labels: Sequence[int], rows: Sequence[int], most: int) -> list[list[int]]:
    """The pairs of true and answered class, how often, and the row of the image that is most often confused so."""
    found: dict[tuple[int, int], list[int]] = {}
    for run in runs:
        for image, answer in enumerate(run):
            if answer != labels[image]:
                found.setdefault((labels[image], answer), []).append(image)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [[*pair, len(images), rows[max(sorted(set(images)), key=images.count)]] for pair, images in ordered[:most]]
