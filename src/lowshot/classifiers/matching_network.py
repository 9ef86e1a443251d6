"""Matching networks on saved features: attention over all support examples."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.checks import check_count
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.moments import blocks
from lowshot.classifiers.training_episodes import distinct
from lowshot.devices import autocast, to_device
from lowshot.files import Pathlike
from lowshot.registry import CLASSIFIERS

# The queries of a batch times support examples: one such float32 matrix takes 64 MiB, and a few exist at a time.
ATTENTION_CELLS = 2**24


class MatchingModule(nn.Module):
    """The network: embeds a support set, then queries in the context of it, and compares the two.

    Args:
        dim (int): D, the width of the features and of both states.
        contextual (bool): Embed in the context of the support set; else by one linear map, initially the identity.
        n_steps (int): K, the number of attention steps of a query over the support set.
    """

    def __init__(self, dim: int, contextual: bool, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.contextual = contextual
        if contextual:
            self.support_lstm = nn.LSTM(dim, dim, bidirectional=True)
            self.query_lstm = nn.LSTMCell(2 * dim, dim)
        else:
            self.embedding = nn.Linear(dim, dim, bias=False)
            nn.init.eye_(self.embedding.weight)

    def forward(self, support: torch.Tensor, counts: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the classes of the support examples.

        Args:
            support (Tensor, (..., S, D)): The support examples of one episode or of several, class after class.
            counts (Tensor, (W,) int64): The number of support examples of each class, the same in all episodes.
            queries (Tensor, (..., Q, D)): The queries.

        Returns:
            (..., Q, W) log-probabilities.
        """
        return self.compare(queries, self.encode(support), counts)

    def encode(self, support: torch.Tensor) -> torch.Tensor:
        """(..., S, D) encodings of a support set: g = x + forward + backward state of an LSTM over the examples."""
        if not self.contextual:
            return self.embedding(support)
        # With one episode the recurrence multiplies matrices by vectors, and reading the matrices takes the time; with
        # several it multiplies matrices by matrices.
        states = self.support_lstm(support.transpose(0, -2))[0].transpose(0, -2)
        return support + states.unflatten(-1, (2, -1)).sum(dim=-2)

    def compare(self, queries: torch.Tensor, encoded: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(..., Q, W) logarithms of the attention to each class's encodings, summed over the class."""
        queries = self._in_context(queries, encoded)
        # In logarithms a class with hardly any attention has a finite score.
        return sum_by_class(_products(queries, F.normalize(encoded, dim=-1)).log_softmax(dim=-1), counts)

    def _in_context(self, queries: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        if not self.contextual:
            return self.embedding(queries)
        hidden = queries
        cell = torch.zeros_like(queries.flatten(0, -2))
        for _ in range(self.n_steps):
            # Denormal numbers would slow the product down fourfold, and do not change it.
            attention = F.threshold(_products(hidden, encoded).softmax(dim=-1), 1e-30, 0.0)
            inputs = torch.cat([queries, attention @ encoded], dim=-1)
            output, cell = self.query_lstm(inputs.flatten(0, -2), (hidden.flatten(0, -2), cell))
            hidden = output.view_as(queries) + queries
        return hidden


def _products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner products in float32 under any autocast: as exponents they need its digits (bfloat16 rounds 100 to 0.5)."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().mT


def sum_by_class(logs: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Sum attention over the support examples of each class, in logarithms.

    Args:
        logs (Tensor, (..., Q, S)): The logarithms of the attention, class after class.
        counts (Tensor, (W,) int64): The number of support examples of each class.

    Returns:
        (..., Q, W) logarithms of the sums.
    """
    longest = int(counts.max())
    starts = counts.cumsum(0) - counts
    # Column s goes to its class's part of a table with ``longest`` places for each class; unused places hold log 0.
    classes = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    places = torch.arange(logs.shape[-1], device=counts.device) + (longest * classes - starts[classes])
    table = logs.new_full((*logs.shape[:-1], len(counts) * longest), -torch.inf).index_copy(-1, places, logs)
    return table.unflatten(-1, (len(counts), longest)).logsumexp(dim=-1)


@CLASSIFIERS.register("matching_network", "attention over support examples embedded in each other's context")
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
    and the shots of each novel class repeated ceil(``n_support`` / n) times, class after class. It is encoded once for
    each :meth:`fit_novel`. The default training is the paper's and wants a GPU.

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
        self._encode(*self._base_support_)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        support, counts = self._repeated(X, codes)
        if self.n_base_classes_:
            base_support, base_counts = self._base_support_
            support, counts = np.concatenate([base_support, support]), np.concatenate([base_counts, counts])
        self._encode(support, counts)

    def _repeated(self, X: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Examples class after class, those of a class repeated until there are ``n_support``, and the counts."""
        counts = np.bincount(codes)
        times = -(-self.n_support // counts)
        rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
        order = np.concatenate([np.tile(own, n) for own, n in zip(rows, times)])
        return X[order].astype(np.float32), counts * times

    @torch.inference_mode()
    def _encode(self, support: np.ndarray, counts: np.ndarray) -> None:
        device = self._device()
        with autocast(device, self.precision):
            self._encoded_ = self._network().encode(to_device(support, device)).float().cpu().numpy()
        self._counts_ = counts

    @torch.inference_mode()
    def _scores(self, X: np.ndarray) -> np.ndarray:
        device = self._device()
        network, encoded = self._network(), to_device(self._encoded_, device)
        counts = torch.from_numpy(self._counts_).to(device)
        scores = np.empty((len(X), len(self.classes_)), np.float32)
        with autocast(device, self.precision):
            for rows in blocks(len(X), max(1, ATTENTION_CELLS // len(encoded))):
                scores[rows] = network.compare(to_device(X[rows], device), encoded, counts).cpu().numpy()
        return scores
