"""An exported ``.onnx`` file as the server holds it: it answers, without torch, and cannot be changed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from lowshot.recogniser.onnx_model import OnnxRecogniser
from lowshot.recogniser.photos import Photo
from lowshot.server.computing import Exported
from lowshot.server.likeliest import likeliest
from lowshot.server.limits import Limits
from lowshot.server.pace import Computes, Pace
from lowshot.server.problems import Problem
from lowshot.server.schemas import AnswerBody, ClassItem

READ_ONLY = "an exported file cannot be changed: serve the folder that it was exported from"
NO_PHOTOS = "an exported file holds no photos: serve the folder that it was exported from"


class OnnxService:
    """An exported recogniser.

    Args:
        opened (OnnxRecogniser): The file.
        computes (Computes): What computes the answers for photos.
        limits (Limits): The limits.
    """

    kind = "onnx"
    read_only = True
    stale: str | None = None

    def __init__(self, opened: OnnxRecogniser, computes: Computes, limits: Limits) -> None:
        self.name = Path(opened.path).name
        self.classes = opened.classes
        self.pace = Pace(computes, limits)

    async def answers(self, photos: list[Photo], top: int, nearest: int) -> tuple[int, list[AnswerBody]]:
        """The answers for photos; see :meth:`lowshot.server.service.FolderService.answers`."""
        with self.pace.admitted():
            return 0, [self._body(one, top, nearest) async for one in self.pace.results(photos)]

    def class_items(self) -> list[ClassItem]:
        """The classes, as the API lists them."""
        return [ClassItem(name=name, photos=0, base=False, thumbnails=[]) for name in self.classes]

    async def change(self, work: object) -> NoReturn:
        """Refuse a change.

        Raises:
            Problem: Always.
        """
        raise Problem(403, READ_ONLY)

    def close(self) -> None:
        """End the threads."""
        self.pace.computes.close()

    def _body(self, one: Exported, top: int, nearest: int) -> AnswerBody:
        body = AnswerBody.model_validate(one.answer.as_dict())
        update: dict[str, object] = {}
        if one.probabilities is not None and top:
            update["top"] = likeliest(self.classes, one.probabilities, top)
        if one.probabilities is not None and nearest:
            update["neighbours"] = []
        return body.model_copy(update=update) if update else body
