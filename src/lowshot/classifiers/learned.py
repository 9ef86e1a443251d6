"""What the classifiers share that learn to compare features on episodes of base classes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.episodes import EpisodeSampler
from lowshot.classifiers.episodic_training import (
    PRECISIONS,
    EpisodicTraining,
    autocast,
    to_device,
    train_on_episodes,
)
from lowshot.classifiers.persistence import read_state
from lowshot.classifiers.transforms import check_at_least, check_choice
from lowshot.errors import InputError
from lowshot.files import fingerprint

Path = str | os.PathLike[str]


class EpisodicClassifier(LowShotClassifier):
    """A network over features, trained by :meth:`fit_base` on episodes and then left alone.

    Subclasses declare in their constructor the fields of :class:`EpisodicTraining` and ``n_way``, ``n_shots``,
    ``n_queries``, ``pretrained``, ``device`` and ``random_state``; they build the network in :meth:`_build`.

    Without base classes, or with a single one, there are no episodes: the network is then the untrained one, which
    subclasses build as the identity.
    """

    trained_on_episodes: ClassVar[bool] = True

    n_way: int | None
    n_shots: tuple[int, int]
    n_queries: int
    n_episodes: int
    episodes_per_step: int
    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    decay_every: int
    precision: str
    checkpoint: Path | None
    checkpoint_every: int
    pretrained: Path | None
    device: str
    random_state: int

    _weights_: dict[str, np.ndarray]

    def _build(self, dim: int, trained: bool) -> nn.Module:
        """The network for (N, ``dim``) features: to be trained, or the identity where nothing can be learned."""
        raise NotImplementedError

    def _check_parameters(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        least, most = self.n_shots
        if not 1 <= least <= most:
            raise InputError(f"n_shots={self.n_shots!r} must be the least and the most shots of a class, from 1 up")
        check_at_least(0, n_episodes=self.n_episodes)  # none leave the network as it starts
        check_at_least(
            1,
            n_queries=self.n_queries,
            episodes_per_step=self.episodes_per_step,
            decay_every=self.decay_every,
            checkpoint_every=self.checkpoint_every,
        )

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Train on episodes of labelled features, or take the weights from the file ``pretrained``."""
        if self.pretrained is not None:
            self._weights_ = self._pretrained_weights(X.shape[1])
            return
        sampler = EpisodeSampler(
            codes, n_way=self.n_way, n_shots=self.n_shots, n_queries=self.n_queries, seed=self.random_state
        )
        self._weights_ = {}
        if sampler.n_way < 2:
            warnings.warn(
                f"{type(self).__name__} has learned nothing: episodes need two base classes of two examples each",
                stacklevel=4,
            )
            return
        # The initial weights come from torch's global generator; nobody else may notice.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            network = self._build(X.shape[1], trained=True)
        device = self._device()
        train_on_episodes(
            network.to(device),
            X,
            sampler,
            EpisodicTraining(**{field.name: getattr(self, field.name) for field in fields(EpisodicTraining)}),
            device=device,
            identity=self._identity(X, codes) if self.checkpoint else "",
            title=f"{type(self).__name__} episodes",
        )
        self._weights_ = {name: value.cpu().numpy() for name, value in network.state_dict().items()}

    def _network(self) -> Any:
        """The network as it was learned, on the device, for inference."""
        weights = getattr(self, "_weights_", {})
        network = self._build(self.n_features_in_, trained=bool(weights))
        if weights:
            network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        return network.to(self._device()).eval()

    @torch.inference_mode()
    def _scores_of_tasks(
        self, runs: Sequence[Self], shots: Sequence[tuple[np.ndarray, np.ndarray]], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The network on each task as it was trained: the support set is the task's shots, without base classes."""
        network, device = self._network(), self._device()
        counts = torch.from_numpy(np.bincount(shots[0][1])).to(device)
        support = to_device(np.stack([X for X, _ in shots]), device)
        with autocast(device, self.precision):
            return list(network(support, counts, to_device(np.stack(queries), device)).float().cpu().numpy())

    def _identity(self, X: np.ndarray, codes: np.ndarray) -> str:
        """Which training this is: examples and parameters, but not where it runs and how often it is saved."""
        elsewhere = ("checkpoint", "checkpoint_every", "device")
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in elsewhere}
        return fingerprint(type(self).__name__, params, codes, X)

    def _device(self) -> str:
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def _pretrained_weights(self, dim: int) -> dict[str, np.ndarray]:
        assert self.pretrained is not None
        weights = read_state(self.pretrained, type(self))[1].get("_weights_", {})
        expected = {name: tuple(value.shape) for name, value in self._build(dim, trained=True).state_dict().items()}
        found = {name: value.shape for name, value in weights.items()}
        if found != expected:
            raise InputError(
                f"{self.pretrained} was learned on features of another width or with another network: it holds "
                f"{found}, and {dim}-wide features need {expected}"
            )
        return weights
