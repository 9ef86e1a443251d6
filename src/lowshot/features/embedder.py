"""An embedder: images to features, with the views, the inference engine and the precision of a recipe."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from lowshot.checks import check_choice
from lowshot.data.transforms import Transforms
from lowshot.devices import device_of_process
from lowshot.errors import LowshotError
from lowshot.features.engines import AUTOCAST, ENGINES, InferenceEngine
from lowshot.features.engines.choice import LEAST_IMAGES, choose_engine
from lowshot.features.views import VIEWS, described_views, mean_of_views, views_transform
from lowshot.files import fingerprint
from lowshot.representation import trunk_fingerprint

BATCH = 64


class Embedder:
    """Computes features of images with a frozen backbone.

    Within a ``with`` block the engine is kept ready between calls::

        with Embedder(backbone, transforms) as embedder:
            features = embedder.embed(images)

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features), and ``feature_dim`` is D. It is copied
            when the first images come, and left as it is.
        transforms (Transforms): The transforms, of which ``eval`` and ``normalize`` are used.
        engine (str): ``"torch"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"``.
        precision (str): ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"`` or ``"auto"``.
        views (str): ``"one"`` for the image as the transforms make it, ``"flip"`` for the mean feature of the image
            and its mirror image, ``"five_crop"`` for that of its four corners and its centre, ``"ten_crop"`` for that
            of these five and their mirror images, ``"affine"`` for that of the five and of the centres of eight
            distorted images: turned by 10 degrees to either side, sheared by 0.2 along x and along y to either side,
            0.85 and 1.15 times as large.
        device (torch.device or None): The device; None takes the first GPU, or the CPU where there is none.

    Attributes:
        dim (int): The dimension D of the features.
        transform (callable): The function from an RGB image to the pixels that :meth:`features` takes.

    Raises:
        InputError: A setting is unknown, or the transforms have no margin to take crops from.
    """

    def __init__(
        self,
        backbone: torch.nn.Module,
        transforms: Transforms,
        *,
        engine: str = "auto",
        precision: str = "auto",
        views: str = "one",
        device: torch.device | None = None,
    ) -> None:
        check_choice("engine", engine, ("auto", *ENGINES))
        check_choice("precision", precision, ("auto", *AUTOCAST))
        check_choice("views", views, VIEWS)
        self.backbone = backbone
        self.transforms = transforms
        self.views = views
        self.dim = int(backbone.feature_dim)  # type: ignore[arg-type]
        self.transform = views_transform(transforms.eval, views)
        self.described_views = described_views(transforms.eval, views)
        self._wanted = engine, precision
        self._asked_precision = precision
        self._settled = False
        self._device = device
        self._engine: InferenceEngine | None = None
        self._block: contextlib.ExitStack | None = None

    @property
    def engine(self) -> str:
        """The name of the engine that computes; "auto" until the first images decide."""
        return self._wanted[0] if self._engine is None else self._engine.name

    @property
    def precision(self) -> str:
        """The precision that the engine computes in; "auto" until the first images decide."""
        return self._wanted[1] if self._engine is None else self._engine.precision

    @cached_property
    def trunk_fingerprint(self) -> str:
        """The digest of the network that makes the features: architecture and weights, without the classifier."""
        return trunk_fingerprint(self.backbone)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the features depend on: trunk, preprocessing, views and precision.

        Two embedders with the same fingerprint make interchangeable features. The engine is no part of it, since every
        engine must agree with torch, and ``"auto"`` counts as ``"32-true"``, since it takes a reduced precision only
        where that agrees with float32.
        """
        precision = "32-true" if self._asked_precision == "auto" else self._asked_precision
        return fingerprint(self.trunk_fingerprint, self.transforms.preprocessing, self.described_views, precision)

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Compute the features of RGB images of any sizes.

        Args:
            images (sequence of N images): The images, of mode RGB.

        Returns:
            (float32, (N, D)): The features.

        Raises:
            LowshotError: The network gives NaN or infinity for an image.
        """
        features = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), BATCH):
            pixels = torch.stack([self.transform(image) for image in images[start : start + BATCH]])
            self.decide(pixels, len(images))
            features[start : start + len(pixels)] = self.features(pixels)
        if len(bad := np.flatnonzero(~np.isfinite(features).all(axis=1))):
            raise LowshotError(f"the backbone gives NaN or infinity for image {bad[0]} of {len(images)}")
        return features

    def decide(self, pixels: torch.Tensor, n_images: int) -> None:
        """Choose and prepare the engine, unless that was done before.

        Args:
            pixels (uint8, (N, 3, H, W) or (N, V, 3, H, W)): The first images, as :attr:`transform` makes them.
            n_images (int): The number of images that will come, these included. For a few ``"auto"`` takes torch,
                which needs no time to start.

        Raises:
            InputError: The wanted engine is not installed, or gives other features than torch.
            ExportError: The backbone cannot be exported for the wanted engine.
        """
        if self._engine is None:
            device = self._device or device_of_process(None)
            if self._settled:
                engine, precision = self._wanted
                self._start(ENGINES[engine](self.backbone, self.transforms.normalize, precision, device))
                return
            size = pixels.shape[-3:]
            n_pixels = n_images * pixels[0].numel() // size[0]
            n_pixels = 0 if n_images < LEAST_IMAGES else n_pixels
            chosen = choose_engine(
                self.backbone,
                self.transforms.normalize,
                pixels.reshape(-1, *size),
                self._wanted,
                n_pixels,
                device,
                self.trunk_fingerprint,
            )
            self._start(chosen)

    def features(self, pixels: torch.Tensor) -> np.ndarray:
        """Compute the features of images that :attr:`transform` made.

        Args:
            pixels (uint8, (N, 3, H, W) or (N, V, 3, H, W)): The images, or their views.

        Returns:
            (float32, (N, D)): The features, not checked for NaN and infinity.
        """
        if self._engine is None:
            self.decide(pixels, len(pixels))
        assert self._engine is not None
        with self._engine if self._block is None else contextlib.nullcontext():
            return mean_of_views(self._engine, pixels, self.views)

    def settle(self, engine: str, precision: str) -> None:
        """Use an engine and a precision that were chosen before, without a comparison."""
        if self._engine is not None and (self._engine.name, self._engine.precision) != (engine, precision):
            self._engine = None
        self._wanted, self._settled = (engine, precision), True

    def on(self, device: torch.device) -> Self:
        """Return the same embedder for a device."""
        other = copy.copy(self)
        if device != (self._device or device_of_process(None)):
            other._engine = None
        other._device, other._block = device, None
        return other

    def _start(self, engine: InferenceEngine) -> None:
        self._engine = engine
        if self._block is not None:
            self._block.enter_context(engine)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None, "_block": None}

    def __enter__(self) -> Self:
        self._block = contextlib.ExitStack()
        if self._engine is not None:
            self._block.enter_context(self._engine)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._block is not None
        self._block.close()
        self._block = None
