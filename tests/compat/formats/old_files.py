"""The content of files of the original program, made by torch itself and never by the code under test."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.reference import resnet
from tests.reference.generator import Network
from tests.torch_files.old_formats import CONTAINERS, save

__all__ = ["CONTAINERS", "generator_content", "matching_state", "save", "state"]


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
    """Return the content of a ``generator.tar``."""
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
