"""The base of engines that compute an exported model on the CPU."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

import numpy as np
import torch

from lowshot.errors import InputError
from lowshot.features.engines.base import InferenceEngine
from lowshot.features.engines.export import onnx_model


class ExportedEngine(InferenceEngine):
    """An engine for an ONNX model, which is made from the backbone when the first images come.

    Subclasses implement :meth:`_load` and :meth:`_run`.

    Attributes:
        exported (bytes or None): The ONNX model to use, where it is known before the first images.
    """

    package: ClassVar[str]
    extra: ClassVar[str]

    def __init__(
        self, backbone: torch.nn.Module, normalize: torch.nn.Module, precision: str, device: torch.device
    ) -> None:
        if not self.installed():
            raise InputError(
                f"engine {self.name} needs the package {self.package}: pip install 'lowshot[{self.extra}]'"
            )
        if device.type != "cpu":
            raise InputError(f"engine {self.name} computes on the CPU: use engine torch on {device.type}")
        if precision not in self.precisions:
            raise InputError(
                f"engine {self.name} has no precision {precision!r}: expected {' or '.join(self.precisions)}"
            )
        self.precision = precision
        self._network: tuple[torch.nn.Module, torch.nn.Module] = backbone, normalize
        self._model: Any = None
        self.exported: bytes | None = None

    @classmethod
    def installed(cls) -> bool:
        return importlib.util.find_spec(cls.package) is not None

    def export(self, images: torch.Tensor) -> bytes:
        """Export the backbone for images (N, 3, H, W) uint8 of this size; the result may be given to other engines.

        Raises:
            ExportError: The backbone has no ONNX form.
        """
        with torch.inference_mode(False):
            return onnx_model(*self._network, images.clone())

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        if self._model is None:
            self._model = self._load(self.exported or self.export(images), torch.get_num_threads())
            self.exported = None
        return self._run(np.ascontiguousarray(images.cpu().numpy()))

    def _load(self, model: bytes, threads: int) -> Any:
        """Prepare an ONNX model for this many threads."""
        raise NotImplementedError

    def _run(self, images: np.ndarray) -> np.ndarray:
        """Compute the features (N, D) float32 of images (N, 3, H, W) uint8."""
        raise NotImplementedError
