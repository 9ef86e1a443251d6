"""Matching networks on saved features: attention over the whole support set."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.episodes import distinct
from lowshot.classifiers.episodic_training import autocast, to_device
from lowshot.classifiers.learned import EpisodicClassifier, Path
from lowshot.classifiers.moments import blocks
from lowshot.classifiers.transforms import check_at_least
from lowshot.registry import CLASSIFIERS

# Queries of a batch times support examples: one such float32 matrix takes 64 MiB, and a few exist at a time.
ATTENTION_CELLS = 2**24


class MatchingModule(nn.Module):
    """The network: embeds a support set, then queries in its light, and compares the two.

    Args:
        dim: D, width of the features and of both states.
        contextual: embed in the context of the support set; else by one linear map that starts as the identity.
        n_steps: K, the steps of a query over the support set.
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
        """(..., Q, W) log-probabilities of the classes of support examples, class after class, ``counts`` of each.

        Args:
            support: (..., S, D), of one episode or of several.
            counts: (W,) int64, the same in all of them.
            queries: (..., Q, D).
        """
        return self.compare(queries, self.encode(support), counts)

    def encode(self, support: torch.Tensor) -> torch.Tensor:
        """(..., S, D) encodings: g = x + forward + backward state of an LSTM that reads the set in its order."""
        if not self.contextual:
            return self.embedding(support)
        # One episode at a time the recurrence is vectors times matrices, and reading the matrices takes the time;
        # with several it is matrices times matrices.
        states = self.support_lstm(support.transpose(0, -2))[0].transpose(0, -2)
        return support + states.unflatten(-1, (2, -1)).sum(dim=-2)

    def compare(self, queries: torch.Tensor, encoded: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(..., Q, W) log of the attention that each class's encodings get, summed."""
        queries = self._in_context(queries, encoded)
        # In logarithms a class with next to no attention keeps a finite score.
        return sum_by_class(_products(queries, F.normalize(encoded, dim=-1)).log_softmax(dim=-1), counts)

    def _in_context(self, queries: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        if not self.contextual:
            return self.embedding(queries)
        hidden = queries
        cell = torch.zeros_like(queries.flatten(0, -2))
        for _ in range(self.n_steps):
            # Denormal numbers would slow the product down fourfold, and weigh nothing.
            attention = F.threshold(_products(hidden, encoded).softmax(dim=-1), 1e-30, 0.0)
            inputs = torch.cat([queries, attention @ encoded], dim=-1)
            output, cell = self.query_lstm(inputs.flatten(0, -2), (hidden.flatten(0, -2), cell))
            hidden = output.view_as(queries) + queries
        return hidden


def _products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner products in float32 under any autocast: they are exponents, and bfloat16 would round 100 to 0.5."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().mT


def sum_by_class(logs: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """(..., Q, W) logarithms of sums over runs of ``counts`` columns of exp of the (..., Q, S) ``logs``."""
    longest = int(counts.max())
    starts = counts.cumsum(0) - counts
    # Column s goes to its class's stretch of a table with ``longest`` places a class; unused places hold log 0.
    classes = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    places = torch.arange(logs.shape[-1], device=counts.device) + (longest * classes - starts[classes])
    table = logs.new_full((*logs.shape[:-1], len(counts) * longest), -torch.inf).index_copy(-1, places, logs)
    return table.unflatten(-1, (len(counts), longest)).logsumexp(dim=-1)


@CLASSIFIERS.register("matching_network", "attention over support examples embedded in each other's context")
class MatchingNetwork(EpisodicClassifier):
    """Every support example votes for its class with a weight that a network learned to give.

    Vinyals et al. (2016, arXiv 1606.04080) on fixed features, as in Hariharan and Girshick (2017, arXiv 1606.02819,
    section 5). Full contextual embedding: a bidirectional LSTM over the support set gives g = x + forward + backward;
    a query f takes K steps of an LSTM whose input is f and what it reads, by attention, from g, and whose hidden state
    starts at f and has f added after every step. The score of a class is the log of the softmax, over all support
    examples, of the query's inner product with the normalised g, summed over the class. Where ``prototypical`` compares
    with one mean a class, here every example counts.

    Training: an episode has all base classes in random order, 1 to 10 support examples and one query of each. In use
    the support set holds ``n_support`` random examples of each base class, drawn once by :meth:`fit_base`, and the
    shots of each novel class repeated ceil(``n_support`` / n) times, class after class. It is encoded once for each
    :meth:`fit_novel`.

    Args:
        contextual: full contextual embedding, or the plain variant, which embeds by one linear map (the network under
            the features is fixed, so the map is what there is to learn).
        query_steps: K.
        n_support: support examples of a class.
        n_episodes, lr, momentum, dampening, weight_decay, decay_every: training; the rate falls to a tenth every
            ``decay_every`` episodes. The defaults are the paper's and want a GPU.
        episodes_per_step: episodes whose mean loss a step goes down. Several are computed side by side, which costs
            less an episode, most of all on a GPU; but 60 000 episodes are then only 60 000 / ``episodes_per_step``
            steps, so a larger ``lr`` or more episodes go with it. The episodes of a step share their numbers of shots.
        n_way, n_shots, n_queries: classes of an episode (``None``: all), least and most shots, queries of a class.
        precision: ``"float32"`` or ``"bfloat16"``, which is float32 on a processor that has no instructions for it.
        checkpoint: a file to save the training in and go on from; ``None`` for no file.
        checkpoint_every: episodes between saves.
        pretrained: a file of :func:`~lowshot.classifiers.persistence.save_classifier` whose network is taken instead
            of training one, on whatever base classes it was learned.
        device: ``"auto"`` for a GPU if there is one, or a name torch knows.
        random_state: seeds weights, episodes and the base support.
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
        checkpoint: Path | None = None,
        checkpoint_every: int = 1000,
        pretrained: Path | None = None,
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
        check_at_least(1, n_support=self.n_support)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._learn(X, codes)
        rows = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes)
        places = distinct(np.random.default_rng(self.random_state), sizes, self.n_support)
        drawn = rows[(np.cumsum(sizes) - sizes)[:, None] + places]
        kept = np.arange(self.n_support) < sizes[:, None]
        self._base_support_ = self._repeated(X[drawn[kept]], np.nonzero(kept)[0])
        self._encode(*self._base_support_)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        support, counts = self._repeated(X, codes)
        if self.n_base_classes_:
            base_support, base_counts = self._base_support_
            support, counts = np.concatenate([base_support, support]), np.concatenate([base_counts, counts])
        self._encode(support, counts)

    def _repeated(self, X: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Examples class after class, those of a class repeated until there are ``n_support``; and how many of each."""
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
