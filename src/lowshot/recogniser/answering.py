"""Answers for photos that the network of a recogniser has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowshot.recogniser.answers import Answer
from lowshot.recogniser.embedding import Seen
from lowshot.recogniser.model import Model, top_two


def answered(model: Model, batch: Sequence[Seen]) -> list[Answer]:
    """Answers for photos that the network has seen.

    Args:
        model (Model): The model of the recogniser.
        batch (sequence of Seen): The photos.
    """
    good = [one for one in batch if one.feature is not None]
    answers: dict[int, Answer] = {}
    if good:
        features = np.stack([one.feature for one in good])  # type: ignore[misc]
        probabilities = model.probabilities(features)
        first, second = top_two(probabilities)
        unknown = model.unknown(features, first)
        nearest, cosines = model.nearest(features)
        for row, one in enumerate(good):
            near = nearest.shape[1] > 0
            answers[id(one)] = Answer(
                one.name,
                model.classes[first[row]],
                float(probabilities[row, first[row]]),
                model.classes[second[row]] if second[row] >= 0 else None,
                float(probabilities[row, second[row]]) if second[row] >= 0 else None,
                bool(unknown[row]),
                model.examples.names[nearest[row, 0]] if near else None,
                float(min(cosines[row, 0], 1.0)) if near else None,
            )
    return [answers[id(one)] if one.feature is not None else Answer(one.name, error=one.error) for one in batch]
