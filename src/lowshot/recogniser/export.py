"""Exports of recognisers: one ONNX file from pixels to probabilities, compared with the recogniser before it stays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from lowshot import __version__
from lowshot.classifiers import LowShotClassifier
from lowshot.errors import InputError, LowshotError
from lowshot.files import Pathlike, atomic_path, require_writable
from lowshot.recogniser.graph import Head, PhotosToAnswers, as_onnx
from lowshot.recogniser.model import Model
from lowshot.recogniser.onnx_format import (
    FEATURES,
    METADATA_KEY,
    PIXELS,
    PROBABILITIES,
    SIMILARITY,
    UNKNOWN,
    About,
    onnx_packages,
    onnx_session,
    portable_preprocessing,
    refers_to_files,
)
from lowshot.recogniser.pixels import pixels_of
from lowshot.recogniser.shots import read_thumbnails
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    from lowshot.recogniser.recogniser import Recogniser

TOLERANCE = 1e-3
"""The largest difference of a probability or a similarity between the file and the recogniser."""

_ANSWERS = [PROBABILITIES, UNKNOWN, SIMILARITY]
_MOST_THUMBNAILS = 48
_RANDOM_IMAGES = 9  # a batch of eight, and one alone
_BATCH = 8
_HEAD_BATCH = 512


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path (Path): The file.
        photos (int): The number of taught photos whose stored features gave the same answers.
        images (int): The number of images that were compared from pixels on: thumbnails, and random ones.
        difference (float): The largest difference of a probability or a similarity.
    """

    path: Path
    photos: int
    images: int
    difference: float


def export_onnx(recogniser: Recogniser, path: Pathlike) -> Exported:
    """Write a recogniser as one ONNX file; see :meth:`lowshot.recogniser.Recogniser.export_onnx`."""
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise InputError(f"{path}: expected a file that ends in .onnx")
    require_writable(target, "export")
    onnx, _ = onnx_packages("onnx", "onnxruntime")
    model = recogniser.model
    state = model.state
    _check_exportable(model)
    try:
        preprocessing = portable_preprocessing(state.backbone.preprocessing)
    except InputError as error:
        raise InputError(f"recogniser {recogniser.folder} cannot be exported: {error}") from None
    about = About(
        lowshot=__version__,
        classes=model.classes,
        preprocessing=preprocessing,
        unknown_at=state.unknown_at,
        temperature=state.temperature,
        classifier=state.classifier.name,
        backbone=state.backbone.name,
        views=state.backbone.views,
    )
    module = PhotosToAnswers(recogniser.network.embedder, Head(model))
    graph = onnx.load_from_string(as_onnx(module, *preprocessing.size))
    if refers_to_files(graph):
        raise LowshotError("the file would be larger than 2 GB, the most that one ONNX file can hold")
    graph.producer_name, graph.producer_version = "lowshot", __version__
    onnx.helper.set_model_props(graph, {METADATA_KEY: about.model_dump_json()})
    content = graph.SerializeToString()
    found = _compared(recogniser, model, about, content, graph)
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return Exported(target, *found)


def exportable_classifiers() -> list[str]:
    """The registered names of the classifiers that can be exported."""
    return [
        entry.name
        for entry in CLASSIFIERS
        if isinstance(entry.factory, type)
        and issubclass(entry.factory, LowShotClassifier)
        and entry.factory._as_torch is not LowShotClassifier._as_torch
    ]


def _check_exportable(model: Model) -> None:
    if type(model.classifier)._as_torch is LowShotClassifier._as_torch:
        raise InputError(
            f"classifier {model.state.classifier.name} has no form in ONNX; these have: "
            f"{', '.join(exportable_classifiers())}"
        )
    if (views := model.state.backbone.views) not in ("one", "flip"):
        raise InputError(
            f"a recogniser with views {views} takes several crops of a photo, and an ONNX file one array of pixels: "
            "make one with views one or flip"
        )


def _compared(recogniser: Recogniser, model: Model, about: About, content: bytes, graph: Any) -> tuple[int, int, float]:
    """Compare the answers of an ONNX model with those of a recogniser.

    Returns:
        The numbers of photos and of images that were compared, and the largest difference.

    Raises:
        LowshotError: They differ.
    """
    onnx, _ = onnx_packages("onnx.utils", "onnxruntime")
    features = model.examples.features
    head = onnx.Extractor(graph).extract_model([FEATURES], _ANSWERS)
    session = onnx_session(head.SerializeToString())
    worst = 0.0
    for start in range(0, len(features), _HEAD_BATCH):
        batch = features[start : start + _HEAD_BATCH]
        worst = max(worst, _difference(model, batch, session.run(_ANSWERS, {FEATURES: batch})))
    session = onnx_session(content)
    n_images = 0
    with recogniser.network.embedder as embedder:
        for pixels in _batches(_images(recogniser, model, about)):
            own = embedder.features(torch.from_numpy(pixels).permute(0, 3, 1, 2))
            worst = max(worst, _difference(model, own, session.run(_ANSWERS, {PIXELS: pixels})))
            n_images += len(pixels)
    return len(features), n_images, worst


def _difference(model: Model, features: np.ndarray, found: list[np.ndarray]) -> float:
    """The largest difference of what an ONNX model found from the answers of a recogniser for the same photos."""
    probabilities, unknown, similarity = found
    expected, similarities = model.probabilities(features), model.similarity(features)
    answers = probabilities.argmax(axis=1)
    # Where two classes are equally likely, either may be the answer; at the threshold, a photo may be unknown or not.
    missed = expected.max(axis=1) - expected[np.arange(len(expected)), answers]
    wrong = unknown != model.unknown(features, answers)
    decided = np.abs(similarities - model.state.unknown_at)[wrong]
    differences = [np.abs(expected - probabilities), missed, np.abs(similarities - similarity), decided]
    worst = [float(one.max()) for one in differences if one.size]
    largest = max(worst)
    if not largest <= TOLERANCE:
        raise LowshotError(
            f"the ONNX file was not kept: its answers differ from the recogniser's by {largest:.2g}, more than "
            f"{TOLERANCE:g}"
        )
    return largest


def _images(recogniser: Recogniser, model: Model, about: About) -> Iterator[np.ndarray]:
    """Pixels of random images, and of the thumbnails of photos."""
    rng = np.random.default_rng(0)
    height, width = about.preprocessing.size
    for _ in range(_RANDOM_IMAGES):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        yield np.array(Image.fromarray(coarse).resize((width, height)))
    rows = model.examples.rows
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_THUMBNAILS)).astype(int)] if len(rows) else rows
    for thumbnail in read_thumbnails(recogniser.folder, chosen.tolist()):
        if thumbnail:
            yield np.array(pixels_of(Image.open(io.BytesIO(thumbnail)).convert("RGB"), about.preprocessing))


def _batches(images: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    for image in batch:  # as batches of one
        yield image[None].copy()
