"""The query encoder, whose gradient is written out, against a loop over torch's LSTM cell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lowshot.compat.query_encoder import embed_queries

DIM, N_QUERIES, N_SUPPORT = 5, 4, 9


def loop(cell: nn.LSTMCell, queries: Tensor, encoded: Tensor, n_steps: int, log_times: Tensor | None) -> Tensor:
    """The definition, differentiated by autograd."""
    hidden, state = queries, torch.zeros_like(queries)
    for _ in range(n_steps):
        exponents = hidden @ encoded.T
        if log_times is not None:
            exponents = exponents + log_times
        read = exponents.softmax(dim=1) @ encoded
        output, state = cell(torch.cat([queries, read], dim=1), (hidden, state))
        hidden = output + queries
    return hidden


def case(dtype: torch.dtype) -> tuple[nn.LSTMCell, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    cell = nn.LSTMCell(2 * DIM, DIM).to(dtype)
    return (
        cell,
        torch.rand(N_QUERIES, DIM, dtype=dtype),
        torch.rand(N_SUPPORT, DIM, dtype=dtype),
        torch.arange(9.0).to(dtype),
    )


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_values_and_gradients_are_those_of_the_loop(
    n_steps: int, repeated: bool, dtype: torch.dtype, within: float
) -> None:
    cell, queries, encoded, log_times = case(dtype)
    found = []
    for embed in (loop, embed_queries):
        leaves = [tensor.clone().requires_grad_() for tensor in (queries, encoded)]
        embedded = embed(cell, *leaves, n_steps, log_times if repeated else None)
        cell.zero_grad()
        (embedded * torch.arange(embedded.numel()).view_as(embedded)).sum().backward()
        found.append([embedded.detach(), *(leaf.grad for leaf in leaves), *(p.grad.clone() for p in cell.parameters())])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=within * float(expected.abs().max()))


def test_queries_need_no_gradient() -> None:
    cell, queries, encoded, _ = case(torch.float64)
    with_gradient = queries.clone().requires_grad_()
    gradients = []
    for each in (queries, with_gradient):
        cell.zero_grad()
        embed_queries(cell, each, encoded, 3).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in cell.parameters()])
    assert queries.grad is None
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_values_are_the_same_without_gradients() -> None:
    cell, queries, encoded, log_times = case(torch.float32)
    with torch.no_grad():
        without = embed_queries(cell, queries, encoded, 5, log_times)
    assert torch.equal(without, embed_queries(cell, queries, encoded, 5, log_times))
