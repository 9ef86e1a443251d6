"""The query encoder of matching networks (Vinyals et al. 2016, appendix A.2), with its gradient written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def embed_queries(
    cell: nn.LSTMCell, queries: Tensor, encoded: Tensor, n_steps: int, log_times: Tensor | None = None
) -> Tensor:
    """Embed queries in the context of an encoded support set.

    Each of K steps attends to the encodings, and gives the queries and what it read to an LSTM cell; its state plus the
    query is the embedding. This equals the loop over the cell up to rounding, but the queries, which are the same in
    all steps, are multiplied once, and the gradient of each weight, a sum over the steps, is one product.

    Args:
        cell (LSTMCell): The cell, with 2 D inputs and a state of D.
        queries (float tensor of shape (Q, D)): The queries.
        encoded (float tensor of shape (S, D)): The encodings of the support set.
        n_steps (int): K, the number of steps.
        log_times (float tensor of shape (S,) or None): The logarithm of how often each encoding occurs in the support
            set; None for once. It has no gradient.

    Returns:
        float tensor of shape (Q, D): The embeddings.
    """
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    if not torch.is_grad_enabled():
        return _embed(queries, encoded, weights, n_steps, log_times, None)
    embeddings: Tensor = _Embedding.apply(queries, encoded, *weights, n_steps, log_times)
    return embeddings


def attended(queries: Tensor, encoded: Tensor, log_times: Tensor | None) -> Tensor:
    """Return the (Q, S) exponents of the attention of queries (Q, D) to encodings (S, D)."""
    if log_times is None:
        return queries @ encoded.T
    return torch.addmm(log_times, queries, encoded.T)


class _Step(NamedTuple):
    """One step, as its gradient needs it: (Q, S) attention and (Q, D) states and gates."""

    attention: Tensor
    state_before: Tensor
    gates: tuple[Tensor, Tensor, Tensor, Tensor]
    squashed: Tensor


class _Record:
    """All steps; the inputs of the products with weights are (K · Q, D), one step after the other."""

    def __init__(self, queries: Tensor, n_steps: int) -> None:
        self.steps: list[_Step] = []
        self.reads, self.hidden = (queries.new_empty(n_steps, *queries.shape) for _ in range(2))


def _embed(
    queries: Tensor,
    encoded: Tensor,
    weights: Sequence[Tensor],
    n_steps: int,
    log_times: Tensor | None,
    record: _Record | None,
) -> Tensor:
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    dim = queries.shape[1]
    of_queries = torch.addmm(bias_ih + bias_hh, queries, weight_ih[:, :dim].T)
    hidden, state = queries, torch.zeros_like(queries)
    for k in range(n_steps):
        # Denormal numbers would slow the product down fourfold, and do not change it.
        attention = nn.functional.threshold(attended(hidden, encoded, log_times).softmax(dim=1), 1e-30, 0.0)
        read = attention @ encoded
        gates = torch.addmm(of_queries, read, weight_ih[:, dim:].T).addmm_(hidden, weight_hh.T)
        enter, keep, new, leave = gates.chunk(4, dim=1)
        enter, keep, new, leave = enter.sigmoid(), keep.sigmoid(), new.tanh(), leave.sigmoid()
        before, state = state, torch.addcmul(keep * state, enter, new)
        squashed = state.tanh()
        if record is not None:
            record.reads[k], record.hidden[k] = read, hidden
            record.steps.append(_Step(attention, before, (enter, keep, new, leave), squashed))
        hidden = torch.addcmul(queries, leave, squashed)
    return hidden


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, encoded: Tensor, *rest: Any) -> Tensor:
        *weights, n_steps, log_times = rest
        ctx.record = _Record(queries, n_steps)
        ctx.save_for_backward(queries, encoded, *weights)
        return _embed(queries, encoded, weights, n_steps, log_times, ctx.record)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_embeddings: Tensor) -> tuple[Tensor | None, ...]:
        queries, encoded, weight_ih, weight_hh, *_ = ctx.saved_tensors
        record = ctx.record
        n_steps, (n_queries, dim) = len(record.steps), queries.shape
        needs_queries = ctx.needs_input_grad[0]
        # Everything here is the gradient of what the name says; exponents are those of the attention.
        of_gates = queries.new_empty(n_steps, n_queries, 4 * dim)
        of_reads, of_exponents = torch.empty_like(record.reads), queries.new_empty(n_steps, n_queries, len(encoded))
        of_hidden, of_state = of_embeddings, torch.zeros_like(queries)
        of_queries = torch.zeros_like(queries)
        for k in reversed(range(n_steps)):
            attention, before, (enter, keep, new, leave), squashed = record.steps[k]
            if needs_queries:
                of_queries += of_hidden
            of_state = torch.addcmul(of_state, of_hidden * leave, 1 - squashed * squashed)
            parts = of_gates[k].chunk(4, dim=1)
            torch.mul(of_state * new, enter * (1 - enter), out=parts[0])
            torch.mul(of_state * before, keep * (1 - keep), out=parts[1])
            torch.mul(of_state * enter, 1 - new * new, out=parts[2])
            torch.mul(of_hidden * squashed, leave * (1 - leave), out=parts[3])
            of_state = of_state * keep
            torch.mm(of_gates[k], weight_ih[:, dim:], out=of_reads[k])
            of_attention = of_reads[k] @ encoded.T
            of_attention -= (of_attention * attention).sum(dim=1, keepdim=True)
            torch.mul(of_attention, attention, out=of_exponents[k])
            if k or needs_queries:  # the first step's hidden state is the query
                of_hidden = torch.addmm(of_gates[k] @ weight_hh, of_exponents[k], encoded)
        if needs_queries:
            of_queries += torch.addmm(of_hidden, of_gates.sum(dim=0), weight_ih[:, :dim])
        attentions = torch.stack([step.attention for step in record.steps])
        of_encoded = attentions.flatten(0, 1).T @ of_reads.flatten(0, 1)
        of_encoded.addmm_(of_exponents.flatten(0, 1).T, record.hidden.flatten(0, 1))
        per_step = of_gates.flatten(0, 1).T
        of_weight_ih = torch.empty_like(weight_ih)
        torch.mm(of_gates.sum(dim=0).T, queries, out=of_weight_ih[:, :dim])
        torch.mm(per_step, record.reads.flatten(0, 1), out=of_weight_ih[:, dim:])
        of_bias = of_gates.sum(dim=(0, 1))
        of_weight_hh = per_step @ record.hidden.flatten(0, 1)
        return (
            of_queries if needs_queries else None,
            of_encoded,
            of_weight_ih,
            of_weight_hh,
            of_bias,
            of_bias,
            None,
            None,
        )
