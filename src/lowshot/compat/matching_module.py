"""The matching network with the products of its query encoder arranged for one episode at a time."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lowshot.classifiers.matching_module import MatchingModule, sum_by_class


class EpisodeModule(MatchingModule):
    """:class:`~lowshot.classifiers.matching_module.MatchingModule` for support (S, D) and queries (Q, D).

    The LSTM cell of the query encoder reads [f, attention read] and the hidden state. Its product with f is the same in
    all K steps, and the other two are one product: K steps take 2 K + 1 products of (Q, D) with (D, 4 D), instead of
    3 K. Parameters and results are the same, up to rounding.

    Args:
        dim (int): D, the width of the features and of both states.
        n_steps (int): K, the number of attention steps of a query over the support set.
    """

    def __init__(self, dim: int, n_steps: int) -> None:
        super().__init__(dim, contextual=True, n_steps=n_steps)

    def compare(
        self,
        queries: torch.Tensor,
        encoded: torch.Tensor,
        counts: torch.Tensor,
        log_times: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compare queries with an encoded support set.

        Args:
            queries (float32 tensor of shape (Q, D)): The queries.
            encoded (float32 tensor of shape (S, D)): The encodings, class after class.
            counts (int64 tensor of shape (W,)): The number of encodings of each class.
            log_times (float32 tensor of shape (S,) or None): The logarithm of how often each encoding stands in the
                support set; None for once.

        Returns:
            float32 tensor of shape (Q, W): Log-probabilities of the classes.
        """
        hidden = self._embed(queries, encoded, log_times)
        products = _attended(hidden, F.normalize(encoded, dim=-1), log_times)
        return sum_by_class(products.log_softmax(dim=-1), counts)

    def _embed(self, queries: torch.Tensor, encoded: torch.Tensor, log_times: torch.Tensor | None) -> torch.Tensor:
        cell, dim = self.query_lstm, queries.shape[-1]
        of_queries = F.linear(queries, cell.weight_ih[:, :dim], cell.bias_ih + cell.bias_hh)
        of_step = torch.cat([cell.weight_ih[:, dim:], cell.weight_hh], dim=1).T
        hidden, state = queries, torch.zeros_like(queries)
        for _ in range(self.n_steps):
            # Denormal numbers would slow the product down fourfold, and do not change it.
            attention = F.threshold(torch.softmax(_attended(hidden, encoded, log_times), dim=-1), 1e-30, 0.0)
            gates = torch.addmm(of_queries, torch.cat([attention @ encoded, hidden], dim=1), of_step)
            enter, keep, new, leave = gates.chunk(4, dim=1)
            state = keep.sigmoid() * state + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * state.tanh() + queries
        return hidden


def _attended(queries: torch.Tensor, encoded: torch.Tensor, log_times: torch.Tensor | None) -> torch.Tensor:
    """(Q, S) exponents of the attention."""
    if log_times is None:
        return queries @ encoded.T
    return torch.addmm(log_times, queries, encoded.T)
