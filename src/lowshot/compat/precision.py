"""Float32 throughout, as the original computes."""

from __future__ import annotations

PRECISION = "32-true"
"""The name that training and extraction have for float32."""


def only_float32() -> None:
    """Keep matrix products and convolutions of this process in float32: no bfloat16, and no TF32 on a GPU."""
    import torch

    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
