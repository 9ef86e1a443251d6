"""Where the tensor work runs."""

from __future__ import annotations

import torch

from lowshot.errors import InputError


def pick_device(name: str) -> str:
    """``name`` if torch can use it; for "auto" a GPU where there is one, else the CPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used here: {reason}. Use 'auto' or 'cpu'") from None
    return name
