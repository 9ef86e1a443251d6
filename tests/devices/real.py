"""A real GPU in the form of :class:`tests.devices.faked.Faked`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
import torch


class Real:
    """``with gpu:`` is a block in which torch finds the GPU; the fixture hides it outside."""

    def __enter__(self) -> Self:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(torch.cuda, "is_available", lambda: True)
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()
        return self

    def __exit__(self, *error: object) -> None:
        self._patch.undo()

    def check_work(self, *, float64: bool = False, on_cpu: int = 0) -> None:
        """Fail unless the block used memory of the GPU."""
        assert torch.cuda.max_memory_allocated() > self._before

    def check_close(self, found: Any, expected: Any, *, bfloat16: bool = False) -> None:
        """Fail unless two arrays agree to what TF32, or bfloat16, leaves after a few steps of training."""
        close(found, expected, 0.1 if bfloat16 else 0.02)


def close(found: Any, expected: Any, share: float) -> None:
    """Fail unless two arrays differ by at most a share of the largest value."""
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * max(1e-6, float(np.abs(expected).max())))
