"""Prototype matching networks: matching networks over class prototypes, with a hallucinator or without."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.checks import check_count, check_number
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.hallucinator import Hallucinator, check_hallucinator
from lowshot.classifiers.matching_module import MatchingModule
from lowshot.classifiers.moments import blocks, class_means
from lowshot.classifiers.training_episodes import Episode, seed_of
from lowshot.classifiers.transforms import TransformsFeatures
from lowshot.devices import autocast, seeded, to_device
from lowshot.estimator_files import LearnedState
from lowshot.files import Pathlike
from lowshot.papers import VINYALS_2016, WANG_2018
from lowshot.registry import CLASSIFIERS


class PrototypeMatchingModule(nn.Module):
    """Prototypes of real and generated examples, encoded and compared by the network of matching networks.

    Args:
        dim (int): D.
        contextual (bool): Encode prototypes in each other's context; else by one linear map, initially the identity.
        n_steps (int): The number of attention steps of a query.
        hidden (int): The width of the hallucinator's hidden layers.
        n_augmented (int): The number of examples that a class is to have at least, generated ones included.
        noise (float): The length of the noise.
    """

    def __init__(self, dim: int, contextual: bool, n_steps: int, hidden: int, n_augmented: int, noise: float) -> None:
        super().__init__()
        self.matching = MatchingModule(dim, contextual, n_steps)
        self.hallucinator = Hallucinator(dim, hidden, n_augmented, noise)

    def forward(self, support: torch.Tensor, counts: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(..., Q, W) log-probabilities of (..., Q, D) queries, given (..., S, D) support examples of W classes."""
        scores: torch.Tensor = self.matching(self.prototypes(support, counts), torch.ones_like(counts), queries)
        return scores

    def prototypes(self, support: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(..., W, D) float32 prototypes of (..., S, D) support examples, class after class."""
        everything, members = self.hallucinator.augment(support, counts)
        with torch.autocast(everything.device.type, enabled=False):
            return members @ everything.float()


@CLASSIFIERS.register(
    "prototype_matching",
    "matching networks over prototypes, with a generator trained end to end",
    bibtex=WANG_2018 + VINYALS_2016,
)
class PrototypeMatching(TransformsFeatures, EpisodicClassifier):
    """Prototype matching networks with hallucination.

    Wang et al. (2018, arXiv 1801.05401, sections 4 and 5): the examples of a class, real and generated, are first
    replaced by their mean, and a matching network embeds these prototypes in each other's context. So a class of many
    examples has as many votes as one of few, which ``matching_network`` reaches by repeating shots, and the recurrence
    is over classes instead of examples. The hallucinator is trained together with the network, by the loss of the
    queries of episodes. Base classes are means of their real examples.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        scale (float): The factor of transformed features, above 0; larger ones give sharper initial attention.
        contextual (bool): Full contextual embedding, or the plain variant, which embeds by one linear map.
        query_steps (int): The number of attention steps of a query.
        n_augmented (int): The number of examples that a class of fewer shots is filled up to; 0 generates none, and
            gives prototype matching networks without a hallucinator.
        hallucinator_hidden (int): The width of the hallucinator's hidden layers.
        noise (float): The length of its noise, in the unit of a transformed feature.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        prototypes_ (array, (C, D) float32): The means of each class's transformed and scaled examples.
    """

    per_class_arrays = ("prototypes_", "_encoded_")

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        scale: float = 10.0,
        contextual: bool = True,
        query_steps: int = 5,
        n_augmented: int = 20,
        hallucinator_hidden: int = 256,
        noise: float = 1.0,
        n_episodes: int = 2000,
        episodes_per_step: int = 1,
        lr: float = 0.01,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 1e-4,
        decay_every: int = 1000,
        n_way: int | None = None,
        n_shots: tuple[int, int] = (1, 10),
        n_queries: int = 2,
        precision: str = "float32",
        checkpoint: Pathlike | None = None,
        checkpoint_every: int = 1000,
        pretrained: Pathlike | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.feature_transform = feature_transform
        self.scale = scale
        self.contextual = contextual
        self.query_steps = query_steps
        self.n_augmented = n_augmented
        self.hallucinator_hidden = hallucinator_hidden
        self.noise = noise
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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("scale", self.scale, above=0)
        check_count("query_steps", self.query_steps)
        check_hallucinator(self.n_augmented, self.hallucinator_hidden, self.noise)

    def _build(self, dim: int, trained: bool) -> nn.Module:
        contextual, augmented = (self.contextual, self.n_augmented) if trained else (False, 0)
        hidden, noise = self.hallucinator_hidden, self.scale * self.noise
        return PrototypeMatchingModule(dim, contextual, self.query_steps, hidden, augmented, noise)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_centre(X, codes, self._example_weights(codes, base=True))
        self._learn(X, codes)
        self._base_prototypes_ = class_means(X, codes, self.n_base_classes_, self._inputs).astype(np.float32)
        self._forget_novel()

    def _forget_novel(self) -> None:
        self._set_prototypes(self._base_prototypes_)

    @torch.inference_mode()
    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
        device, order = self._device(), np.argsort(codes, kind="stable")
        shots, counts = to_device(self._inputs(X[order]), device), torch.from_numpy(np.bincount(codes)).to(device)
        with autocast(device, self.precision):
            novel = self._network().prototypes(shots, counts).cpu().numpy()
        self._set_prototypes(np.vstack([self._base_prototypes_, novel]) if self.n_base_classes_ else novel)

    @torch.inference_mode()
    def _set_prototypes(self, prototypes: np.ndarray) -> None:
        """Take the (C, D) prototypes, and encode them."""
        self.prototypes_ = prototypes
        device = self._device()
        with autocast(device, self.precision):
            self._encoded_ = self._network().matching.encode(to_device(prototypes, device)).float().cpu().numpy()

    def _classes_are_independent(self) -> bool:
        """True where a prototype is encoded by itself, and the centre is that of base classes."""
        alone = not self.contextual or not getattr(self, "_weights_", {})
        return alone and super()._classes_are_independent()

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        EpisodicClassifier._check_learned(self, learned)
        if learned.has("classes_"):
            learned.array("prototypes_", "C", "D")
            learned.array("_encoded_", "C", "D")
            if self.n_base_classes_:
                learned.array("_base_prototypes_", "B", "D")

    @torch.inference_mode()
    def _scores(self, X: np.ndarray) -> np.ndarray:
        device = self._device()
        network, encoded = self._network().matching, to_device(self._encoded_, device)
        counts = torch.ones(len(encoded), dtype=torch.int64, device=device)
        scores = np.empty((len(X), len(encoded)), np.float32)
        with autocast(device, self.precision):
            for rows in blocks(len(X)):
                queries = to_device(self._inputs(X[rows]), device)
                scores[rows] = network.compare(queries, encoded, counts).float().cpu().numpy()
        return scores

    def _scores_of_episodes(
        self, runs: Sequence[PrototypeMatching], shots: Sequence, queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        inputs = [(self._inputs(X), codes) for X, codes in shots]
        return super()._scores_of_episodes(runs, inputs, [self._inputs(X) for X in queries])

    def _as_torch(self) -> nn.Module:
        from lowshot.classifiers.torch_modules import Attention, FeatureTransform

        transform = FeatureTransform(self.feature_transform, self._centre_)
        ones = np.ones(len(self._encoded_), np.int64)
        matching = copy.deepcopy(self._network().matching).cpu()
        attention = Attention(matching, self._encoded_, ones, np.zeros(len(ones)))
        return nn.Sequential(transform, _Scaled(self.scale), attention)

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        """(N, D) features as the network sees them."""
        return self._transformed(X) * X.dtype.type(self.scale)

    def _loss(
        self, network: nn.Module, X: np.ndarray, codes: np.ndarray, episodes: Sequence[Episode], device: str
    ) -> torch.Tensor:
        support = to_device(np.stack([self._inputs(X[episode.support]) for episode in episodes]), device)
        queries = to_device(np.stack([self._inputs(X[episode.queries]) for episode in episodes]), device)
        targets = torch.from_numpy(episodes[0].targets).to(device).expand(len(episodes), -1)
        with seeded(seed_of(episodes)):
            scores = network(support, torch.from_numpy(episodes[0].counts).to(device), queries)
        return F.cross_entropy(scores.float().flatten(0, 1), targets.flatten())


class _Scaled(nn.Module):
    """Rows times a number."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X * self.scale
