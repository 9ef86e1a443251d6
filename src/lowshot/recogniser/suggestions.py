"""Which unlabelled photos to label next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowshot.errors import InputError, first_few
from lowshot.progress import progress, say
from lowshot.recogniser.photos import photos_at
from lowshot.recogniser.suggest import suggest

if TYPE_CHECKING:
    from lowshot.recogniser.recogniser import Recogniser


def suggested_photos(recogniser: Recogniser, paths: Sequence[str | Path], n: int) -> list[str]:
    """Choose photos whose labels would teach a recogniser most: uncertain ones that stand for many, none twice.

    Photos that were taught already, byte for byte or resized, are left out, and so are those that cannot be decoded.

    Args:
        recogniser (Recogniser): The recogniser, which may know no class yet.
        paths (sequence of path-like): Photos, folders of photos, and zips.
        n (int): The number of photos.

    Returns:
        Their names, the most useful first; fewer than n where there are no more different ones.

    Raises:
        InputError: There is no photo, or none can be read.
    """
    photos = photos_at(paths)
    names, features, errors = [], [], []
    with progress("look", len(photos)) as tick:
        for seen in recogniser.network.see(photos):
            tick(1)
            if seen.feature is None:
                errors.append(seen.error)
            else:
                names.append(seen.name)
                features.append(seen.feature)
    if not features:
        raise InputError(f"no photo could be read: {first_few(errors, 1)}")
    if errors:
        say(f"{len(errors)} photos could not be read, such as: {errors[0]}", style="yellow")
    taught = len(recogniser.examples.labels) > 0
    rows = suggest(
        np.stack(features),
        n,
        classifier=recogniser.model.classifier if taught else None,
        shots=recogniser.examples.features if taught else None,
    )
    return [names[row] for row in rows.tolist()]
