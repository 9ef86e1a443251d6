"""Images of a data set → features, batch by batch, loading ahead of the model."""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar, cast

import numpy as np
import torch

from lowshot.data.base import ImageDataset
from lowshot.data.loading import make_loader
from lowshot.data.transforms import Transforms
from lowshot.errors import InputError

T = TypeVar("T")

AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def feature_batches(
    backbone: torch.nn.Module,
    dataset: ImageDataset,
    transforms: Transforms,
    rows: range,
    *,
    batch_size: int,
    precision: str,
    workers: int | Literal["auto"],
    device: torch.device,
) -> Iterator[np.ndarray]:
    """(n, D) float32 features of ``rows``, n = ``batch_size`` but for the last; the backbone itself is left alone.

    Raises:
        InputError: an image cannot be read, or the backbone gives NaN or infinity for one.
    """
    forward = Forward(backbone, transforms.normalize, precision, device)
    loader = make_loader(dataset.subset(rows), transforms.eval, batch_size, workers=workers)
    with contextlib.closing(ahead(loader)) as batches:
        for images, _, numbers in batches:
            features = forward(images)
            if not np.isfinite(features).all():
                bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
                row = rows[int(numbers[bad[0]])]
                raise InputError(f"the backbone gives NaN or infinity for image {dataset.paths[row]} (row {row})")
            yield features


class Forward:
    """A backbone ready for inference: uint8 images in, float32 features out."""

    def __init__(
        self, backbone: torch.nn.Module, normalize: torch.nn.Module, precision: str, device: torch.device
    ) -> None:
        self.device = device
        self.dtype = AUTOCAST[precision]
        self.normalize = copy.deepcopy(normalize).to(device)
        model = copy.deepcopy(backbone).eval().to(device)
        self.model = model.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> np.ndarray:
        """(N, D) float32 features of (N, 3, H, W) uint8 images."""
        images = self.normalize(images.to(self.device, non_blocking=True))
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            _, features = self.model(images.contiguous(memory_format=torch.channels_last))
        return features.float().cpu().numpy()


def ahead(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """The same items, each made up to ``depth`` ahead in a thread: decoding and the model release the GIL."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, iterator, end))
            yield cast(T, item)
