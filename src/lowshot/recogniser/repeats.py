"""Photos that were taught before: the same file, or the same picture resized or compressed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lowshot.classifiers.transforms import unit_rows
from lowshot.recogniser.embedding import Seen
from lowshot.recogniser.shots import Shots

ALIKE_BITS = 6
"""The number of bits, of 64, that perceptual hashes of one picture may differ in."""

ALIKE_COSINE = 0.9
"""The least cosine of the features of one picture at two sizes."""


class Repeats:
    """Finds photos among those that were taught.

    Args:
        shots (Shots): All rows.
        classes (mapping): Row → the name of its class, of the rows that count.
    """

    def __init__(self, shots: Shots, classes: Mapping[int, str]) -> None:
        rows = np.fromiter(classes, np.int64, len(classes))
        self._where = [(classes[row], shots.names[row]) for row in rows.tolist()]
        self._row_of: dict[str, list[int]] = {}
        for index, row in enumerate(rows.tolist()):
            self._row_of.setdefault(shots.digests[row], []).append(index)
        self._looks = shots.looks[rows]
        self._rows, self._features = rows, shots.features
        self._new: list[Seen] = []

    def add(self, class_name: str, photo: Seen) -> None:
        """Count a photo among those that were taught."""
        self._row_of.setdefault(photo.digest, []).append(len(self._where))
        self._where.append((class_name, photo.name))
        self._new.append(photo)

    def repeated(self, class_name: str, photo: Seen, same_file_only: bool = False) -> str | None:
        """Say of which taught photo this one is a repetition.

        Args:
            class_name (str): The class that the photo is to be taught as.
            photo (Seen): The photo.
            same_file_only (bool): True looks for the same file in the same class alone.

        Returns:
            A line for people, or None.
        """
        same = [self._where[index] for index in self._row_of.get(photo.digest, ())]
        if same_file_only:
            same = [where for where in same if where[0] == class_name]
        if same:
            return self._line(class_name, photo.name, same[0], "is the same file as")
        if same_file_only or (index := self._alike(photo)) is None:
            return None
        return self._line(class_name, photo.name, self._where[index], "is the same picture as")

    def _alike(self, photo: Seen) -> int | None:
        looks = np.concatenate([self._looks, np.array([one.look for one in self._new], np.uint64)])
        near = np.flatnonzero(np.bitwise_count(looks ^ np.uint64(photo.look)) <= ALIKE_BITS)
        for index in near.tolist():
            stored = index < len(self._rows)
            feature = self._features[self._rows[index]] if stored else self._new[index - len(self._rows)].feature
            if float((unit_rows(np.stack([feature, photo.feature])).prod(axis=0)).sum()) >= ALIKE_COSINE:  # type: ignore[list-item]
                return index
        return None

    @staticmethod
    def _line(class_name: str, name: str, where: tuple[str, str], relation: str) -> str:
        other_class, other = where
        if other_class == class_name:
            return f"{name} {relation} {other}, which {class_name!r} was taught already"
        return (
            f"{name} {relation} {other} of class {other_class!r}, so it was not taught as {class_name!r}: a photo has "
            "one class"
        )
