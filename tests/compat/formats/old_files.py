"""Files as the original program left them behind, made by torch itself and never by the code under test."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.reference import resnet
from tests.reference.generator import Network

CONTAINERS = ("zip", "legacy", "python 2")
# How a pickle spells the place a storage was saved from, in Python 3 and 2.
_PLACES = {
    b"X\x03\x00\x00\x00cpu": b"X\x06\x00\x00\x00cuda:0",
    b"U\x03cpu": b"U\x06cuda:0",
}


class _Python2(pickle._Pickler):
    """Pickles as Python 2 did, where text and bytes were one type."""

    dispatch = dict(pickle._Pickler.dispatch)

    def _save(self, value: str | bytes) -> None:
        content = value.encode("ascii") if isinstance(value, str) else value
        short = len(content) < 256
        self.write(b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content)))
        self.write(content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save


def _dump(value: Any, file: Any, protocol: int) -> None:
    _Python2(file, protocol).dump(value)


def save(path: Path, value: Any, container: str = "legacy", device: str = "cpu") -> Path:
    """Save ``value``; ``device="cuda"`` makes the file say that its tensors were on a GPU."""
    writer = SimpleNamespace(Pickler=_Python2, dump=_dump, __name__="python2") if container == "python 2" else pickle
    torch.save(value, path, pickle_module=writer, _use_new_zipfile_serialization=container == "zip")
    if device == "cuda" and container != "zip":
        path.write_bytes(_moved(path.read_bytes()))
    elif device == "cuda":
        with zipfile.ZipFile(path) as file:
            parts = [(entry.filename, file.read(entry)) for entry in file.infolist()]
        with zipfile.ZipFile(path, "w") as file:
            for name, content in parts:
                file.writestr(name, _moved(content) if name.endswith("data.pkl") else content)
    return path


def _moved(pickled: bytes) -> bytes:
    places = [place for place in _PLACES if place in pickled]
    assert places
    for place in places:
        pickled = pickled.replace(place, _PLACES[place])
    return pickled


def state(model: str, num_classes: int, seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    """Weights by the original's names, from the table of tests/reference: those of a network that has seen data."""
    rng = torch.Generator().manual_seed(seed)
    found = OrderedDict()
    for name, shape in resnet.state_shapes(model, num_classes).items():
        if name.endswith("num_batches_tracked"):
            continue
        fan_in = max(1, int(np.prod(shape[1:])))
        value = torch.randn(shape, generator=rng) * (2 / fan_in) ** 0.5 if len(shape) > 1 else None
        if value is None:
            positive = name.endswith("running_var") or (name.endswith("weight"))
            value = torch.rand(shape, generator=rng) + 0.5 if positive else torch.randn(shape, generator=rng) * 0.1
        found[f"module.{name}"] = value
    return found


def generator_content(dim: int = 4, hidden: int = 5, n_classes: int = 3, n_clusters: int = 2) -> dict[str, Any]:
    """What a ``generator.tar`` holds."""
    torch.manual_seed(0)
    return {
        "model_state": Network(dim, hidden).state_dict(),
        "concatenated_centroids": torch.rand(n_classes * n_clusters, dim),
        "num_base_classes": n_classes,
        "num_clusters_per_class": n_clusters,
    }


def matching_state(
    dim: int = 3, support: str = "reader", query: str = "asker", seed: int = 0
) -> dict[str, torch.Tensor]:
    """The state of a module with a bidirectional LSTM and an LSTM cell under any names."""
    torch.manual_seed(seed)
    module = nn.Module()
    module.add_module(support, nn.LSTM(dim, dim, bidirectional=True))
    module.add_module(query, nn.LSTMCell(2 * dim, dim))
    return module.state_dict()
