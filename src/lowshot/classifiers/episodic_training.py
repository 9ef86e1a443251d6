"""The one loop that trains a network on episodes: SGD, a step schedule, and checkpoints to go on from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.episodes import Episode, EpisodeSampler
from lowshot.classifiers.transforms import forward_rows
from lowshot.errors import InputError
from lowshot.progress import progress
from lowshot.torch_files import load_torch, save_torch

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class EpisodicTraining:
    """How to train: SGD, its schedule and precision, and where and how often to save.

    The rate falls to a tenth every ``decay_every`` episodes. ``precision="bfloat16"`` computes in bfloat16 on float32
    weights, where the processor can. A step goes down the mean loss of ``episodes_per_step`` episodes, so there are
    that many times fewer steps; all else is counted in episodes.
    """

    n_episodes: int
    episodes_per_step: int
    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    decay_every: int
    precision: str
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int


def train_on_episodes(
    network: nn.Module,
    X: np.ndarray,
    sampler: EpisodeSampler,
    settings: EpisodicTraining,
    *,
    device: str,
    identity: str,
    title: str,
) -> None:
    """Train ``network`` in place on the cross-entropy of each episode's queries.

    ``network(support, counts, queries)`` maps (E, S, D), (W,) and (E, Q, D) tensors of E episodes of one shape to
    (E, Q, W) class scores. Episodes and learning rates depend on the episode's number alone, so weights, momenta and
    that number are all a checkpoint needs: training that was killed and started again ends in the same weights as
    training that was not.

    Args:
        network: on ``device``.
        X: (N, D) features; only the rows of an episode are read and moved to ``device``.
        sampler: draws rows of ``X``.
        settings: see :class:`EpisodicTraining`.
        device: as torch names it.
        identity: which training this is; a checkpoint of another one is refused.
        title: what the progress bar says.

    Raises:
        InputError: the checkpoint is damaged or belongs to another training.
    """
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.dampening,
        weight_decay=settings.weight_decay,
    )
    done = _resumed(settings.checkpoint, identity, network, optimiser) if settings.checkpoint else 0
    network.train()
    with progress(title, settings.n_episodes, done) as tick:
        for first in range(done, settings.n_episodes, settings.episodes_per_step):
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * 0.1 ** (first // settings.decay_every)
            end = min(first + settings.episodes_per_step, settings.n_episodes)
            optimiser.zero_grad()
            loss = torch.zeros((), device=device)
            for episodes in _of_one_shape([sampler.draw(number, first) for number in range(first, end)]):
                with autocast(device, settings.precision):
                    share = _loss(network, X, episodes, device) * (len(episodes) / (end - first))
                share.backward()
                loss += share.detach()
            optimiser.step()
            due = end == settings.n_episodes or end // settings.checkpoint_every > first // settings.checkpoint_every
            if settings.checkpoint and due:
                state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
                save_torch(settings.checkpoint, {"identity": identity, "done": end, **state})
            # Reading the loss waits for the device, so it is not done every time.
            tick(end - first, note=f"loss {loss.item():.3f}" if -first % 50 < end - first else None)
    network.eval()


def _of_one_shape(episodes: Sequence[Episode]) -> Iterable[list[Episode]]:
    """The episodes, those together whose classes have equally many shots and queries."""
    groups: dict[bytes, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(episode.counts.tobytes() + episode.targets.tobytes(), []).append(episode)
    return groups.values()


def _loss(network: nn.Module, X: np.ndarray, episodes: Sequence[Episode], device: str) -> torch.Tensor:
    """Mean cross-entropy of the queries of episodes of one shape."""
    support, queries = (
        to_device(X[np.stack(rows)], device)
        for rows in ([episode.support for episode in episodes], [episode.queries for episode in episodes])
    )
    scores = network(support, torch.from_numpy(episodes[0].counts).to(device), queries)
    targets = torch.from_numpy(episodes[0].targets).to(device).expand(len(episodes), -1)
    return F.cross_entropy(scores.float().flatten(0, 1), targets.flatten())


def autocast(device: str, precision: str) -> AbstractContextManager:
    """bfloat16 where torch deems it safe, or nothing."""
    kind = torch.device(device).type
    # Processors without instructions for it gain nothing, and torch's LSTM refuses there.
    enabled = precision == "bfloat16" and (kind != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled)


def to_device(X: np.ndarray, device: str) -> torch.Tensor:
    """Rows of features as a float32 tensor."""
    return torch.from_numpy(forward_rows(X, copy=not X.flags.writeable)).to(device)


def _resumed(
    checkpoint: str | os.PathLike[str], identity: str, network: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    """Take up the state in ``checkpoint``, if it exists; returns how many episodes it has behind it."""
    if not Path(checkpoint).exists():
        return 0
    state = load_torch(checkpoint)
    if not isinstance(state, dict) or state.get("identity") != identity:
        raise InputError(
            f"checkpoint {checkpoint} belongs to a training with other features, episodes or settings. "
            "Delete it to train afresh, or name another file."
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["done"])
