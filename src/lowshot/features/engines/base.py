"""The interface of an inference engine: a context manager that turns images into features."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import torch


class InferenceEngine:
    """Computes the features of images with a copy of a backbone.

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features), and ``feature_dim`` is D. It is left as
            it is.
        normalize (Module): The module that turns uint8 images into normalised floats.
        precision (str): A key of ``AUTOCAST``.
        device (torch.device): The device to compute on.

    Raises:
        InputError: The engine is not installed, or knows no such precision or device.

    Attributes:
        name (str): The name of the engine.
        precisions (tuple of str): The precisions that it knows.
        precision (str): The precision that it computes in.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    precision: str

    def __init__(
        self, backbone: torch.nn.Module, normalize: torch.nn.Module, precision: str, device: torch.device
    ) -> None:
        raise NotImplementedError

    @classmethod
    def installed(cls) -> bool:
        """True where the engine's package is installed."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        """Compute the features (N, D) float32 of images (N, 3, H, W) uint8.

        Raises:
            ExportError: The backbone has no form for this engine.
        """
        raise NotImplementedError
