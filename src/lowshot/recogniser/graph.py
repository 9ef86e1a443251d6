"""A recogniser as one torch module, from the pixels of photos to probabilities, and that module as an ONNX graph."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lowshot.classifiers.torch_modules import linear_layer, unit_rows
from lowshot.classifiers.transforms import unit_rows as numpy_unit_rows
from lowshot.errors import LowshotError
from lowshot.features import Embedder
from lowshot.recogniser.model import Model
from lowshot.recogniser.onnx_format import FEATURES, PIXELS, PROBABILITIES, SIMILARITY, UNKNOWN

OUTPUTS = [PROBABILITIES, UNKNOWN, SIMILARITY, FEATURES]

OPSET = 17
"""The version of the ONNX operators, which runtimes have had since 2022."""


class Head(nn.Module):
    """From (N, D) features to probabilities (N, C), whether each photo is unknown (N,) bool, and similarities (N,).

    Args:
        model (Model): The model of a recogniser.
    """

    first: torch.Tensor
    second: torch.Tensor
    is_taught: torch.Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.scores = model.classifier.as_torch()
        self.temperature = model.state.temperature
        # A class has one column of the classifier, or two, of which the larger score counts.
        sources = [np.flatnonzero(model.columns == column) for column in range(len(model.classes))]
        self.register_buffer("first", torch.tensor([int(own[0]) for own in sources]))
        self.register_buffer("second", torch.tensor([int(own[-1]) for own in sources]))
        plain = np.array_equal(model.columns, np.arange(len(model.classes)))
        self.joins = not plain
        self.register_buffer("is_taught", torch.from_numpy(model.is_taught))
        self.unknown_at = model.state.unknown_at
        self.cosines = linear_layer(numpy_unit_rows(model.means)) if model.is_taught.any() else None

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scores = self.scores(features)
        if self.joins:
            scores = torch.maximum(scores.index_select(1, self.first), scores.index_select(1, self.second))
        if self.cosines is None:
            similarity = torch.full_like(features[:, 0], -1.0)
        else:
            similarity = self.cosines(unit_rows(features)).amax(dim=1)
        unknown = self.is_taught.index_select(0, scores.argmax(dim=1)) & (similarity < self.unknown_at)
        return (scores / self.temperature).softmax(dim=1), unknown, similarity


class PhotosToAnswers(nn.Module):
    """From (N, H, W, 3) uint8 pixels to what :class:`Head` gives, and the features (N, D).

    Args:
        embedder (Embedder): The embedder of a recogniser, with one view of a photo or two.
        head (Head): The rest.
    """

    def __init__(self, embedder: Embedder, head: Head) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(embedder.backbone).cpu()
        self.normalize = copy.deepcopy(embedder.transforms.normalize).cpu()
        self.flip = embedder.views == "flip"
        self.head = head

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images = self.normalize(pixels.permute(0, 3, 1, 2).float())
        features = self.backbone(images)[1]
        if self.flip:
            features = (features + self.backbone(images.flip(-1))[1]) / 2
        return (*self.head(features), features)


def as_onnx(module: PhotosToAnswers, height: int, width: int) -> bytes:
    """Export the module for pixels of a size and any number of photos.

    Args:
        module (PhotosToAnswers): The module.
        height (int): The height of the pixels.
        width (int): Their width.

    Raises:
        LowshotError: The network has no form in ONNX.
    """
    example = torch.randint(0, 256, (2, height, width, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    reason = ""
    # The exporter that traces takes two seconds where the one by torch.export takes ten.
    for settings in (
        {"dynamo": False, "dynamic_axes": {name: {0: "n"} for name in (PIXELS, *OUTPUTS)}, "opset_version": OPSET},
        {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim("n")},), "external_data": False, "verbose": False},
    ):
        with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
            path = Path(folder) / "recogniser.onnx"
            try:
                with torch.no_grad(), _quiet():
                    torch.onnx.export(
                        module.eval(),
                        (example,),
                        path,
                        input_names=[PIXELS],
                        output_names=OUTPUTS,
                        **settings,  # type: ignore[arg-type]
                    )
                return path.read_bytes()
            except Exception as error:  # exporters fail in any way
                reason = reason or " ".join(str(error).split())[:300] or type(error).__name__
    raise LowshotError(f"the network or the classifier has no form in ONNX: {reason}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A block without the exporter's warnings and log lines."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints the graph when it fails
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
