"""The work of ``matching_network``: train a matching network on base classes, or measure it with novel ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from lowshot.classifiers.sgd import SGD
from lowshot.compat.evaluation import read_run_data, require_own_result, write_result
from lowshot.compat.formats.container import is_written_by
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.matching_network import read_weights, write_weights
from lowshot.compat.formats.results import Run
from lowshot.compat.formats.splits import base_classes, read_split
from lowshot.compat.matching_episodes import MatchingEpisodes
from lowshot.compat.matching_module import EpisodeModule
from lowshot.compat.memory import keep_freed_memory
from lowshot.compat.overwriting import require_own
from lowshot.compat.precision import only_float32
from lowshot.compat.program import Flags
from lowshot.compat.steps import steps
from lowshot.compat.support_set import SupportSet
from lowshot.devices import pick_device, seeded, to_device
from lowshot.errors import InputError
from lowshot.files import exists, fingerprint, require_writable
from lowshot.progress import progress, say
from lowshot.torch_files import load_torch, save_torch

PROGRAM = "matching_network"
N_EPISODES = 60_000
N_SHOTS = (1, 10)
LR, MOMENTUM, DAMPENING, WEIGHT_DECAY = 0.1, 0.9, 0.9, 1e-3
DECAY_EVERY = 20_000
SAVE_EVERY = 1000
SEED = 0


def train(given: Flags) -> None:
    """Run the program with ``--test 0``.

    Raises:
        InputError: A flag or file is missing or unfit. Nothing is written then.
    """
    require_writable(given.modelfile, "--modelfile")
    _require_own_model(given)
    split = read_split(given.lowshotmeta)
    store = open_features(given.trainfile)
    split.check_labels(store.labels)
    classes = base_classes(given.lowshotmeta)
    if len(absent := np.setdiff1d(classes, store.labels)):
        raise InputError(f"{store.path} has no image of base class {split.describe(int(absent[0]))}")
    rows = store.rows_of(classes)
    X, labels = store.rows(rows), store.labels[rows]
    only_float32()
    keep_freed_memory()
    with seeded(SEED):
        network = EpisodeModule(store.dim, given.K).to(pick_device())
    # Hours of training are saved as they go; what is over in a minute is not worth a second copy of the network.
    n_episodes = steps(N_EPISODES)
    unfinished = None
    if n_episodes > SAVE_EVERY:
        key = fingerprint(PROGRAM, given.K, n_episodes, classes, labels, X)
        unfinished = UnfinishedTraining(Path(f"{given.modelfile}.unfinished"), key)
    train_network(network, X, MatchingEpisodes(labels, classes, N_SHOTS, SEED), n_episodes, unfinished)
    state = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
    _require_own_model(given)  # again: hours have passed
    write_weights(given.modelfile, state, program=PROGRAM)
    if unfinished is not None:
        unfinished.path.unlink(missing_ok=True)
    say(f"{given.modelfile}: trained on {n_episodes} episodes of {len(classes)} base classes")


def _require_own_model(given: Flags) -> None:
    require_own(given.modelfile, "--modelfile", lambda path: is_written_by(path, PROGRAM))


@dataclass(frozen=True)
class UnfinishedTraining:
    """The file of a training that is under way.

    Attributes:
        path (Path): The file.
        key (str): A fingerprint of everything that the result depends on.
    """

    path: Path
    key: str

    def save(self, network: torch.nn.Module, optimizer: SGD, done: int) -> None:
        """Write the state after ``done`` episodes; the file appears whole."""
        state = {"network": network.state_dict(), "velocities": optimizer.velocities}
        save_torch(self.path, {"key": self.key, "done": done, **state})

    def load(self, network: torch.nn.Module, optimizer: SGD) -> int:
        """Take up the state, where there is a file of this training; returns the number of finished episodes.

        Raises:
            InputError: The file is damaged or of another training.
        """
        if not exists(self.path):
            return 0
        state = load_torch(self.path)
        if not isinstance(state, dict) or state.get("key") != self.key:
            raise InputError(
                f"{self.path} belongs to a training with other features, classes or settings: move it away to train "
                "anew"
            )
        network.load_state_dict(state["network"])
        optimizer.velocities = [
            velocity.to(parameter.device) for velocity, parameter in zip(state["velocities"], optimizer.parameters)
        ]
        return int(state["done"])


def train_network(
    network: EpisodeModule,
    X: np.ndarray,
    episodes: MatchingEpisodes,
    n_episodes: int,
    unfinished: UnfinishedTraining | None = None,
) -> None:
    """Train a network in place on the cross-entropy of each episode's queries, by SGD.

    Args:
        network (EpisodeModule): The network, on the device to train on.
        X (float32 array of shape (N, D)): The features that episodes are rows of.
        episodes (MatchingEpisodes): Draws the episodes.
        n_episodes (int): The number of episodes.
        unfinished (UnfinishedTraining or None): Where to save the training and resume it from.
    """
    parameters = list(network.parameters())
    device = str(parameters[0].device)
    optimizer = SGD(parameters, LR, MOMENTUM, DAMPENING, WEIGHT_DECAY)
    done = 0 if unfinished is None else unfinished.load(network, optimizer)
    network.train()
    with progress("matching network episodes", n_episodes, done) as tick:
        for number in range(done, n_episodes):
            optimizer.lr = LR * 0.1 ** (number // DECAY_EVERY)
            episode = episodes.draw(number)
            support, queries = to_device(X[episode.support], device), to_device(X[episode.queries], device)
            scores = network(support, torch.from_numpy(episode.counts).to(device), queries)
            loss = F.cross_entropy(scores, torch.from_numpy(episode.targets).to(device))
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            optimizer.step()
            if unfinished is not None and (number + 1) % SAVE_EVERY == 0:
                unfinished.save(network, optimizer, number + 1)
            # Reading the loss waits for the device, so it is not done every time.
            tick(1, note=None if number % 50 else f"loss {loss.item():.3f}")


def test(given: Flags) -> None:
    """Run the program with ``--test 1``.

    Raises:
        InputError: A flag or file is missing or unfit. Nothing is written then.
    """
    for flag in ("testfile", "experimentpath"):
        if getattr(given, flag) is None:
            raise InputError(f"--test 1 needs --{flag}")
    weights = read_weights(given.modelfile)
    if (dim := open_features(given.trainfile).dim) != weights.dim:
        raise InputError(
            f"{given.modelfile} was trained on {weights.dim} features per image, but {given.trainfile} has {dim}: "
            "they come from different networks"
        )
    data = read_run_data(given)
    run = Run(data.representation, given.experimentid, given.lowshotn, ())
    require_own_result(data.folder, run)
    only_float32()
    classifier = SupportSet(weights.state, data, given.K, given.lowshotn, seed=given.experimentid)
    write_result(data.folder, replace(run, accuracies=data.accuracies(classifier.scores)))
