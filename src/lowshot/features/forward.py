"""Run a backbone for inference, while the next batches load."""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar, cast

import numpy as np
import torch

from lowshot.features.folding import fold_batch_norm

T = TypeVar("T")

AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Forward:
    """Computes features of images with a copy of a backbone.

    It is a context manager, because autocast reuses its rounded copies of the weights from batch to batch within one
    context.

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features).
        normalize (Module): The float part of the transforms.
        precision (str): A key of ``AUTOCAST``.
        device (torch.device): The device of the copy.
    """

    def __init__(
        self, backbone: torch.nn.Module, normalize: torch.nn.Module, precision: str, device: torch.device
    ) -> None:
        self.device = device
        self.dtype = AUTOCAST[precision]
        self.normalize = copy.deepcopy(normalize).to(device)
        self.model = copy.deepcopy(backbone).eval().to(device)
        self.model.to(memory_format=torch.channels_last)
        self._folded = False

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(torch.inference_mode())
        self._stack.enter_context(torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        """Compute the features (N, D) float32 of images (N, 3, H, W) uint8."""
        # Reordered after normalising, which takes five times as long with channels last.
        images = self.normalize(images.to(self.device, non_blocking=True))
        images = images.contiguous(memory_format=torch.channels_last)
        if not self._folded:
            self.model = fold_batch_norm(self.model, images[:2])
            self._folded = True
        _, features = self.model(images)
        return features.float().cpu().numpy()


def ahead(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the same items, each made up to ``depth`` ahead in a thread; decoding and the model release the GIL."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, iterator, end))
            yield cast(T, item)
