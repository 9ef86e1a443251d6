"""Fitted classifiers and generators as safetensors files: arrays as tensors, everything else as JSON in the metadata.

Reading such a file runs no code that the file could bring along, and nothing in it is trusted: the header
is checked by a pydantic model of its format, arrays are numbers without NaN and infinity, and :class:`LearnedState`
compares the shape of each with what the estimator expects.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from lowshot.errors import InputError
from lowshot.files import Pathlike, is_file, write_bytes

if TYPE_CHECKING:
    from pydantic import BaseModel

    Header = TypeVar("Header", bound=BaseModel)

# The one entry of the metadata that holds the header: the order of several would differ from file to file.
_ENTRIES = {"generator": "lowshot", "classifier": "classifier"}


def write_estimator(path: Pathlike, kind: str, header: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a fitted estimator atomically. Equal headers and arrays give equal bytes.

    Args:
        path (path-like): The file.
        kind (str): "generator" or "classifier".
        header (str): Everything but the arrays, as JSON.
        arrays (Mapping of str to array): The arrays by name.

    Raises:
        InputError: An array holds NaN or infinity.
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(
                f"the {kind} is not saved in {path}: {name} holds NaN or infinity, as after a training with steps that "
                "were too long; fit it with a lower learning rate or scaled features"
            )
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, safetensors.numpy.save(tensors, metadata={_ENTRIES[kind]: header}))


def read_estimator(
    path: Pathlike, kind: str, model: type[Header], *formats: str
) -> tuple[Header, dict[str, np.ndarray]]:
    """The header and the arrays of a file that :func:`write_estimator` wrote.

    Args:
        path (path-like): The file.
        kind (str): "generator" or "classifier".
        model (type): The pydantic model of the header.
        formats (str): The known values of the header's ``format``.

    Raises:
        InputError: The file is missing, truncated, of another kind or of an unknown format, its header is not as
            ``model`` says, or an array holds NaN or infinity.
    """
    from pydantic import ValidationError

    metadata, arrays = _read(path, f"{kind} file ", with_arrays=True)
    header: Any = metadata
    if _ENTRIES[kind] in metadata and "format" not in metadata:
        try:
            header = json.loads(metadata[_ENTRIES[kind]])
        except (ValueError, RecursionError) as error:
            raise InputError(f"{kind} file {path} has a header that is not JSON: {error}") from None
    if not isinstance(header, dict) or header.get("format") not in formats:
        raise InputError(f"{path} is a safetensors file, but not a {kind} that lowshot saved")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise InputError(f"{kind} file {path}: array {name!r} has dtype {array.dtype}, which is none of numbers")
        if not np.isfinite(array).all():
            raise InputError(f"{kind} file {path}: array {name!r} holds NaN or infinity; fit and save the {kind} again")
    try:
        return model.model_validate(header), arrays
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        text = first["msg"]
        text = text if text[:2].isupper() else text[0].lower() + text[1:]  # JSON stays JSON
        message = f"{text}, got {_short(first['input'])}"
        raise InputError(f"{kind} file {path} has a header that lowshot never writes: {where}: {message}") from None


def check_attribute(source: str, kind: type, name: str) -> None:
    """Refuse the name of a learned attribute that would hide something else of the estimator.

    Args:
        source (str): The beginning of the message, such as the file.
        kind (type): The class of the estimator.
        name (str): The name.

    Raises:
        InputError: It is no name, or it is the name of a method or of a setting of the class.
    """
    if not name.isidentifier() or name.startswith("__") or hasattr(kind, name):
        raise InputError(f"{source}: {_short(name)} is no name of a fitted attribute of {kind.__name__}")


class LearnedState:
    """Checks of what a fitted estimator that came from a file has learned.

    Shapes are numbers and letters; a letter stands for the same number everywhere, which the first array with it gives.
    Every check raises an InputError that begins with ``source``.

    Args:
        source (str): The beginning of every message, such as the file.
        estimator (object): The estimator with its learned attributes.
        sizes (int): The known letters, such as ``D``.
    """

    def __init__(self, source: str, estimator: Any, **sizes: int) -> None:
        self.source = source
        self.estimator = estimator
        self.sizes = dict(sizes)

    def has(self, name: str) -> bool:
        """True if the estimator has an attribute of its own with this name."""
        return name in vars(self.estimator)

    def value(self, name: str) -> Any:
        """The attribute ``name``.

        Raises:
            InputError: There is none.
        """
        if not self.has(name):
            raise InputError(f"{self.source} lacks {name}, so it cannot be used: fit it and save it again")
        return vars(self.estimator)[name]

    def array(self, name: str, *shape: str | int) -> np.ndarray:
        """The array of floats ``name``, of this shape."""
        return self.check(name, self.value(name), *shape)

    def counts(self, name: str, size: str | int, total: int | None = None) -> np.ndarray:
        """The (size,) integers ``name``, each at least 1 and in all ``total``."""
        return self.check_counts(name, self.value(name), size, total)

    def parts(self, name: str, count: int) -> tuple[Any, ...]:
        """The tuple ``name``, of ``count`` values."""
        value = self.value(name)
        if not isinstance(value, tuple) or len(value) != count:
            raise InputError(f"{self.source}: {name} must be a tuple of {count}")
        return value

    def number(self, name: str) -> float:
        """The finite number ``name``."""
        value = self.value(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise InputError(f"{self.source}: {name} must be a finite number, not {_short(value)}")
        return float(value)

    def check(self, name: str, value: Any, *shape: str | int, whole: bool = False) -> np.ndarray:
        """``value`` as an array of this shape, of integers if ``whole``; the arguments as :meth:`array` has them."""
        kinds, words = ("iu", "integers") if whole else ("f", "floats")
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
            raise InputError(f"{self.source}: {name} must be an array of {words}, not {_described(value)}")
        known = [self.sizes.get(size, size) if isinstance(size, str) else size for size in shape]
        if value.ndim != len(shape) or any(isinstance(n, int) and n != m for n, m in zip(known, value.shape)):
            expected = ", ".join(map(str, known))
            raise InputError(f"{self.source}: {name} has shape {value.shape}, but ({expected}) is expected there")
        self.sizes |= {size: length for size, length in zip(shape, value.shape) if isinstance(size, str)}
        return value

    def check_counts(self, name: str, value: Any, size: str | int, total: int | None = None) -> np.ndarray:
        """``value`` as :meth:`counts` has it."""
        counts = self.check(name, value, size, whole=True)
        if (counts < 1).any() or (total is not None and int(counts.sum()) != total):
            wanted = "each at least 1" + ("" if total is None else f" and together {total}")
            raise InputError(f"{self.source}: {name} must be counts, {wanted}")
        return counts

    def check_codes(self, name: str, value: Any, size: str | int, below: int) -> np.ndarray:
        """``value`` as a (size,) array of class numbers from 0 to ``below`` - 1."""
        codes = self.check(name, value, size, whole=True)
        if len(codes) and (codes.min() < 0 or codes.max() >= below):
            raise InputError(f"{self.source}: {name} must be numbers of classes, from 0 to {below - 1}")
        return codes


def estimator_kind(path: Pathlike) -> str | None:
    """The kind of estimator in a safetensors file, "generator" or "classifier"; None for a file of anything else.

    Raises:
        InputError: The file is missing or truncated.
    """
    metadata, _ = _read(path, "")
    return next((kind for kind, entry in _ENTRIES.items() if entry in metadata), None)


def _read(path: Pathlike, what: str, with_arrays: bool = False) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    if not is_file(path):
        raise InputError(f"{what}{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys() if with_arrays else ()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{what}{path} is truncated or not a safetensors file: {error}") from None
    except (TypeError, AttributeError) as error:  # of a type that numpy does not have, such as bfloat16
        raise InputError(f"{what}{path} holds an array of a type that lowshot never writes: {error}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _described(value: Any) -> str:
    return f"one of {value.dtype}" if isinstance(value, np.ndarray) else _short(value)
