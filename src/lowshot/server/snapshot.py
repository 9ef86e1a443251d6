"""A state of a recogniser in memory, complete and never changed: what a request answers from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.recogniser import Recogniser
from lowshot.recogniser.answering import answered
from lowshot.recogniser.embedding import Seen
from lowshot.recogniser.folder import undoable
from lowshot.recogniser.model import Model
from lowshot.recogniser.state import State
from lowshot.server.likeliest import likeliest
from lowshot.server.schemas import AnswerBody, ClassItem, Neighbour, TaughtPhoto

THUMBNAILS = 4
"""The number of small pictures that the list of classes names for each."""


@dataclass(frozen=True)
class Snapshot:
    """A state of a recogniser.

    Attributes:
        state (State): The state.
        model (Model or None): The fitted classifier; None where no class is known.
        classes (list of str): The names of the classes.
        photos (dict): Class → its taught photos.
        rows (dict): Digest → a row of the shots that has it.
        undo (str or None): The change that would be undone, in words.
    """

    state: State
    model: Model | None
    classes: list[str]
    photos: dict[str, list[TaughtPhoto]]
    rows: dict[str, int]
    undo: str | None

    @classmethod
    def of(cls, recogniser: Recogniser) -> Snapshot:
        """The present state of a recogniser, which no other thread may be changing."""
        examples, state = recogniser.examples, recogniser.state
        photos: dict[str, list[TaughtPhoto]] = {name: [] for name in recogniser.classes}
        for name, digest in zip(examples.names, examples.digests):
            photos[name.split("/", 1)[0]].append(TaughtPhoto(photo=name, digest=digest))
        rows = dict(zip(examples.digests, examples.rows.tolist()))
        model = recogniser.model if recogniser.classes else None
        return cls(state, model, recogniser.classes, photos, rows, undoable(recogniser.folder, state))

    @property
    def number(self) -> int:
        """The number of the state."""
        return self.state.number

    @property
    def n_photos(self) -> int:
        """The number of taught photos."""
        return sum(map(len, self.photos.values()))

    def is_base(self, name: str) -> bool:
        """True for a class that was known before anything was taught."""
        base = self.state.base
        return base is not None and name in base.names

    def class_items(self) -> list[ClassItem]:
        """The classes, as the API lists them."""
        return [
            ClassItem(
                name=name,
                photos=len(photos),
                base=self.is_base(name),
                thumbnails=[photo.digest for photo in photos[:THUMBNAILS]] if self.state.thumbnails else [],
            )
            for name, photos in self.photos.items()
        ]

    def cost(self, n: int) -> int:
        """The multiplications, about, that the answers for n photos take beyond the network."""
        return n * self.state.backbone.dim * (self.n_photos + len(self.classes))

    def answers(self, seen: list[Seen], top: int, nearest: int) -> list[AnswerBody]:
        """The answers for photos that the network has seen.

        Args:
            seen (list of Seen): The photos.
            top (int): The number of likeliest classes of each; 0 for none.
            nearest (int): The number of most similar taught photos of each; 0 for none.
        """
        assert self.model is not None
        found = [AnswerBody.model_validate(answer.as_dict()) for answer in answered(self.model, seen)]
        good = [row for row, one in enumerate(seen) if one.feature is not None]
        if good and (top or nearest):
            features = np.stack([seen[row].feature for row in good])  # type: ignore[misc]
            for row, more in zip(good, self._more(self.model, features, top, nearest)):
                found[row] = found[row].model_copy(update=more)
        return found

    def _more(self, model: Model, features: np.ndarray, top: int, nearest: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{} for _ in features]
        if top:
            for one, row in zip(found, model.probabilities(features)):
                one["top"] = likeliest(model.classes, row, top)
        if nearest:
            best, cosines = model.nearest(features, nearest)
            names, digests = model.examples.names, model.examples.digests
            for one, columns, values in zip(found, best.tolist(), cosines.tolist()):
                one["neighbours"] = [
                    Neighbour(
                        photo=names[column],
                        class_=names[column].split("/", 1)[0],
                        digest=digests[column],
                        similarity=round(min(value, 1.0), 4),
                    )
                    for column, value in zip(columns, values)
                ]
        return found
