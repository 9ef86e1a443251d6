"""Prototypical networks with a hallucinator that was trained with them, end to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from lowshot.classifiers.hallucinator import Hallucinator, check_hallucinator
from lowshot.classifiers.prototypical import PrototypeModule, Prototypical, negative_squared_distances
from lowshot.classifiers.training_episodes import Episode, seed_of
from lowshot.devices import autocast, seeded, to_device
from lowshot.files import Pathlike
from lowshot.papers import SNELL_2017, WANG_2018
from lowshot.registry import CLASSIFIERS


class HallucinatingModule(PrototypeModule):
    """The embedding of prototypical networks, whose prototypes are means of real and generated examples.

    Args:
        transform (str): "none", "l2" or "centred_l2".
        centre (array, (D,)): The centre that the transform subtracts.
        scale (float): The initial factor of the embedding.
        hidden (int): The width of the hallucinator's hidden layers.
        n_augmented (int): The number of examples that a class is to have at least, generated ones included.
        noise (float): The length of the noise.
    """

    def __init__(
        self, transform: str, centre: np.ndarray, scale: float, hidden: int, n_augmented: int, noise: float
    ) -> None:
        super().__init__(transform, centre, 0, scale)
        self.hallucinator = Hallucinator(len(centre), hidden, n_augmented, noise)

    def forward(self, support: torch.Tensor, counts: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(..., Q, W) negative squared distances; the arguments are those of :class:`PrototypeModule`."""
        prototypes, queries = self.prototypes(support, counts), self.embed(queries)
        with torch.autocast(queries.device.type, enabled=False):
            return negative_squared_distances(queries, prototypes)

    def prototypes(self, support: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(..., W, D) float32 prototypes of (..., S, D) support examples, class after class."""
        everything, members = self.hallucinator.augment(self.transformed(support), counts)
        embedded = self.mapped(everything)
        with torch.autocast(embedded.device.type, enabled=False):
            return members @ embedded.float()


@CLASSIFIERS.register(
    "prototypical_hallucination",
    "prototypical networks with a generator trained end to end",
    bibtex=WANG_2018 + SNELL_2017,
)
class PrototypicalHallucination(Prototypical):
    """Prototypical networks on real and generated examples.

    Wang et al. (2018, arXiv 1801.05401, section 4) with prototypical networks: each class of a training episode is
    filled up to ``n_augmented`` examples by a hallucinator, prototypes are means over all of them, and the loss of the
    queries trains embedding and hallucinator together. Unlike the generators that any classifier may use, this one
    makes what helps this classifier, whether or not it looks like an example. Base classes are means of their real
    examples.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        scale (float): The initial factor of the linear embedding.
        n_augmented (int): The number of examples that a class of fewer shots is filled up to; 0 generates none.
        hallucinator_hidden (int): The width of the hallucinator's hidden layers.
        noise (float): The length of its noise, in the unit of a transformed feature.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        prototypes_ (array, (C, D) float64): The class means in the learned space.
    """

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        scale: float = 3.0,
        n_augmented: int = 20,
        hallucinator_hidden: int = 256,
        noise: float = 1.0,
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
        self.scale = scale
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
        check_hallucinator(self.n_augmented, self.hallucinator_hidden, self.noise)

    def _build(self, dim: int, trained: bool) -> nn.Module:
        if not trained:
            return PrototypeModule(self.feature_transform, self._centre_, 0, float(self.scale))
        return HallucinatingModule(
            self.feature_transform,
            self._centre_,
            float(self.scale),
            self.hallucinator_hidden,
            self.n_augmented,
            self.noise,
        )

    @torch.inference_mode()
    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not getattr(self, "_weights_", {}):
            super()._fit_novel(X, codes)
            return
        device, order = self._device(), np.argsort(codes, kind="stable")
        counts = torch.from_numpy(np.bincount(codes)).to(device)
        with autocast(device, self.precision):
            prototypes = self._network().prototypes(to_device(X[order], device), counts)
        self.prototypes_ = np.vstack([self._base_prototypes_, prototypes.cpu().numpy().astype(np.float64)])

    def _loss(
        self, network: nn.Module, X: np.ndarray, codes: np.ndarray, episodes: Sequence[Episode], device: str
    ) -> torch.Tensor:
        with seeded(seed_of(episodes)):
            return super()._loss(network, X, codes, episodes, device)
