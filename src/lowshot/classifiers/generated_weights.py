"""The base class of classifiers whose weights for novel classes come from a network that base classes trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.checks import check_count, check_number
from lowshot.classifiers.base import Examples, LowShotClassifier
from lowshot.classifiers.cosine import Cosine
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.training_episodes import Episode, seed_of
from lowshot.classifiers.transforms import TransformsFeatures, unit_rows
from lowshot.devices import seeded, to_device
from lowshot.estimator_files import LearnedState


class GeneratedWeights(TransformsFeatures, EpisodicClassifier):
    """A cosine classifier: base weights trained by cross-entropy, novel ones made by a network from shots.

    As Gidaris and Komodakis do (2018, arXiv 1804.09458, section 3; 2019, arXiv 1905.01102), the network is trained on
    episodes in which some base classes stand in for novel ones: their weights are taken away, made anew from a few
    shots, and all queries are classified by both kinds together. The loss is the mean of that on queries of either
    kind. The features and the base weights, those of the classifier ``cosine``, are fixed, where theirs are trained on.

    The network knows no class by its number, so one that was trained on some base classes serves any others.

    Subclasses build it in ``_build``: ``network(shots, counts, base)`` maps (S, D) unit features of K classes, (K,)
    counts and (B, D) base weights to (K, D) novel and (B, D) base weights of length one. Its parameter ``scale`` is the
    factor of the cosines. Without training, novel weights are the class means.

    Args:
        feature_transform (str): "l2" or "centred_l2", as in ``cosine``.
        scale (float): The initial factor of the cosines, above 0.
        n_steps (int): The number of SGD steps of the base weights; 0 takes class means.
        n_stand_ins (int, optional): The number of classes of an episode that stand in for novel ones; one class at
            least does not. None takes half of them, as the papers do about on ImageNet (250 and 200 of 389).

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        coef_ (array, (C, D) float64): The weights, of length one.
        scale_ (float): The factor of the cosines.
    """

    feature_transforms = ("l2", "centred_l2")

    scale: float
    n_steps: int
    n_stand_ins: int | None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("scale", self.scale, above=0)
        check_count("n_steps", self.n_steps, least=0)
        if self.n_stand_ins is not None:
            check_count("n_stand_ins", self.n_stand_ins)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_centre(X, codes, self._example_weights(codes, base=True))
        base = Cosine(self.feature_transform, self.scale, self.n_steps, random_state=self.random_state)
        self._base_coef_ = base.fit_base(X, codes).coef_
        self._learn(X, codes)
        self.scale_ = self._network().scale.item() if self._weights_ else float(self.scale)
        self._forget_novel()

    def _forget_novel(self) -> None:
        self.coef_ = self._base_coef_

    @torch.inference_mode()
    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
            self.scale_ = float(self.scale)
        if not getattr(self, "_weights_", {}):
            means = self._unit_means(X, codes)
            self.coef_ = np.vstack([self._base_coef_, means]) if self.n_base_classes_ else means
            return
        device = self._device()
        order = np.argsort(codes, kind="stable")
        shots, counts = to_device(self._transformed(X[order]), device), torch.from_numpy(np.bincount(codes))
        novel, base = self._network()(shots, counts.to(device), to_device(self._base_coef_, device))
        self.coef_ = unit_rows(torch.cat([base, novel]).cpu().numpy().astype(np.float64))

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        EpisodicClassifier._check_learned(self, learned)
        if learned.has("classes_"):
            learned.array("coef_", "C", "D")
            learned.number("scale_")
            if self.n_base_classes_:
                learned.array("_base_coef_", "B", "D")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._transformed(X) @ (self.scale_ * self.coef_).T.astype(X.dtype)

    def _as_torch(self) -> nn.Module:
        from lowshot.classifiers.torch_modules import FeatureTransform, linear_layer

        transform = FeatureTransform(self.feature_transform, self._centre_)
        return nn.Sequential(transform, linear_layer(self.scale_ * self.coef_))

    def _scores_of_episodes(
        self, runs: Sequence[Self], shots: Sequence[Examples], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        return LowShotClassifier._scores_of_episodes(self, runs, shots, queries)

    def _loss(
        self, network: nn.Module, X: np.ndarray, codes: np.ndarray, episodes: Sequence[Episode], device: str
    ) -> torch.Tensor:
        losses = []
        for episode in episodes:
            with seeded(seed_of([episode])):
                losses.append(self._loss_of(network, X, codes, episode, device))
        return torch.stack(losses).mean()

    def _loss_of(self, network: Any, X: np.ndarray, codes: np.ndarray, episode: Episode, device: str) -> torch.Tensor:
        """The loss of one episode; its first classes are the ones that stand in for novel ones."""
        counts = episode.counts
        n_novel = len(counts) // 2 if self.n_stand_ins is None else min(self.n_stand_ins, len(counts) - 1)
        classes = codes[episode.support[np.cumsum(counts) - counts]]
        trained = to_device(self._base_coef_[classes], device)
        shots = to_device(self._transformed(X[episode.support[: counts[:n_novel].sum()]]), device)
        queries = to_device(self._transformed(X[episode.queries]), device)
        targets = torch.from_numpy(episode.targets).to(device)
        made = torch.cat(network(shots, torch.from_numpy(counts[:n_novel]).to(device), trained[n_novel:]))
        with torch.autocast(queries.device.type, enabled=False):
            made = made.float()
            losses = F.cross_entropy(network.scale * queries @ made.T, targets, reduction="none")
            of_novel = targets < n_novel
            loss = (losses[of_novel].mean() + losses[~of_novel].mean()) / 2
            return loss + self._further_loss(made, trained)

    def _further_loss(self, made: torch.Tensor, trained: torch.Tensor) -> torch.Tensor | float:
        """A term that compares the (W, D) weights that the network made with those that were trained."""
        return 0.0


def class_members(counts: torch.Tensor) -> torch.Tensor:
    """(K, S) float32 matrix that takes the mean of each class of S rows, class after class."""
    classes = torch.arange(len(counts), device=counts.device)
    owners = torch.repeat_interleave(classes, counts)
    return (owners == classes[:, None]).float() / counts[:, None]
