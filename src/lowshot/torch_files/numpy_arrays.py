"""Numpy arrays inside torch files, read without numpy's own unpickling.

Files from before torch had ``weights_only`` often hold an array or a numpy number beside the tensors. ``torch.load``
refuses those, and numpy's own rebuilding would hand the file control over object types. Here the names of numpy that a
pickle may call lead to the stand-ins below instead: they note the shape, the type and the bytes, and :func:`restored`
makes arrays of numbers from them and nothing else.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np


class _Type:
    """What a pickle says of an element type."""

    def __init__(self, code: str, align: Any = False, copy: Any = False) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def numbers(self) -> np.dtype:
        code = self.code if isinstance(self.code, str) else ""
        if not re.fullmatch(r"[biuf]\d+", code) or self.order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of {self.code!r} holds more than numbers")
        return np.dtype(self.order + code)


class _Array:
    """What a pickle says of an array."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.shape: tuple[int, ...]
        self.type: _Type
        _, self.shape, self.type, self.by_columns, self.content = state

    def array(self) -> np.ndarray:
        kind = self.type.numbers()
        flat = np.frombuffer(_bytes(self.content), kind)
        return flat.reshape(self.shape, order="F" if self.by_columns else "C").copy()


class _Number:
    """What a pickle says of a numpy number."""

    def __init__(self, type: _Type, content: Any) -> None:
        self.type, self.content = type, content

    def number(self) -> Any:
        kind = self.type.numbers()
        return np.frombuffer(_bytes(self.content), kind).item()


def _reconstruct(subtype: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _no_bytes() -> bytes:
    """Protocol 2 writes empty bytes as a call."""
    return b""


def _bytes(content: Any) -> bytes:
    """Python 2 wrote bytes as text."""
    return content.encode("latin-1") if isinstance(content, str) else bytes(content)


def stand_ins() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What ``torch.serialization.safe_globals`` takes: the stand-ins under every name numpy has had for them."""
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (_Type, "numpy.dtype"),
        (_Array, "numpy.ndarray"),
        (_no_bytes, "builtins.bytes"),
    ]
    for package in ("numpy.core", "numpy._core"):
        found += [(_reconstruct, f"{package}.multiarray._reconstruct"), (_Number, f"{package}.multiarray.scalar")]
    return found


def restored(value: Any) -> Any:
    """``value`` with arrays and numbers in place of their stand-ins; containers are changed in place."""
    if isinstance(value, _Array):
        return value.array()
    if isinstance(value, _Number):
        return value.number()
    if isinstance(value, dict):
        for key in value:
            value[key] = restored(value[key])
    elif isinstance(value, list):
        value[:] = map(restored, value)
    elif isinstance(value, tuple):
        return tuple(map(restored, value))
    return value
