"""The matching network for one episode at a time."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lowshot.classifiers.matching_module import MatchingModule, sum_by_class
from lowshot.compat.query_encoder import attended, embed_queries


class EpisodeModule(MatchingModule):
    """:class:`~lowshot.classifiers.matching_module.MatchingModule` for support (S, D) and queries (Q, D).

    Parameters and results are the same, up to rounding; the query encoder is
    :func:`~lowshot.compat.query_encoder.embed_queries`.

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
            log_times (float32 tensor of shape (S,) or None): The logarithm of how often each encoding occurs in the
                support set; None for once.

        Returns:
            float32 tensor of shape (Q, W): Log-probabilities of the classes.
        """
        embedded = embed_queries(self.query_lstm, queries, encoded, self.n_steps, log_times)
        products = attended(embedded, F.normalize(encoded, dim=-1), log_times)
        return sum_by_class(products.log_softmax(dim=-1), counts)
