"""A backbone as an ONNX model from pixels to features, for engines other than torch."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from lowshot.errors import LowshotError

INPUT, OUTPUT = "images", "features"
_OPSET = 17  # the first with layer normalisation


class ExportError(LowshotError):
    """The backbone has no ONNX form."""


class _PixelsToFeatures(torch.nn.Module):
    """The part of a backbone that makes features, with the normalisation before it."""

    def __init__(self, backbone: torch.nn.Module, normalize: torch.nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.backbone(self.normalize(images))[1]
        return features


def onnx_model(backbone: torch.nn.Module, normalize: torch.nn.Module, images: torch.Tensor) -> bytes:
    """Export a backbone with its normalisation to ONNX.

    torch's exporter by tracing comes first: it takes two seconds where the one by ``torch.export``, which needs
    onnxscript, takes ten.

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features).
        normalize (Module): The module that turns uint8 images into normalised floats.
        images (uint8, (N, 3, H, W)): Images of the size that the model is for; N becomes variable.

    Returns:
        The model, whose input ``INPUT`` is (N, 3, H, W) uint8 and whose output ``OUTPUT`` is (N, D) float32.

    Raises:
        ExportError: Neither exporter can.
    """
    model = copy.deepcopy(_PixelsToFeatures(backbone, normalize)).cpu().eval()
    example = images[:1].expand(2, -1, -1, -1).contiguous()
    reason = ""
    for export in (_traced, _exported):
        try:
            with torch.no_grad(), _quiet():
                return export(model, example)
        except Exception as error:  # exporters fail in any way
            reason = reason or " ".join(str(error).split())[:200] or type(error).__name__
    raise ExportError(f"{type(backbone).__name__} cannot be exported to ONNX: {reason}")


def _traced(model: torch.nn.Module, example: torch.Tensor) -> bytes:
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            opset_version=_OPSET,
        )
        return path.read_bytes()


def _exported(model: torch.nn.Module, example: torch.Tensor) -> bytes:
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        verbose=False,
    )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A block without the exporters' warnings and log lines."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
