"""The network of a recogniser: photos in, features out, decoded by threads while the network computes."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from operator import length_hint
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.data import BadImageError, Transforms, build_transforms
from lowshot.data.decode import MAX_PIXELS
from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError
from lowshot.features import Embedder
from lowshot.recogniser.batches import opened_ahead
from lowshot.recogniser.photos import Photo, look, thumbnail
from lowshot.recogniser.state import BackboneState
from lowshot.representation import load_pretrained
from lowshot.representation.backbones import without_weight_sources

PROBE_TOLERANCE = 0.02
"""The largest distance between the probes, of length one, of one network in two versions of a library."""


def transforms_of(description: Mapping[str, Any]) -> Transforms:
    """The transforms that a description stands for.

    Args:
        description (mapping): The ``description`` of transforms, of a preset or of a network's own preprocessing.

    Raises:
        InputError: It is not as such descriptions are.
    """
    params = dict(description)
    preset = params.pop("preset", None)
    if preset != "weights":
        return build_transforms(str(preset), **params)
    augmentation = {key: params.pop(key) for key in ("scale", "jitter", "flip") if key in params}
    return Preprocessing.from_dict(params).transforms(**augmentation)


def probe(embedder: Embedder) -> list[float]:
    """A summary of the feature of a test picture: sums over 32 parts of the feature, scaled to length one.

    Two networks with the same weights have the same, up to rounding, however they are built.
    """
    ramp = np.arange(256, dtype=np.uint8)
    waves = (127 * (1 + np.sin(np.add.outer(ramp / 9.0, ramp / 23.0)))).astype(np.uint8)
    picture = np.stack([np.tile(ramp, (256, 1)), np.tile(ramp[:, None], (1, 256)), waves], axis=2)
    feature = embedder.embed([Image.fromarray(picture)])[0].astype(np.float64)
    parts = np.array([part.sum() for part in np.array_split(feature, 32)])
    return [round(float(value), 5) for value in parts / (np.linalg.norm(parts) or 1.0)]


@dataclass(frozen=True)
class Seen:
    """A photo that the network has seen, or could not.

    Attributes:
        name (str): The name of the photo.
        feature (array, (D,) float32, or None): Its feature.
        error (str): The reason why there is none; empty where there is one.
        digest (str): The SHA-256 of its content.
        look (int): Its perceptual hash; 0 where it was not asked for.
        thumbnail (bytes): A small JPEG of it; empty where it was not asked for.
    """

    name: str
    feature: np.ndarray | None
    error: str = ""
    digest: str = ""
    look: int = 0
    thumbnail: bytes = b""


class Network:
    """The network of a recogniser, ready to compute.

    Args:
        state (BackboneState): What ``recogniser.json`` says of it.
        folder (Path): The folder of the recogniser, for weights that lie there.

    Raises:
        InputError: The weights are missing, or are not those that the recogniser was taught with.
    """

    def __init__(self, state: BackboneState, folder: Path) -> None:
        weights: Any = True if state.weights == "pretrained" else folder / state.weights
        backbone = load_pretrained(state.name, weights, **without_weight_sources(state.options)).backbone
        transforms = transforms_of(state.preprocessing)
        self.embedder = Embedder(backbone, transforms, views=state.views)
        if self.embedder.dim != state.dim or not self._is_the_same(state):
            raise InputError(
                f"recogniser {folder} was taught with other weights or another preprocessing of {state.name!r} than "
                "are installed here, and its features would not fit: install the version of its README, or teach anew"
            )

    def _is_the_same(self, state: BackboneState) -> bool:
        if self.embedder.fingerprint == state.fingerprint:
            return True
        found, expected = np.array(probe(self.embedder)), np.array(state.probe)
        return found.shape == expected.shape and bool(np.linalg.norm(found - expected) <= PROBE_TOLERANCE)

    def see(self, photos: Iterable[Photo], details: bool = False) -> Generator[Seen, None, None]:
        """Compute the features of photos, in order; memory follows the batch.

        Args:
            photos (iterable of Photo): The photos. One that cannot be decoded comes out with its error.
            details (bool): True adds the perceptual hash and the thumbnail.
        """
        with self.embedder as embedder, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for batch in opened_ahead(pool, photos, partial(self.open, details=details)):
                pixels = [pixels for _, pixels in batch if pixels is not None]
                if pixels:
                    stacked = torch.stack(pixels)
                    embedder.decide(stacked, length_hint(photos, len(pixels)))
                    features = iter(embedder.features(stacked))
                for seen, opened in batch:
                    yield seen if opened is None else with_feature(seen, next(features))

    def open(
        self, photo: Photo, details: bool = False, max_pixels: int = MAX_PIXELS
    ) -> tuple[Seen, torch.Tensor | None]:
        """Decode a photo and make the network's input of it, which :meth:`see` does for many.

        Args:
            photo (Photo): The photo.
            details (bool): True adds the perceptual hash and the thumbnail.
            max_pixels (int): The largest size of a photo.

        Returns:
            The photo without its feature, and the pixels that ``embedder`` takes; None where it cannot be decoded.
        """
        try:
            opened = photo.open(max_pixels)
        except BadImageError as error:
            return Seen(photo.name, None, str(error)), None
        seen = Seen(photo.name, None, digest=opened.digest)
        if details:
            seen = replace(seen, look=look(opened.image), thumbnail=thumbnail(opened.image))
        return seen, self.embedder.transform(opened.image)


def with_feature(seen: Seen, feature: np.ndarray) -> Seen:
    """The photo with its feature (D,) float32, or with an error where that has NaN or infinity."""
    if not np.isfinite(feature).all():
        return Seen(seen.name, None, f"image {seen.name}: the network gives NaN or infinity", seen.digest)
    return replace(seen, feature=feature)
