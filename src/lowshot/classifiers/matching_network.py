"""Matching networks on saved features: attention over all support examples."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from lowshot.checks import check_count
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.matching_module import MatchingModule
from lowshot.classifiers.moments import blocks
from lowshot.classifiers.training_episodes import distinct
from lowshot.devices import autocast, to_device
from lowshot.estimator_files import LearnedState
from lowshot.files import Pathlike
from lowshot.papers import HARIHARAN_2017, VINYALS_2016
from lowshot.registry import CLASSIFIERS

# The queries of a batch times support examples: one such float32 matrix takes 64 MiB, and a few exist at a time.
ATTENTION_CELLS = 2**24


@CLASSIFIERS.register(
    "matching_network",
    "attention over support examples embedded in each other's context",
    bibtex=VINYALS_2016 + HARIHARAN_2017,
)
class MatchingNetwork(EpisodicClassifier):
    """Attention over support examples: each votes for its class with a learned weight.

    Vinyals et al. (2016, arXiv 1606.04080) on fixed features, as in Hariharan and Girshick (2017, arXiv 1606.02819,
    section 5). Full contextual embedding: a bidirectional LSTM over the support set gives g = x + forward + backward;
    a query f takes K steps of an LSTM whose input is f and the g that attention selects, and whose hidden state starts
    at f and has f added after every step. The score of a class is the log of the softmax, over all support examples, of
    the query's inner product with the normalised g, summed over the class. ``prototypical`` compares with one mean of
    each class, this one with every example.

    A training episode has all base classes in random order, 1 to 10 support examples and one query of each. At
    inference the support set holds ``n_support`` random examples of each base class, drawn once by :meth:`fit_base`,
    and the shots of each novel class repeated ceil(``n_support`` / n) times. It is encoded once for each
    :meth:`fit_novel`. Where that leaves novel classes with different numbers, the votes of each class together weigh as
    much as those of the smallest. The default training is the paper's and wants a GPU.

    The encoding depends on the order of the support set. Here the base classes come first and the novel ones after
    them, both in sorted order and class after class; the examples of a base class in the order in which they were
    drawn, the shots of a novel class in the order given, all of them once and then again. The original program's order
    is another one (docs/original.md), which ``lowshot.compat.matching_network`` follows.

    Args:
        contextual (bool): Full contextual embedding, or the plain variant, which embeds by one linear map (the network
            that extracted the features is fixed, so the map is all that can be learned).
        query_steps (int): K.
        n_support (int): The number of support examples of a class.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`. Several episodes in a
    step, which share their numbers of shots, cost less each, most of all on a GPU; but 60 000 episodes are then only
    60 000 / ``episodes_per_step`` steps, so take a larger ``lr`` or more episodes.
    """

    inference_parameters = frozenset({"n_support"})
    tuning_grid = {"n_support": (5, 20, 100)}

    def __init__(
        self,
        contextual: bool = True,
        query_steps: int = 5,
        n_support: int = 100,
        n_episodes: int = 60_000,
        episodes_per_step: int = 1,
        lr: float = 0.1,
        momentum: float = 0.9,
        dampening: float = 0.9,
        weight_decay: float = 1e-3,
        decay_every: int = 20_000,
        n_way: int | None = None,
        n_shots: tuple[int, int] = (1, 10),
        n_queries: int = 1,
        precision: str = "float32",
        checkpoint: Pathlike | None = None,
        checkpoint_every: int = 1000,
        pretrained: Pathlike | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.contextual = contextual
        self.query_steps = query_steps
        self.n_support = n_support
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
        return MatchingModule(dim, self.contextual and trained, self.query_steps)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_count("n_support", self.n_support)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._learn(X, codes)
        rows = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes)
        places = distinct(np.random.default_rng(self.random_state), sizes, self.n_support)
        drawn = rows[(np.cumsum(sizes) - sizes)[:, None] + places]
        exists = np.arange(self.n_support) < sizes[:, None]
        self._base_support_ = self._repeated(X[drawn[exists]], np.nonzero(exists)[0])
        self._forget_novel()

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        support, counts = self._repeated(X, codes)
        if self.n_base_classes_:
            base_support, base_counts = self._base_support_
            support, counts = np.concatenate([base_support, support]), np.concatenate([base_counts, counts])
        self._set_support(self._encoded(support), counts)

    def _forget_novel(self) -> None:
        support, self._counts_ = self._base_support_
        self._encoded_ = self._encoded(support)
        if hasattr(self, "_vote_offsets_"):
            del self._vote_offsets_

    def _classes_are_independent(self) -> bool:
        """True where an example is encoded by itself: in the plain variant, and where no network was trained."""
        return not self.contextual or not getattr(self, "_weights_", {})

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        if not self._classes_are_independent():
            return False
        support, counts = self._repeated(X, codes)
        groups = np.split(self._encoded_, np.cumsum(self._counts_)[:-1])
        groups += np.split(self._encoded(support), np.cumsum(counts)[:-1])
        places = np.arange(len(groups))
        self._set_groups(groups, self._joined(places[: -len(labels)], places[-len(labels) :], order))
        return True

    def _keep_classes(self, kept: np.ndarray) -> bool:
        if not self._classes_are_independent():
            return False
        groups = np.split(self._encoded_, np.cumsum(self._counts_)[:-1])
        base = self.n_base_classes_
        self._set_groups(groups, np.concatenate([np.arange(base), base + kept]))
        return True

    def _set_groups(self, groups: list[np.ndarray], classes: np.ndarray) -> None:
        chosen = [groups[place] for place in classes]
        self._set_support(np.concatenate(chosen), np.array([len(group) for group in chosen]))

    def _set_support(self, encoded: np.ndarray, counts: np.ndarray) -> None:
        """Take the (S, D) encodings of the support set and the (C,) number of each class's."""
        self._encoded_, self._counts_ = encoded, counts
        # A class of more shots than ``n_support`` has more votes than another; each of them then weighs less.
        novel = counts[self.n_base_classes_ :]
        self._vote_offsets_ = np.zeros(len(counts), np.float32)
        self._vote_offsets_[self.n_base_classes_ :] = np.log(novel.min() / novel)

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        if not learned.has("classes_"):
            return
        encoded = learned.array("_encoded_", "support examples", "D")
        learned.counts("_counts_", "C", total=len(encoded))
        if learned.has("_vote_offsets_"):
            learned.array("_vote_offsets_", "C")
        if self.n_base_classes_:
            support, counts = learned.parts("_base_support_", 2)
            learned.check("_base_support_", support, "base support examples", "D")
            learned.check_counts("_base_support_", counts, "B", total=len(support))

    def _repeated(self, X: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Examples class after class, those of a class repeated until there are ``n_support``, and the counts."""
        counts = np.bincount(codes)
        times = -(-self.n_support // counts)
        rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
        order = np.concatenate([np.tile(own, n) for own, n in zip(rows, times)])
        return X[order].astype(np.float32), counts * times

    @torch.inference_mode()
    def _encoded(self, support: np.ndarray) -> np.ndarray:
        device = self._device()
        with autocast(device, self.precision):
            encoded: np.ndarray = self._network().encode(to_device(support, device)).float().cpu().numpy()
        return encoded

    def _as_torch(self) -> nn.Module:
        from lowshot.classifiers.torch_modules import Attention

        network = copy.deepcopy(self._network()).cpu()
        offsets = getattr(self, "_vote_offsets_", np.zeros(len(self._counts_)))
        return Attention(network, self._encoded_, self._counts_, offsets)

    @torch.inference_mode()
    def _scores(self, X: np.ndarray) -> np.ndarray:
        device = self._device()
        network, encoded = self._network(), to_device(self._encoded_, device)
        counts = torch.from_numpy(self._counts_).to(device)
        scores = np.empty((len(X), len(self.classes_)), np.float32)
        with autocast(device, self.precision):
            for rows in blocks(len(X), max(1, ATTENTION_CELLS // len(encoded))):
                scores[rows] = network.compare(to_device(X[rows], device), encoded, counts).cpu().numpy()
        offsets = getattr(self, "_vote_offsets_", None)  # none after fit_base alone
        return scores if offsets is None or not offsets.any() else scores + offsets
