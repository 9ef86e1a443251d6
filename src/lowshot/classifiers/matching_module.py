"""The network of matching networks (Vinyals et al. 2016, arXiv 1606.04080), without the estimator around it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


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
        queries = self.in_context(queries, encoded)
        # In logarithms a class with hardly any attention has a finite score.
        return sum_by_class(_products(queries, F.normalize(encoded, dim=-1)).log_softmax(dim=-1), counts)

    def in_context(self, queries: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """(..., Q, D) embeddings of queries in the context of the (..., S, D) encodings of a support set."""
        if not self.contextual:
            return self.embedding(queries)
        hidden = queries
        cell = torch.zeros_like(queries.flatten(0, -2))
        for _ in range(self.n_steps):
            attention = _products(hidden, encoded).softmax(dim=-1)
            if not torch.jit.is_tracing():
                # Denormal numbers would slow the product down fourfold, and do not change it.
                attention = F.threshold(attention, 1e-30, 0.0)
            inputs = torch.cat([queries, attention @ encoded], dim=-1)
            output, cell = self.query_lstm(inputs.flatten(0, -2), (hidden.flatten(0, -2), cell))
            hidden = output.view_as(queries) + queries
        return hidden


def _products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner products in float32 under any autocast: as exponents they need its digits (bfloat16 rounds 100 to 0.5)."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().transpose(-1, -2)


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
