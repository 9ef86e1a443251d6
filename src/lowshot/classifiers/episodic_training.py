"""The one loop that trains a network on episodes: SGD, a step schedule, and checkpoints to go on from."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.episodes import EpisodeSampler
from lowshot.classifiers.transforms import forward_rows
from lowshot.errors import InputError
from lowshot.io import load_torch, save_torch
from lowshot.progress import progress

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class EpisodicTraining:
    """How to train: SGD, its schedule and precision, and where and how often to save.

    The defaults are those of the matching networks in Hariharan and Girshick (arXiv 1606.02819, section 5). The rate
    falls to a tenth every ``decay_every`` episodes. ``precision="bfloat16"`` computes in bfloat16 on float32 weights.
    """

    n_episodes: int
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

    ``network(support, counts, queries)`` maps (S, D), (W,) and (Q, D) tensors to (Q, W) class scores. Episodes and
    learning rates depend on the episode's number alone, so weights, momenta and that number are all a checkpoint needs:
    training that was killed and started again ends in the same weights as training that was not.

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
        for number in range(done, settings.n_episodes):
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * 0.1 ** (number // settings.decay_every)
            episode = sampler.draw(number)
            support, queries = (to_device(X[rows], device) for rows in (episode.support, episode.queries))
            with autocast(device, settings.precision):
                scores = network(support, torch.from_numpy(episode.counts).to(device), queries)
            loss = F.cross_entropy(scores.float(), torch.from_numpy(episode.targets).to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            last = number + 1 == settings.n_episodes
            if settings.checkpoint and (last or (number + 1) % settings.checkpoint_every == 0):
                state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
                save_torch(settings.checkpoint, {"identity": identity, "done": number + 1, **state})
            # Reading the loss waits for the device, so it is not done every time.
            tick(note=f"loss {loss.item():.3f}" if number % 50 == 0 else None)
    network.eval()


def autocast(device: str, precision: str) -> AbstractContextManager:
    """bfloat16 where torch deems it safe, or nothing."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


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
