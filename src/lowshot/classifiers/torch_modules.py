"""Parts of fitted classifiers as torch modules, for what computes elsewhere than in NumPy, such as an ONNX file."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lowshot.classifiers.matching_module import MatchingModule


class FeatureTransform(nn.Module):
    """A transform of :mod:`lowshot.classifiers.transforms`.

    Args:
        transform (str): "none", "l2" or "centred_l2".
        centre (array, (D,)): The centre that the last one subtracts.
    """

    centre: torch.Tensor

    def __init__(self, transform: str, centre: np.ndarray) -> None:
        super().__init__()
        self.transform = transform
        self.register_buffer("centre", _float(centre))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        if self.transform == "none":
            return X
        return unit_rows(X - self.centre if self.transform == "centred_l2" else X)


class UnitRows(nn.Module):
    """Rows scaled to length one; a row of zeros remains zero."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return unit_rows(X)


class Shifted(nn.Module):
    """Rows less an origin.

    Args:
        origin (array, (D,)): The origin.
    """

    origin: torch.Tensor

    def __init__(self, origin: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("origin", _float(origin))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - self.origin


class Quadratic(nn.Module):
    """Scores that are linear in the features and in their squares.

    Args:
        linear (array, (C, D)): The weights of the features.
        squares (array, (C, D)): The weights of their squares.
        constant (array, (C,)): The intercepts.
    """

    def __init__(self, linear: np.ndarray, squares: np.ndarray, constant: np.ndarray) -> None:
        super().__init__()
        self.linear = linear_layer(linear, constant)
        self.squares = linear_layer(squares)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.linear(X) + self.squares(X**2)
        return scores


class Attention(nn.Module):
    """The scores of a matching network for a support set that is encoded already.

    Args:
        network (MatchingModule): The network.
        encoded (array, (S, D)): The encodings of the support examples, class after class.
        counts (array, (C,) int): The number of support examples of each class.
        offsets (array, (C,)): What is added to the score of each class.
    """

    encoded: torch.Tensor
    places: torch.Tensor
    offsets: torch.Tensor

    def __init__(self, network: MatchingModule, encoded: np.ndarray, counts: np.ndarray, offsets: np.ndarray) -> None:
        super().__init__()
        self.network = network
        self.shape = len(counts), int(counts.max())
        # Row c lists the support examples of class c; the rest is the number of an example that has no attention.
        places = np.full(self.shape, len(encoded))
        places[np.arange(self.shape[1]) < counts[:, None]] = np.arange(len(encoded))
        self.register_buffer("encoded", _float(encoded))
        self.register_buffer("places", torch.from_numpy(places.ravel()))
        self.register_buffer("offsets", _float(offsets))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        queries = self.network.in_context(X, self.encoded)
        logs = (queries @ unit_rows(self.encoded).T).log_softmax(dim=-1)
        logs = torch.cat([logs, torch.full_like(logs[:, :1], -1e30)], dim=1)
        grouped = logs.index_select(1, self.places).unflatten(1, self.shape)
        return grouped.logsumexp(dim=-1) + self.offsets


class RadialBasis(nn.Module):
    """The values exp(-factor d2) of the squared distances of rows to points.

    Args:
        points (array, (P, D)): The points.
        factor (float): The factor.
    """

    points: torch.Tensor
    squares: torch.Tensor

    def __init__(self, points: np.ndarray, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("points", _float(points))
        self.register_buffer("squares", _float((points.astype(np.float64) ** 2).sum(axis=1)))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        distances = X.square().sum(dim=-1, keepdim=True) + self.squares - 2 * X @ self.points.T
        return (-self.factor * distances.clamp(min=0)).exp()


class Summed(nn.Module):
    """The scores of one module plus a multiple of those of another.

    Args:
        first (Module): One module.
        second (Module): The other.
        factor (float): The factor of the second.
    """

    def __init__(self, first: nn.Module, second: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.factor = factor

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.first(X) + self.factor * self.second(X)
        return scores


class Biased(nn.Module):
    """The scores of another module plus a number per class.

    Args:
        scores (Module): The module.
        bias (array, (C,)): The numbers.
    """

    bias: torch.Tensor

    def __init__(self, scores: nn.Module, bias: np.ndarray) -> None:
        super().__init__()
        self.scores = scores
        self.register_buffer("bias", _float(bias))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.scores(X) + self.bias
        return scores


def unit_rows(X: torch.Tensor) -> torch.Tensor:
    """Rows scaled to length one; a row of zeros remains zero."""
    # Divided by its largest number first, no row has a square that overflows or vanishes.
    largest = X.abs().amax(dim=-1, keepdim=True)
    X = X / torch.where(largest > 0, largest, torch.ones_like(largest))
    lengths = X.square().sum(dim=-1, keepdim=True).sqrt()
    return X / torch.where(lengths > 0, lengths, torch.ones_like(lengths))


def linear_layer(weight: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """A linear layer with (C, D) weights and (C,) intercepts."""
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(_float(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(_float(bias), requires_grad=False)
    return layer


def nearest_layers(means: np.ndarray) -> tuple[nn.Module, nn.Module]:
    """Layers to the negative squared distances from (C, D) means, up to a number per query."""
    origin = means.mean(axis=0)  # about it the expanded square loses fewest digits
    means = means - origin
    return Shifted(origin), linear_layer(2 * means, -(means**2).sum(axis=1))


def _float(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
