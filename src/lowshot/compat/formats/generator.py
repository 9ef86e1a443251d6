"""``generator.tar``: the original's analogy-based generator, as it is stored and as an :class:`AnalogyGenerator`.

The file is a torch-saved dictionary: ``model_state`` (``fc1``, ``fc2`` and ``fc3``, weight and bias each),
``concatenated_centroids`` (classes · clusters, D), ``num_base_classes`` and ``num_clusters_per_class``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lowshot import __version__
from lowshot.checks import check_count
from lowshot.compat.formats.container import save_legacy
from lowshot.compat.stored_analogies import LAYERS, StoredAnalogies
from lowshot.errors import InputError
from lowshot.files import Pathlike, fingerprint
from lowshot.torch_files import load_torch

if TYPE_CHECKING:
    from lowshot.hallucination import AnalogyGenerator

_KEYS = ("model_state", "concatenated_centroids", "num_base_classes", "num_clusters_per_class")
_PARTS = ("weight", "bias")
_NAMES = tuple(f"{layer}.{part}" for layer in LAYERS for part in _PARTS)


def read_stored(path: Pathlike) -> StoredAnalogies:
    """Read a ``generator.tar`` as it is: every class has the same number of centroids.

    Raises:
        InputError: The file is missing, truncated, holds code or no generator, or its parts do not fit together.
    """
    return parse_stored(load_torch(path, "generator"), f"generator {path}")


def read_generator(path: Pathlike) -> AnalogyGenerator:
    """Read a ``generator.tar`` into a fitted generator of lowshot; errors as :func:`read_stored`."""
    return parse_generator(load_torch(path, "generator"), f"generator {path}")


def parse_stored(content: Any, source: str) -> StoredAnalogies:
    """Check the loaded content of a ``generator.tar``; messages call it ``source``. See :func:`read_stored`."""
    if not isinstance(content, Mapping) or (lacking := [key for key in _KEYS if key not in content]):
        lacks = ", ".join(lacking) if isinstance(content, Mapping) else "all of its keys"
        raise InputError(f"{source} lacks {lacks}; a generator of the original program has {', '.join(_KEYS)}")
    centroids = _array(content["concatenated_centroids"], f"{source}: concatenated_centroids", 2)
    n_classes, n_clusters = (_count(content[key], f"{source}: {key}") for key in _KEYS[2:])
    if len(centroids) != n_classes * n_clusters:
        raise InputError(
            f"{source}: concatenated_centroids has {len(centroids)} rows, but {n_classes} classes of {n_clusters} "
            f"clusters need {n_classes * n_clusters}"
        )
    weights = _weights(content["model_state"], centroids.shape[1], source)
    return StoredAnalogies(centroids, np.full(n_classes, n_clusters, np.int64), weights)


def parse_generator(content: Any, source: str) -> AnalogyGenerator:
    """Make a fitted generator of the loaded content of a ``generator.tar``; see :func:`read_generator`.

    Centroids that fill a class up by repeating its own, as :func:`write_stored` does, are left out.
    """
    from lowshot.hallucination import AnalogyGenerator

    stored = parse_stored(content, source)
    n_classes, n_clusters = len(stored.counts), int(stored.counts[0])
    counts = [_distinct(rows) for rows in stored.centroids.reshape(n_classes, n_clusters, -1)]
    generator = AnalogyGenerator(n_clusters=n_clusters, hidden=len(stored.weights["fc1.bias"]))
    kept = np.arange(n_clusters) < np.array(counts)[:, None]
    generator.concatenated_centroids_ = np.ascontiguousarray(stored.centroids[kept.ravel()])
    generator.counts_ = np.array(counts, np.int64)
    generator.weights_ = dict(stored.weights)
    generator.n_features_in_ = stored.centroids.shape[1]
    generator.signed_ = False  # the original's network always ends in a ReLU
    generator.provenance_ = {
        "lowshot": __version__,
        "n_base_classes": n_classes,
        "generator.tar": fingerprint(stored.centroids, *stored.weights.values()),
    }
    return generator


def is_generator(content: Any) -> bool:
    """Return True for the loaded content of a torch file that has a key of an original generator."""
    return isinstance(content, Mapping) and ("concatenated_centroids" in content or "model_state" in content)


def write_generator(path: Pathlike, generator: AnalogyGenerator) -> list[str]:
    """Write a fitted generator as a ``generator.tar`` that the original program reads, under any torch.

    Args:
        path (str or path): The ``.tar``; it appears whole.
        generator (AnalogyGenerator): A fitted generator.

    Returns:
        list of str: A sentence for each thing that the file does not say as the generator did.

    Raises:
        InputError: It is not fitted, not analogies, or was fitted on features that may be negative.
    """
    from lowshot.hallucination import AnalogyGenerator

    if not isinstance(generator, AnalogyGenerator):
        raise InputError(
            f"{path} cannot be written: the original program knows no {type(generator).__name__}, only analogies"
        )
    if not hasattr(generator, "weights_"):
        raise InputError(f"{path} cannot be written: the generator is not fitted")
    if generator.signed_:
        raise InputError(
            f"{path} cannot be written: the generator was fitted on features with negative values and ends linearly, "
            "where the network of the original program always ends in a ReLU. Use it in lowshot's own format"
        )
    stored = StoredAnalogies(generator.concatenated_centroids_, generator.counts_, generator.weights_)
    return write_stored(path, stored)


def write_stored(path: Pathlike, stored: StoredAnalogies, program: str | None = None) -> list[str]:
    """Write a ``generator.tar``.

    The original has equally many clusters in every class. A class with fewer has its centroids repeated in turn, which
    :func:`read_generator` undoes.

    Args:
        path (str or path): The ``.tar``; it appears whole.
        stored (StoredAnalogies): The generator.
        program (str or None): The program that writes it; see
            :func:`~lowshot.compat.formats.container.is_written_by`.

    Returns:
        list of str: A sentence that says so where centroids were repeated.
    """
    counts = stored.counts
    most = int(counts.max())
    # Place p of class c holds its centroid p modulo the number it has.
    starts = np.cumsum(counts) - counts
    rows = starts[:, None] + np.arange(most) % counts[:, None]
    content = {
        "model_state": OrderedDict((name, torch.from_numpy(stored.weights[name])) for name in _NAMES),
        "concatenated_centroids": torch.from_numpy(stored.centroids[rows.ravel()]),
        "num_base_classes": len(counts),
        "num_clusters_per_class": most,
    }
    save_legacy(path, content, program)
    fewer = int((counts < most).sum())
    if not fewer:
        return []
    return [f"{fewer} of {len(counts)} classes have fewer than {most} clusters; theirs were repeated to fill the table"]


def _weights(state: Any, dim: int, source: str) -> dict[str, np.ndarray]:
    """G's parameters, each layer fitting the one before it."""
    if not isinstance(state, Mapping):
        raise InputError(f"{source}: model_state must map names to tensors")
    plain = {str(name).removeprefix("module."): value for name, value in state.items()}
    if wrong := sorted(set(_NAMES) ^ plain.keys()):
        raise InputError(
            f"{source}: model_state must hold {', '.join(_NAMES)} and nothing else; missing or unexpected: "
            f"{', '.join(wrong[:6])}"
        )
    weights = {name: _array(plain[name], f"{source}: {name}", 2 - name.endswith("bias")) for name in _NAMES}
    width = 3 * dim
    for layer in LAYERS:
        weight, bias = (weights[f"{layer}.{part}"] for part in _PARTS)
        out = dim if layer == LAYERS[-1] else len(bias)
        if weight.shape != (out, width) or bias.shape != (out,):
            raise InputError(
                f"{source}: {layer} is {weight.shape} with a bias of {bias.shape}, but {dim}-wide centroids need "
                f"({out}, {width}) and ({out},): the parts are of different generators"
            )
        width = out
    return weights


def _array(value: Any, what: str, rank: int) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().float().numpy()
    if not isinstance(value, np.ndarray) or value.ndim != rank or not value.size:
        raise InputError(f"{what} must be a tensor of {rank} dimensions, not {_described(value)}")
    with np.errstate(over="ignore"):
        value = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(value).all():
        raise InputError(f"{what} holds NaN or infinity: the generator's training went wrong; fit it again")
    return value


def _described(value: Any) -> str:
    return f"one of shape {tuple(value.shape)}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _count(value: Any, what: str) -> int:
    if isinstance(value, torch.Tensor | np.ndarray) and not value.shape:
        value = value.item()
    return check_count(what, value)


def _distinct(rows: np.ndarray) -> int:
    """Return the number of rows before they repeat from the first; all of them where they do not."""
    for count in np.flatnonzero((rows == rows[0]).all(axis=1))[1:].tolist():
        if np.array_equal(rows, rows[np.arange(len(rows)) % count]):
            return count
    return len(rows)
