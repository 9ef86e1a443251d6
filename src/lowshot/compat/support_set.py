"""The support set of a matching network's test, in the original's order, encoded and compared with queries.

Its novel part is one block of shots, repeated until there are 100 of each class. The recurrence of the encoder forgets:
after a few repetitions its state at the end of a block is, up to rounding, what it was at the beginning, and from then
on every repetition is encoded alike. Those are encoded once, and count in the attention as often as they occur.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lowshot.compat.evaluation import RunData
from lowshot.compat.matching_module import EpisodeModule
from lowshot.devices import pick_device, to_device

N_SUPPORT = 100
# The queries of a batch times support examples: one such float32 matrix takes 8 MiB, and a few exist at a time.
ATTENTION_CELLS = 2**21
# The change of the state over a block, relative to it where it is above 1, that is rounding: float32 has 1e-7.
ROUNDING = 5e-7

State = tuple[torch.Tensor, torch.Tensor]


class SupportRows(NamedTuple):
    """The support set of a test in the order in which the original's encoder reads it.

    Attributes:
        base (int64 array of shape (M,)): The rows of base examples, class after class in the order of the split's list,
            in ascending order within a class.
        shots (int64 array of shape (N · n,)): The rows of all shots, in ascending order.
        repetitions (int): How often the block of shots is repeated there, ceil(100 / n).
    """

    base: np.ndarray
    shots: np.ndarray
    repetitions: int

    @property
    def in_order(self) -> np.ndarray:
        """All rows, repetitions included."""
        return np.concatenate([self.base, np.tile(self.shots, self.repetitions)])


def support_rows(
    labels: np.ndarray, base: np.ndarray, shots: np.ndarray, n_shots: int, rng: np.random.Generator
) -> SupportRows:
    """Draw the support set of a test.

    Args:
        labels (int array of shape (N,)): The labels of the train features.
        base (int array of shape (B,)): The base classes, in the order of the split's list.
        shots (int array of shape (M,)): The rows of all shots.
        n_shots (int): The shots of each novel class.
        rng (numpy Generator): The source of the choice of base examples, up to 100 of each class.
    """
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], base, side="left")
    ends = np.searchsorted(labels[order], base, side="right")
    chosen = [
        np.sort(rng.choice(order[start:end], min(N_SUPPORT, end - start), replace=False))
        for start, end in zip(starts, ends)
    ]
    return SupportRows(np.concatenate(chosen), np.sort(shots), -(-N_SUPPORT // n_shots))


class SupportSet:
    """A matching network with the encoded support set of one run.

    Args:
        state (mapping of str to float32 array): The weights of the network, by lowshot's names.
        data (RunData): The files of the run.
        n_steps (int): K, the steps of a query over the support set.
        n_shots (int): The shots of each novel class.
        seed (int): The seed of the choice of base examples.
    """

    def __init__(self, state: Mapping[str, np.ndarray], data: RunData, n_steps: int, n_shots: int, seed: int) -> None:
        self._device = pick_device()
        self._network = EpisodeModule(data.train.dim, n_steps)
        self._network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        self._network.to(self._device).eval()
        self._num_classes = data.num_classes
        rows = support_rows(data.train.labels, data.base, data.shots, n_shots, np.random.default_rng([3, seed]))
        base, shots = (to_device(data.train.rows(part), self._device) for part in (rows.base, rows.shots))
        with torch.inference_mode():
            encoded, places, times = encode_repeated(self._network.support_lstm, base, shots, rows.repetitions)
        labels = data.train.labels[np.concatenate([rows.base, rows.shots])[places]]
        # The order matters to the encoding alone: what is compared is summed by class.
        by_class = np.argsort(labels, kind="stable")
        self._encoded = encoded[torch.from_numpy(by_class).to(self._device)]
        self._log_times = torch.from_numpy(times[by_class]).float().log().to(self._device)
        self._classes, counts = np.unique(labels, return_counts=True)
        self._counts = torch.from_numpy(counts).to(self._device)

    @torch.inference_mode()
    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return (n, num_classes) log-probabilities of features (n, D); -inf for classes without support."""
        scores = np.full((len(features), self._num_classes), -np.inf, np.float32)
        size = max(1, ATTENTION_CELLS // len(self._encoded))
        for first in range(0, len(features), size):
            queries = to_device(features[first : first + size], self._device)
            found = self._network.compare(queries, self._encoded, self._counts, self._log_times)
            scores[first : first + size, self._classes] = found.cpu().numpy()
        return scores


def encode_repeated(
    lstm: nn.LSTM, base: torch.Tensor, shots: torch.Tensor, repetitions: int
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Encode base examples followed by a block of shots, several times: x + forward + backward.

    Args:
        lstm (LSTM): The bidirectional encoder.
        base (float32 tensor of shape (M, D)): The base examples.
        shots (float32 tensor of shape (S, D)): The block.
        repetitions (int): R, how often the block is repeated.

    Returns:
        tuple: The distinct encodings (P, D); the example of each, a row of ``base`` and then of ``shots``, (P,); and
        how often each occurs in the whole sequence, (P,).
    """
    forward, backward = (_one_direction(lstm, suffix) for suffix in ("", "_reverse"))
    of_base, state = _run(forward, base, None)
    ahead, _ = _run_blocks(forward, shots, repetitions, state)
    behind, state = _run_blocks(backward, shots.flip(0), repetitions, None)
    base_behind, _ = _run(backward, base.flip(0), state)
    # Repetition r has the forward states of the r-th block, and the backward states of the r-th from the end.
    pairs = [(min(r, len(ahead) - 1), min(repetitions - 1 - r, len(behind) - 1)) for r in range(repetitions)]
    distinct = list(dict.fromkeys(pairs))
    blocks = [shots + ahead[i] + behind[j].flip(0) for i, j in distinct]
    encoded = torch.cat([base + of_base + base_behind.flip(0), *blocks])
    of_block = np.arange(len(base), len(base) + len(shots))
    places = np.concatenate([np.arange(len(base)), *[of_block] * len(distinct)])
    times = np.concatenate([np.ones(len(base), int), *[np.full(len(shots), pairs.count(pair)) for pair in distinct]])
    return encoded, places, times


def _one_direction(lstm: nn.LSTM, suffix: str) -> nn.LSTM:
    """One half of a bidirectional LSTM, by itself."""
    half = nn.LSTM(lstm.input_size, lstm.hidden_size).to(next(lstm.parameters()).device)
    half.load_state_dict({name: getattr(lstm, name + suffix) for name in half.state_dict()})
    return half.eval()


def _run(lstm: nn.LSTM, x: torch.Tensor, state: State | None) -> tuple[torch.Tensor, State]:
    """Hidden states (N, D) over a sequence (N, D), and the state at its end."""
    output, state = lstm(x[:, None], state)
    return output[:, 0], state


def _run_blocks(
    lstm: nn.LSTM, block: torch.Tensor, repetitions: int, state: State | None
) -> tuple[list[torch.Tensor], State]:
    """The hidden states of each repetition of a block, up to the one that all later ones equal, and the last state."""
    outputs: list[torch.Tensor] = []
    while len(outputs) < repetitions:
        before = state
        output, state = _run(lstm, block, before)
        outputs.append(output)
        if before is not None and all(_is_rounding(*pair) for pair in zip(state, before)):
            break
    assert state is not None
    return outputs, state


def _is_rounding(after: torch.Tensor, before: torch.Tensor) -> bool:
    return bool(((after - before).abs() <= ROUNDING * before.abs().clamp(min=1)).all())
