"""Read NumPy arrays inside torch files without NumPy's own unpickling.

Files from before torch had ``weights_only`` often hold an array or a NumPy number next to the tensors. ``torch.load``
refuses those, and NumPy's own unpickling would let the file choose which types are made. Here the NumPy names that a
pickle may use lead to placeholders, which record shape, dtype and bytes; :func:`restore_arrays` turns them into arrays
of numbers and nothing else.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np


class _Dtype:
    """The placeholder of a dtype."""

    def __init__(self, code: str, align: Any = False, copy: Any = False) -> None:
        self.code, self.byte_order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byte_order = state[1]

    def to_numpy(self) -> np.dtype:
        code = self.code if isinstance(self.code, str) else ""
        if not re.fullmatch(r"[biuf]\d+", code) or self.byte_order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of {self.code!r} holds more than numbers")
        return np.dtype(self.byte_order + code)


class _Array:
    """The placeholder of an array."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.shape: tuple[int, ...]
        self.dtype: _Dtype
        _, self.shape, self.dtype, self.fortran_order, self.content = state

    def to_numpy(self) -> np.ndarray:
        dtype = self.dtype.to_numpy()  # first: it refuses anything but numbers
        flat = np.frombuffer(as_bytes(self.content), dtype)
        return flat.reshape(self.shape, order="F" if self.fortran_order else "C").copy()


class _Scalar:
    """The placeholder of a NumPy number."""

    def __init__(self, dtype: _Dtype, content: Any) -> None:
        self.dtype, self.content = dtype, content

    def to_python(self) -> Any:
        dtype = self.dtype.to_numpy()
        return np.frombuffer(as_bytes(self.content), dtype).item()


def _reconstruct(subtype: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    """Protocol 5 names the parts of an array in a call."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", content))
    return array


def _empty_bytes() -> bytes:
    """Protocol 2 writes empty bytes as a call."""
    return b""


def as_bytes(content: Any) -> bytes:
    """Python 2 wrote bytes as text."""
    return content.encode("latin-1") if isinstance(content, str) else bytes(content)


def safe_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """The placeholders under every name NumPy has had for them, as ``torch.serialization.safe_globals`` takes them."""
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (_Dtype, "numpy.dtype"),
        (_Array, "numpy.ndarray"),
        (_empty_bytes, "builtins.bytes"),
    ]
    for package in ("numpy.core", "numpy._core"):
        found += [(_reconstruct, f"{package}.multiarray._reconstruct"), (_Scalar, f"{package}.multiarray.scalar")]
        found.append((_from_buffer, f"{package}.numeric._frombuffer"))
    return found


def restore_arrays(value: Any) -> Any:
    """Replace the placeholders in a loaded value by arrays and numbers; containers are changed in place."""
    if isinstance(value, _Array):
        return value.to_numpy()
    if isinstance(value, _Scalar):
        return value.to_python()
    if isinstance(value, dict):
        for key in value:
            value[key] = restore_arrays(value[key])
    elif isinstance(value, list):
        value[:] = map(restore_arrays, value)
    elif isinstance(value, tuple):
        return tuple(map(restore_arrays, value))
    return value
