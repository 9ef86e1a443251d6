"""Recognisers in exported ``.onnx`` files: photos in, answers out, without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from lowshot.data.decode import MAX_PIXELS, BadImageError
from lowshot.errors import InputError
from lowshot.files import Pathlike, read_bytes
from lowshot.recogniser.answers import Answer
from lowshot.recogniser.batches import opened_ahead
from lowshot.recogniser.onnx_format import (
    FORMAT,
    METADATA_KEY,
    PIXELS,
    PROBABILITIES,
    UNKNOWN,
    About,
    onnx_packages,
    onnx_session,
    refers_to_files,
)
from lowshot.recogniser.photos import ImageLike, Photo, as_photo
from lowshot.recogniser.pixels import pixels_of


class OnnxRecogniser:
    """A recogniser that was exported to an ``.onnx`` file. It answers, and cannot be taught.

    Args:
        path (path-like): The file.

    Attributes:
        path (Path): The file.
        about (About): What the file says of itself.
        fingerprint (str): The digest of the file.

    Raises:
        InputError: The file is missing, damaged, or no exported recogniser; it refers to other files; or a package of
            the extra ``onnx`` is missing.
    """

    def __init__(self, path: Pathlike) -> None:
        self.path = Path(path)
        content = read_bytes(self.path, "recogniser")
        self.fingerprint = hashlib.sha256(content).hexdigest()[:16]
        onnx, _ = onnx_packages("onnx", "onnxruntime")
        try:
            graph = onnx.load_model_from_string(content)
        except Exception:  # protobuf's errors differ by version
            raise InputError(f"{path} is damaged or no ONNX file: export it again") from None
        if refers_to_files(graph):
            raise InputError(f"{path} refers to other files, which an exported recogniser never does")
        self.about = _about({one.key: one.value for one in graph.metadata_props}, self.path)
        del graph
        try:
            self._session = onnx_session(content)
            inputs = {one.name: (one.type, one.shape[1:]) for one in self._session.get_inputs()}
            outputs = {one.name: (one.type, one.shape[1:]) for one in self._session.get_outputs()}
        except Exception as error:  # ONNX Runtime has errors of many kinds
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path} is damaged, ONNX Runtime cannot load it: {reason}") from None
        height, width = self.about.preprocessing.size
        expected = {PROBABILITIES: ("tensor(float)", [len(self.classes)]), UNKNOWN: ("tensor(bool)", [])}
        if inputs != {PIXELS: ("tensor(uint8)", [height, width, 3])} or any(
            outputs.get(name) != one for name, one in expected.items()
        ):
            raise InputError(f"{path} is damaged: its inputs or outputs are not those that its metadata say")

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return self.about.classes

    def require_classes(self) -> None:
        """Nothing to check: an exported recogniser knows a class."""

    def predict(self, images: Iterable[ImageLike]) -> list[Answer]:
        """Say what photos show; see :meth:`lowshot.recogniser.Recogniser.predict`.

        Args:
            images (iterable): Paths, PIL images or uint8 arrays.
        """
        return list(self.answers(as_photo(image, number) for number, image in enumerate(images)))

    def answers(self, photos: Iterable[Photo]) -> Iterator[Answer]:
        """Say what photos show, one by one; memory follows the batch. No answer has ``nearest`` and ``similarity``."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for batch in opened_ahead(pool, photos, self.open):
                good = [pixels for _, pixels in batch if isinstance(pixels, np.ndarray)]
                found = iter(self.asked(np.stack(good)) if good else ())
                for name, pixels in batch:
                    yield (
                        self.answer(name, *next(found))
                        if isinstance(pixels, np.ndarray)
                        else Answer(name, error=pixels)
                    )

    def open(self, photo: Photo, max_pixels: int = MAX_PIXELS) -> tuple[str, np.ndarray | str]:
        """The name of a photo and its pixels (H, W, 3) uint8, or the reason why there are none."""
        try:
            return photo.name, pixels_of(photo.open(max_pixels).image, self.about.preprocessing)
        except BadImageError as error:
            return photo.name, str(error)

    def asked(self, pixels: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        """The probabilities (C,) float64, and whether it is unknown, of each of the pixels (N, H, W, 3) uint8.

        Raises:
            InputError: ONNX Runtime cannot compute the file.
        """
        try:
            probabilities, unknown = self._session.run([PROBABILITIES, UNKNOWN], {PIXELS: pixels})
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self.path} is damaged, ONNX Runtime cannot compute it: {reason}") from None
        return list(zip(probabilities.astype(np.float64), unknown.tolist(), strict=True))

    def answer(self, name: str, probabilities: np.ndarray, unknown: bool) -> Answer:
        """The answer to one photo with probabilities (C,), as the outputs of the file have them."""
        if not np.isfinite(probabilities).all():
            return Answer(name, error=f"image {name}: the network gives NaN or infinity")
        order = np.argsort(-probabilities, kind="stable")[:2].tolist()
        first, second = order[0], order[1] if len(order) > 1 else None
        return Answer(
            name,
            self.classes[first],
            float(probabilities[first]),
            None if second is None else self.classes[second],
            None if second is None else float(probabilities[second]),
            unknown,
        )

    def __repr__(self) -> str:
        return f"<OnnxRecogniser {self.path}: {len(self.classes)} classes>"


def _about(metadata: dict[str, str], path: Path) -> About:
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise InputError(
            f"{path} is an ONNX file, but no recogniser: expected one that `lowshot export RECOGNISER --onnx {path}` "
            "wrote"
        )
    try:
        return About.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"{path} has metadata that this version of lowshot, which reads {FORMAT!r}, cannot use: {where}: "
            f"{first['msg']}. Update lowshot, or export it again"
        ) from None
