"""The likeliest classes of a row of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowshot.server.schemas import Choice


def likeliest(classes: Sequence[str], probabilities: np.ndarray, n: int) -> list[Choice]:
    """The n likeliest classes of (C,) probabilities, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")[:n].tolist()
    return [Choice(class_=classes[column], probability=round(float(probabilities[column]), 4)) for column in order]
