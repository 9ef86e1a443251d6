"""The base class of classifiers that learn to compare features, by training a network on episodes of base classes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.checks import check_choice, check_count
from lowshot.classifiers.base import Examples, LowShotClassifier
from lowshot.classifiers.persistence import load_network
from lowshot.classifiers.training_episodes import Episode, EpisodeSampler
from lowshot.devices import PRECISIONS, autocast, pick_device, seeded, to_device
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.files import Pathlike, exists, fingerprint
from lowshot.progress import progress
from lowshot.torch_files import load_torch, save_torch

# Neither the device nor how a training is saved changes the trained network.
LOCAL_PARAMETERS = ("checkpoint", "checkpoint_every", "device")


class EpisodicClassifier(LowShotClassifier):
    """A network over features, trained by :meth:`fit_base` on episodes and fixed afterwards.

    Subclasses take the parameters below in their constructor and build the network in :meth:`_build`. Without base
    classes, or with a single one, there are no episodes; the network is then the identity.

    Training is SGD on the cross-entropy of each episode's queries. Episodes and learning rates depend on the episode's
    number alone, so a checkpoint holds that number, weights and momenta, and a training that was killed and started
    again ends in the same weights as one that was not.

    Args:
        n_way (int, optional): The number of classes of an episode; None takes all base classes.
        n_shots (tuple of two int): The least and the most support examples of a class.
        n_queries (int): The number of queries of a class.
        n_episodes (int): The number of episodes of the training.
        episodes_per_step (int): The number of episodes whose mean loss an SGD step descends. There are that many times
            fewer steps; all else is counted in episodes.
        lr (float): The learning rate.
        momentum (float): The momentum of SGD.
        dampening (float): The dampening of the momentum.
        weight_decay (float): The weight decay.
        decay_every (int): The number of episodes after which the learning rate falls to a tenth.
        precision (str): "float32", or "bfloat16" to compute in bfloat16 on float32 weights, where the processor can.
        checkpoint (path-like, optional): A file to save the training in and resume it from.
        checkpoint_every (int): The number of episodes between saves.
        pretrained (path-like, optional): A file of :func:`~lowshot.classifiers.save_classifier` whose network is used
            instead of training one.
        device (str): "auto" (a GPU if there is one) or a torch device.
        random_state (int): The seed of initial weights and episodes.
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
    checkpoint: Pathlike | None
    checkpoint_every: int
    pretrained: Pathlike | None
    device: str
    random_state: int

    _weights_: dict[str, np.ndarray]

    def _build(self, dim: int, trained: bool) -> nn.Module:
        """The network for (N, ``dim``) features: one to train, or the identity where nothing can be learned.

        ``network(support, counts, queries)`` maps (E, S, D), (W,) and (E, Q, D) tensors of E episodes of one shape to
        (E, Q, W) class scores.
        """
        raise NotImplementedError

    def _check_parameters(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        least, most = self.n_shots
        if not 1 <= least <= most:
            raise InputError(f"n_shots={self.n_shots!r} must be the least and the most shots of a class, from 1 up")
        check_count("n_episodes", self.n_episodes, least=0)  # without any the network remains as initialised
        for name in ("n_queries", "episodes_per_step", "decay_every", "checkpoint_every"):
            check_count(name, getattr(self, name))

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
        network = self._initial(X.shape[1], trained=True).to(self._device())
        self._train(network, X, codes, sampler, self._fingerprint(X, codes) if self.checkpoint else "")
        self._weights_ = {name: value.cpu().numpy() for name, value in network.state_dict().items()}

    def _train(
        self, network: nn.Module, X: np.ndarray, codes: np.ndarray, sampler: EpisodeSampler, training: str
    ) -> None:
        """Train ``network`` in place, resuming from the checkpoint; ``training`` is the fingerprint of the training."""
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
        )
        device = self._device()
        done = _resume(self.checkpoint, training, network, optimizer) if self.checkpoint else 0
        network.train()
        with progress(f"{type(self).__name__} episodes", self.n_episodes, done) as tick:
            for first in range(done, self.n_episodes, self.episodes_per_step):
                for group in optimizer.param_groups:
                    group["lr"] = self.lr * 0.1 ** (first // self.decay_every)
                end = min(first + self.episodes_per_step, self.n_episodes)
                optimizer.zero_grad()
                loss = torch.zeros((), device=device)
                for episodes in _by_shape([sampler.draw(number, first) for number in range(first, end)]):
                    with autocast(device, self.precision):
                        share = self._loss(network, X, codes, episodes, device) * (len(episodes) / (end - first))
                    share.backward()
                    loss += share.detach()
                optimizer.step()
                due = end == self.n_episodes or end // self.checkpoint_every > first // self.checkpoint_every
                if self.checkpoint and due:
                    state = {"network": network.state_dict(), "optimiser": optimizer.state_dict()}
                    save_torch(self.checkpoint, {"identity": training, "done": end, **state})
                # Reading the loss waits for the device, so it is not done every time.
                tick(end - first, note=f"loss {loss.item():.3f}" if -first % 50 < end - first else None)
        network.eval()

    def _loss(
        self, network: nn.Module, X: np.ndarray, codes: np.ndarray, episodes: Sequence[Episode], device: str
    ) -> torch.Tensor:
        """Mean loss of episodes of one shape: here the cross-entropy of their queries.

        Args:
            network (Module): The network in training.
            X (array, (N, D)): The base features.
            codes (array, (N,) int): Their classes.
            episodes (sequence of Episode): The episodes, whose classes have equally many shots and queries.
            device (str): The device of the network.
        """
        support = to_device(X[np.stack([episode.support for episode in episodes])], device)
        queries = to_device(X[np.stack([episode.queries for episode in episodes])], device)
        scores = network(support, torch.from_numpy(episodes[0].counts).to(device), queries)
        targets = torch.from_numpy(episodes[0].targets).to(device).expand(len(episodes), -1)
        return F.cross_entropy(scores.float().flatten(0, 1), targets.flatten())

    def _initial(self, dim: int, trained: bool) -> nn.Module:
        """:meth:`_build`, with initial weights of this seed, and torch's global generators left as they are."""
        with seeded(self.random_state):
            return self._build(dim, trained)

    def _network(self) -> Any:
        """The learned network, on the device, for inference."""
        weights = getattr(self, "_weights_", {})
        network = self._initial(self.n_features_in_, trained=bool(weights))
        if weights:
            network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        return network.to(self._device()).eval()

    @torch.inference_mode()
    def _scores_of_episodes(
        self, runs: Sequence[Self], shots: Sequence[Examples], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Scores of the network on each task as in training: the support set is the task's shots alone."""
        network, device = self._network(), self._device()
        counts = torch.from_numpy(np.bincount(shots[0][1])).to(device)
        support = to_device(np.stack([X for X, _ in shots]), device)
        with autocast(device, self.precision):
            return list(network(support, counts, to_device(np.stack(queries), device)).float().cpu().numpy())

    def _fingerprint(self, X: np.ndarray, codes: np.ndarray) -> str:
        """A fingerprint of everything that the trained network depends on."""
        params = {name: value for name, value in self.recorded_params().items() if name not in LOCAL_PARAMETERS}
        return fingerprint(type(self).__name__, params, codes, X)

    def _device(self) -> str:
        return pick_device(self.device)

    def _pretrained_weights(self, dim: int) -> dict[str, np.ndarray]:
        assert self.pretrained is not None
        weights = load_network(self.pretrained, type(self))
        expected = self._weight_shapes(dim)
        found = {name: value.shape for name, value in weights.items()}
        if found != expected:
            raise InputError(
                f"{self.pretrained} was learned on features of another width or with another network: it holds "
                f"{found}, and {dim}-wide features need {expected}"
            )
        return weights

    def _weight_shapes(self, dim: int) -> dict[str, tuple[int, ...]]:
        """The shape of each weight of a trained network for ``dim``-wide features, without making any."""
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in self._build(dim, trained=True).state_dict().items()}

    def _check_learned(self, learned: LearnedState) -> None:
        weights = vars(self).get("_weights_", {})
        if not isinstance(weights, dict):
            raise InputError(f"{learned.source}: _weights_ must be a mapping of arrays")
        if not weights:
            return
        try:
            expected = self._weight_shapes(learned.sizes["D"])
        except (RuntimeError, OverflowError, TypeError):
            raise InputError(f"{learned.source}: there is no network with these parameters") from None
        if differing := sorted(expected.keys() ^ weights.keys()):
            raise InputError(f"{learned.source}: _weights_ lacks, or should not have, {', '.join(differing[:5])}")
        for name, shape in expected.items():
            learned.check(f"_weights_.{name}", weights[name], *shape)


def _by_shape(episodes: Sequence[Episode]) -> Iterable[list[Episode]]:
    """The episodes in groups whose classes have equally many shots and queries."""
    groups: dict[bytes, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(episode.counts.tobytes() + episode.targets.tobytes(), []).append(episode)
    return groups.values()


def _resume(checkpoint: Pathlike, training: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the state in ``checkpoint``, if it exists; returns the number of episodes done.

    Raises:
        InputError: The checkpoint is damaged or belongs to another training.
    """
    if not exists(checkpoint):
        return 0
    state = load_torch(checkpoint)
    if not isinstance(state, dict) or state.get("identity") != training:
        raise InputError(
            f"checkpoint {checkpoint} belongs to a training with other features, episodes or settings. "
            "Delete it to train afresh, or name another file."
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimiser"])
    return int(state["done"])
