"""Prototypical networks on saved features: a learned embedding, then the nearest class mean."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.moments import blocks, class_means
from lowshot.classifiers.transforms import TransformsFeatures
from lowshot.devices import autocast, to_device
from lowshot.estimator_files import LearnedState
from lowshot.files import Pathlike
from lowshot.papers import SNELL_2017
from lowshot.registry import CLASSIFIERS


class PrototypeModule(nn.Module):
    """The embedding: a transform, then the sum of a linear map and a network with one hidden layer.

    The linear map is initialised as a multiple of the identity, the output of the network as zero.

    Args:
        transform (str): "none", "l2" or "centred_l2".
        centre (array, (D,)): The centre that the transform subtracts; it is saved with the weights.
        hidden (int): The width of the hidden layer; 0 for the linear map alone.
        scale (float): The multiple of the identity; a larger one gives sharper initial probabilities.
    """

    centre: torch.Tensor

    def __init__(self, transform: str, centre: np.ndarray, hidden: int, scale: float) -> None:
        super().__init__()
        dim = len(centre)
        self.normalised = transform != "none"
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.linear = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.linear.weight).data.mul_(scale)
        self.bend: nn.Module | None = None
        if hidden:
            last = nn.Linear(hidden, dim)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.bend = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), last)

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        """(..., D) float32 embeddings of (..., D) features."""
        return self.mapped(self.transformed(X))

    def transformed(self, X: torch.Tensor) -> torch.Tensor:
        """(..., D) features after the transform."""
        return F.normalize(X - self.centre, dim=-1) if self.normalised else X

    def mapped(self, X: torch.Tensor) -> torch.Tensor:
        """(..., D) float32 embeddings of (..., D) transformed features."""
        embedded = self.linear(X)
        return (embedded if self.bend is None else embedded + self.bend(X)).float()

    def forward(self, support: torch.Tensor, counts: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Negative squared distances of queries to prototypes.

        Args:
            support (Tensor, (..., S, D)): The support examples, class after class.
            counts (Tensor, (W,) int64): The number of support examples of each class.
            queries (Tensor, (..., Q, D)): The queries.

        Returns:
            (..., Q, W) float32.
        """
        support, queries = self.embed(support), self.embed(queries)
        classes = torch.arange(len(counts), device=counts.device)
        members = torch.repeat_interleave(classes, counts) == classes[:, None]
        with torch.autocast(queries.device.type, enabled=False):
            # Means as a matrix product: unlike a scattered sum it gives the same bits every time, on a GPU too.
            return negative_squared_distances(queries, members / counts[:, None] @ support)


def negative_squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(..., N, M) negative squared Euclidean distances between the rows of (..., N, D) and (..., M, D)."""
    return 2 * a @ b.mT - (a**2).sum(dim=-1, keepdim=True) - (b**2).sum(dim=-1)[..., None, :]


@CLASSIFIERS.register(
    "prototypical", "nearest class mean after an embedding learned on episodes of base classes", bibtex=SNELL_2017
)
class Prototypical(TransformsFeatures, EpisodicClassifier):
    """Nearest class mean in a learned space.

    Snell et al. (2017, arXiv 1703.05175) on fixed features: an embedding trained on episodes of base classes so that
    a query's squared Euclidean distances to the class means of a few shots, as logits, predict its class. Without
    base classes the embedding is the identity, and this is ``nearest_mean`` by Euclidean distance; where
    ``matching_network`` weighs every example in the context of all others, here a class is one point.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        hidden (int): The width of a hidden layer added to the linear embedding; 0 for a linear embedding.
        scale (float): The initial factor of the embedding, on unit vectors the square root of the distances' weight.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        prototypes_ (array, (C, D) float64): The class means in the learned space.
    """

    per_class_arrays = ("prototypes_",)

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        hidden: int = 0,
        scale: float = 3.0,
        n_episodes: int = 500,
        episodes_per_step: int = 1,
        lr: float = 0.1,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 1e-4,
        decay_every: int = 200,
        n_way: int | None = None,
        n_shots: tuple[int, int] = (1, 10),
        n_queries: int = 5,
        precision: str = "float32",
        checkpoint: Pathlike | None = None,
        checkpoint_every: int = 1000,
        pretrained: Pathlike | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.feature_transform = feature_transform
        self.hidden = hidden
        self.scale = scale
        self.n_episodes = n_episodes
        self.episodes_per_step = episodes_per_step
        self.lr = lr
        self.momentum = momentum
        self.dampening = dampening
        self.weight_decay = weight_decay
        self.decay_every = decay_every
        self.n_way = n_way
        self.n_shots = n_shots
        self.n_queries = n_queries
        self.precision = precision
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.pretrained = pretrained
        self.device = device
        self.random_state = random_state

    def _build(self, dim: int, trained: bool) -> nn.Module:
        hidden = self.hidden if trained else 0
        return PrototypeModule(self.feature_transform, self._centre_, hidden, float(self.scale))

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_centre(X, codes, self._example_weights(codes, base=True))
        self._learn(X, codes)
        self._base_prototypes_ = self.prototypes_ = self._class_means(X, codes)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
        prototypes = self._class_means(X, codes)
        self.prototypes_ = np.vstack([self._base_prototypes_, prototypes]) if self.n_base_classes_ else prototypes

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        EpisodicClassifier._check_learned(self, learned)
        if learned.has("classes_"):
            learned.array("prototypes_", "C", "D")
            if self.n_base_classes_:
                learned.array("_base_prototypes_", "B", "D")

    @torch.inference_mode()
    def _class_means(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        embed = self._embedder()
        return class_means(X, codes, codes.max() + 1, lambda rows: embed(rows).cpu().numpy())

    @torch.inference_mode()
    def _scores(self, X: np.ndarray) -> np.ndarray:
        embed = self._embedder()
        prototypes = to_device(self.prototypes_, self._device())
        scores = [negative_squared_distances(embed(X[rows]), prototypes).cpu().numpy() for rows in blocks(len(X))]
        return np.concatenate(scores)

    def _as_torch(self) -> nn.Module:
        from lowshot.classifiers.torch_modules import nearest_layers

        return nn.Sequential(_Embedding(copy.deepcopy(self._network()).cpu()), *nearest_layers(self.prototypes_))

    def _embedder(self) -> Callable[[np.ndarray], torch.Tensor]:
        network, device = self._network(), self._device()

        def embed(X: np.ndarray) -> torch.Tensor:
            with autocast(device, self.precision):
                return network.embed(to_device(X, device))

        return embed


class _Embedding(nn.Module):
    """The embedding of a network alone."""

    def __init__(self, network: PrototypeModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.network.embed(X)
