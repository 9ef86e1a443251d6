"""Operations that torch has for a GPU alone, on a CPU."""

from __future__ import annotations

import torch


def _lstm_cell(
    from_input: torch.Tensor,
    from_hidden: torch.Tensor,
    cell: torch.Tensor,
    input_bias: torch.Tensor | None = None,
    hidden_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden state, cell and gates of an LSTM after one step, as the GPU's fused kernel computes them."""
    gates = from_input + from_hidden
    if input_bias is not None and hidden_bias is not None:
        gates = gates + input_bias + hidden_bias
    enter, forget, candidate, leave = gates.chunk(4, dim=1)
    enter, forget, candidate, leave = enter.sigmoid(), forget.sigmoid(), candidate.tanh(), leave.sigmoid()
    cell = forget * cell + enter * candidate
    return leave * cell.tanh(), cell, torch.cat([enter, forget, candidate, leave], dim=1)


def _lstm_cell_backward(
    by_hidden: torch.Tensor | None,
    by_cell: torch.Tensor | None,
    before: torch.Tensor,
    after: torch.Tensor,
    gates: torch.Tensor,
    has_bias: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Gradients by the gates before their activations, by the cell before the step, and by either bias."""
    enter, forget, candidate, leave = gates.chunk(4, dim=1)
    by_hidden = torch.zeros_like(after) if by_hidden is None else by_hidden
    by_cell = torch.zeros_like(after) if by_cell is None else by_cell
    bent = after.tanh()
    by_cell = by_cell + by_hidden * leave * (1 - bent**2)
    parts = [
        by_cell * candidate * enter * (1 - enter),
        by_cell * before * forget * (1 - forget),
        by_cell * enter * (1 - candidate**2),
        by_hidden * bent * leave * (1 - leave),
    ]
    by_gates = torch.cat(parts, dim=1)
    return by_gates, by_cell * forget, by_gates.sum(dim=0) if has_bias else None


# By torch's names.
KERNELS = {"_thnn_fused_lstm_cell": _lstm_cell, "_thnn_fused_lstm_cell_backward_impl": _lstm_cell_backward}
