"""What is computed of a photo, in two parts: decoding, by one of several threads, and the network, by one thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from lowshot.recogniser.answers import Answer
from lowshot.recogniser.photos import Photo

if TYPE_CHECKING:
    from lowshot.recogniser.embedding import Network, Seen
    from lowshot.recogniser.onnx_model import OnnxRecogniser


class Computation(Protocol):
    """Decoding and computing photos; a context manager around the calls of ``compute``, in the thread of these."""

    def prepare(self, photo: Photo, details: bool) -> tuple[Any, bool]:
        """Decode a photo; the second value is True where the first is the result already, such as an error."""
        ...

    def compute(self, prepared: Sequence[Any]) -> list[Any]:
        """The results for a batch of what :meth:`prepare` made."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class NetworkComputation:
    """Photos to their features, by the network of a recogniser's folder; results are ``Seen``.

    Args:
        network (Network): The network.
        pixels (int): The largest photo.
    """

    def __init__(self, network: Network, pixels: int) -> None:
        self.network = network
        self.pixels = pixels

    def prepare(self, photo: Photo, details: bool) -> tuple[Any, bool]:
        seen, pixels = self.network.open(photo, details, self.pixels)
        return (seen, True) if pixels is None else ((seen, pixels), False)

    def compute(self, prepared: Sequence[Any]) -> list[Seen]:
        import torch

        from lowshot.recogniser.embedding import with_feature

        features = self.network.embedder.features(torch.stack([pixels for _, pixels in prepared]))
        return [with_feature(seen, feature) for (seen, _), feature in zip(prepared, features, strict=True)]

    def __enter__(self) -> Self:
        from PIL import Image

        self.network.embedder.__enter__()
        # Many photos will come: the fastest engine is chosen before the first of them.
        black = self.network.embedder.transform(Image.new("RGB", (256, 256)))
        self.network.embedder.decide(black[None], 10**6)
        return self

    def __exit__(self, *error: object) -> None:
        self.network.embedder.__exit__(*error)


@dataclass(frozen=True)
class Exported:
    """What an exported file says of a photo.

    Attributes:
        answer (Answer): The answer.
        probabilities (array, (C,) float64, or None): The probabilities of all classes.
    """

    answer: Answer
    probabilities: np.ndarray | None


class OnnxComputation:
    """Photos to answers, by an exported file; results are ``Exported``.

    Args:
        opened (OnnxRecogniser): The file.
        pixels (int): The largest photo.
    """

    def __init__(self, opened: OnnxRecogniser, pixels: int) -> None:
        self.opened = opened
        self.pixels = pixels

    def prepare(self, photo: Photo, details: bool) -> tuple[Any, bool]:
        name, pixels = self.opened.open(photo, self.pixels)
        if isinstance(pixels, str):
            return Exported(Answer(name, error=pixels), None), True
        return (name, pixels), False

    def compute(self, prepared: Sequence[Any]) -> list[Exported]:
        found = self.opened.asked(np.stack([pixels for _, pixels in prepared]))
        return [
            Exported(self.opened.answer(name, probabilities, unknown), probabilities)
            for (name, _), (probabilities, unknown) in zip(prepared, found, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def computation_of(path: Path, pixels: int) -> Computation:
    """The computation of a recogniser's folder or of an exported file, loaded anew.

    Raises:
        InputError: There is none, or it is damaged.
    """
    if path.suffix.lower() == ".onnx":
        from lowshot.recogniser.onnx_model import OnnxRecogniser

        return OnnxComputation(OnnxRecogniser(path), pixels)
    from lowshot.recogniser.embedding import Network
    from lowshot.recogniser.folder import read_state

    return NetworkComputation(Network(read_state(path).backbone, path), pixels)
