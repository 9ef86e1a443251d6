"""``matching_network``: the original's episodes, its training step, and the order of its support set."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from lowshot.compat import matching, matching_network, support_set
from lowshot.compat.evaluation import RunData, read_run_data
from lowshot.compat.formats.matching_network import read_weights
from lowshot.compat.matching_episodes import MatchingEpisodes
from lowshot.compat.matching_module import EpisodeModule
from lowshot.compat.support_set import SupportSet, encode_repeated, support_rows
from lowshot.exits import Ended
from lowshot.features import FeatureStore
from tests.compat import features
from tests.compat.formats.old_files import matching_state, save
from tests.compat.workspace import MATCHING, run
from tests.reference import matching_network as reference

TRAIN = [*MATCHING, "0", "--modelfile", "new.tar"]


def test_training_that_was_cut_off_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SAVE_EVERY", 1)
    assert run(*TRAIN) == 0
    whole = (folder / "new.tar").read_bytes()
    (folder / "new.tar").unlink()

    def cut_off(*_: Any, **__: Any) -> None:
        raise Ended(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(matching, "write_weights", cut_off)
        assert run(*TRAIN) == 130
    assert [path.name for path in folder.glob("new.tar*")] == ["new.tar.unfinished"]
    with monkeypatch.context() as patch:
        patch.setattr(MatchingEpisodes, "draw", cut_off)  # no further episode is needed
        assert run(*TRAIN) == 0
    assert [path.name for path in folder.glob("new.tar*")] == ["new.tar"]
    assert (folder / "new.tar").read_bytes() == whole


def test_training_that_was_cut_off_halfway_ends_in_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "SAVE_EVERY", 2)
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "5")
    assert run(*TRAIN) == 0
    whole = (folder / "new.tar").read_bytes()
    (folder / "new.tar").unlink()
    draw = MatchingEpisodes.draw

    def stop(self: MatchingEpisodes, number: int) -> Any:
        if number == 3:
            raise Ended(signal.SIGINT)
        return draw(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(MatchingEpisodes, "draw", stop)
        assert run(*TRAIN) == 130
    assert run(*TRAIN) == 0
    assert (folder / "new.tar").read_bytes() == whole


def test_an_unfinished_training_of_other_settings_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matching, "SAVE_EVERY", 1)
    torch.save({"key": "another", "done": 1}, folder / "new.tar.unfinished")
    assert run(*TRAIN) == 2
    assert "belongs to a training with other features, classes or settings" in " ".join(capsys.readouterr().err.split())


def test_an_episode_has_all_base_classes_in_order_and_one_to_ten_examples_of_each() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([4, 7, 2], 30))
    episodes = MatchingEpisodes(labels, np.array([7, 2, 4]), (1, 10), seed=0)
    counts, query_places = [], []
    for number in range(3000):
        episode = episodes.draw(number)
        counts.append(episode.counts)
        own = np.split(episode.support, np.cumsum(episode.counts)[:-1])
        assert [set(labels[rows].tolist()) for rows in own] == [{7}, {2}, {4}]
        assert all((np.diff(rows) > 0).all() for rows in own)  # distinct, in ascending order of rows
        assert labels[episode.queries].tolist() == [7, 2, 4]
        assert episode.targets.tolist() == [0, 1, 2]
        query_places.append([query in rows for query, rows in zip(episode.queries, own)])
    table = np.bincount(np.concatenate(counts), minlength=11)
    assert table[0] == 0
    assert ((table[1:] - 900) ** 2 / 900).sum() < 27.9  # uniform: the 99.9 % point for 9 degrees of freedom
    # A query is drawn from the whole class: among 1 to 10 of 30 it is support in 5.5 of 30 cases.
    assert np.mean(query_places) == pytest.approx(5.5 / 30, abs=0.015)


def test_small_classes_give_what_they_have() -> None:
    episode = MatchingEpisodes(np.array([0, 1, 1]), np.array([0, 1]), (5, 5), seed=0).draw(3)
    assert episode.support.tolist() == [0, 1, 2]
    assert episode.queries[0] == 0


class Plain(nn.Module):
    """The original's network as the facts have it: torch's LSTM and LSTM cell, and the softmax times the labels."""

    def __init__(self, dim: int, n_steps: int) -> None:
        super().__init__()
        self.G_encoder = nn.LSTM(dim, dim, bidirectional=True)
        self.FCE = nn.Module()
        self.FCE.lstmcell = nn.LSTMCell(2 * dim, dim)
        self.n_steps = n_steps

    def forward(self, support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(Q, W) logarithms of the classes' probabilities."""
        forward, backward = self.G_encoder(support[:, None])[0][:, 0].chunk(2, dim=1)
        g = support + forward + backward
        hidden, cell = queries, torch.zeros_like(queries)
        for _ in range(self.n_steps):
            read = torch.softmax(hidden @ g.T, dim=1) @ g
            output, cell = self.FCE.lstmcell(torch.cat([queries, read], dim=1), (hidden, cell))
            hidden = output + queries
        attention = torch.softmax(hidden @ nn.functional.normalize(g, dim=1).T, dim=1)
        return (attention @ nn.functional.one_hot(labels).float()).log()


@pytest.mark.parametrize("k", [1, 5])
def test_training_takes_the_steps_of_torchs_sgd(k: int) -> None:
    """On the same episodes, a plain network under torch's own optimiser ends in the same weights."""
    dim, n_episodes = 6, 30
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 12)
    X = np.maximum(rng.normal(1, 1, (60, dim)) + np.eye(dim)[labels], 0).astype(np.float32)
    episodes = MatchingEpisodes(labels, np.arange(5), (1, 10), seed=1)
    torch.manual_seed(0)
    network, plain = EpisodeModule(dim, k), Plain(dim, k)
    names = {"support_lstm": "G_encoder", "query_lstm": "FCE.lstmcell"}
    start = {f"{names[n.partition('.')[0]]}.{n.partition('.')[2]}": v for n, v in network.state_dict().items()}
    plain.load_state_dict(start)
    begin = {name: value.clone() for name, value in start.items()}
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, dampening=0.9, weight_decay=1e-3)
    for number in range(n_episodes):
        episode = episodes.draw(number)
        of_support = torch.from_numpy(np.repeat(episode.targets, episode.counts))
        scores = plain(torch.from_numpy(X[episode.support]), of_support, torch.from_numpy(X[episode.queries]))
        optimizer.zero_grad()
        nn.functional.nll_loss(scores, torch.from_numpy(episode.targets)).backward()
        optimizer.step()
    matching.train_network(network, X, episodes, n_episodes)
    for name, value in network.state_dict().items():
        part, _, last = name.partition(".")
        expected = plain.state_dict()[f"{names[part]}.{last}"]
        moved = (expected - begin[f"{names[part]}.{last}"]).abs().max()
        torch.testing.assert_close(value, expected, atol=float(1e-4 * moved), rtol=0)


def test_the_rate_falls_to_a_tenth_every_20_000_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (matching.LR, matching.MOMENTUM, matching.DAMPENING, matching.WEIGHT_DECAY) == (0.1, 0.9, 0.9, 1e-3)
    assert matching.DECAY_EVERY == 20_000
    monkeypatch.setattr(matching, "DECAY_EVERY", 2)
    rates = []
    monkeypatch.setattr(matching.SGD, "step", lambda self: rates.append(self.lr))
    labels = np.repeat([0, 1], 3)
    episodes = MatchingEpisodes(labels, np.arange(2), (1, 2), 0)
    matching.train_network(EpisodeModule(2, 1), np.ones((6, 2), np.float32), episodes, 5)
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


# ---------------------------------------------------------------------------------------------------- the support set


def test_the_support_set_has_the_originals_order() -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(6), 150))
    base, novel = np.array([4, 0, 2]), [1, 3]
    for n_shots in (1, 2, 3, 20, 100):
        shots = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:n_shots] for c in novel])
        chosen = {}

        class Choice:
            def choice(self, rows: np.ndarray, size: int, replace: bool) -> np.ndarray:
                assert not replace
                (label,) = set(labels[rows].tolist())
                assert np.array_equal(np.sort(rows), np.flatnonzero(labels == label))
                chosen[label] = rng.permutation(rows)[:size]  # noqa: B023
                return chosen[label]  # noqa: B023

        found = support_rows(labels, base, shots, n_shots, Choice())  # type: ignore[arg-type]
        assert found.in_order.tolist() == reference.original_support(base.tolist(), chosen, shots.tolist(), n_shots)


def test_base_examples_are_drawn_at_random_all_of_a_class_that_has_no_more() -> None:
    labels = np.repeat([0, 1], [300, 40])
    shots = np.array([0])
    first, again, other = (
        support_rows(labels, np.array([1, 0]), shots, 1, np.random.default_rng(seed)).base for seed in (1, 1, 2)
    )
    assert first[:40].tolist() == list(range(300, 340))
    assert (np.diff(first[40:140]) > 0).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("setup", "n_shots"), [(0, 1), (1, 3)])
def test_the_accuracies_are_those_of_the_reference_in_the_originals_order(
    folder: Path, setup: int, n_shots: int
) -> None:
    """With at most 100 examples of a base class nothing is random, and all six numbers agree exactly."""
    save(folder / "mn.tar", matching_state(8, "G_encoder", "FCE", seed=3))
    arguments = [*MATCHING, "1", "--lowshotn", str(n_shots), "--testsetup", str(setup), "--K", "2"]
    assert run(*arguments) == 0
    found = json.loads((folder / f"results/MN_net_expid_1_lowshotn_{n_shots}.json").read_text())
    base, novel = features.BASE[setup], features.NOVEL[setup]
    labels, table = reference_scores(folder, base, novel, n_shots)
    truth = np.array([[*base, *novel].index(c) for c in labels])
    ahead = (table > table[np.arange(len(table)), truth][:, None]).sum(axis=1)
    groups = (np.isin(labels, novel), np.isin(labels, base), np.ones(len(labels), bool))
    assert found["accs"] == pytest.approx([(ahead[group] < k).mean() for group in groups for k in (1, 5)])


def test_another_order_gives_other_scores(folder: Path) -> None:
    """The program's scores are those of the original's order, far from those of the same support class after class."""
    state = matching_state(8, "G_encoder", "FCE", seed=3)
    save(folder / "mn.tar", state)
    given = matching_network.flags().parse_args([*MATCHING[1:], "1", "--lowshotn", "3", "--testsetup", "1"])
    data = read_run_data(given)
    support = SupportSet(read_weights("mn.tar").state, data, n_steps=2, n_shots=3, seed=1)
    rows = data.test.rows_of([*data.base, *data.novel])
    found = support.scores(data.test.rows(rows))[:, [*data.base, *data.novel]]
    base, novel = features.BASE[1], features.NOVEL[1]
    in_order = reference_scores(folder, base, novel, 3)[1]
    by_class = reference_scores(folder, base, novel, 3, lambda rows, labels: rows[np.argsort(labels, kind="stable")])[1]
    assert np.abs(found - in_order).max() < 1e-4
    assert np.abs(found - by_class).max() > 1e-2


def reference_scores(
    folder: Path, base: list[int], novel: list[int], n_shots: int, reorder: Any = lambda rows, labels: rows
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (Q,) and scores (Q, B + N) of the queries of a setup, one example and one query at a time."""
    with h5py.File(folder / "features/net/train.hdf5") as train, h5py.File(folder / "features/net/val.hdf5") as test:
        (X, y), (Q, z) = ((f["all_feats"][: f["count"][0]], f["all_labels"][: f["count"][0]]) for f in (train, test))
    draw = json.loads((folder / "splitfile_1.json").read_text())
    shots = [row for c in novel for row in draw[c][:n_shots]]
    chosen = {c: np.flatnonzero(y == c) for c in base}
    rows = np.array(reference.original_support(base, chosen, shots, n_shots))
    rows = reorder(rows, y[rows])
    classes = base + novel
    kept = np.isin(z, classes)
    names = {"G_encoder": "support_lstm", "FCE": "query_lstm"}
    state = torch.load(folder / "mn.tar", weights_only=True)
    weights = {
        f"{names[name.partition('.')[0]]}.{name.partition('.')[2]}": v.double().numpy() for name, v in state.items()
    }
    codes = np.array([classes.index(c) for c in y[rows]])
    scores = reference.scores(weights, X[rows].astype(float), codes, Q[kept].astype(float), len(classes), n_steps=2)
    return z[kept], scores


@pytest.mark.parametrize("n_shots", [1, 3])
def test_encoding_repetitions_once_changes_log_probabilities_by_rounding(
    folder: Path, monkeypatch: pytest.MonkeyPatch, n_shots: int
) -> None:
    save(folder / "mn.tar", matching_state(8, "G_encoder", "FCE", seed=3))
    given = matching_network.flags().parse_args([*MATCHING[1:], "1", "--lowshotn", str(n_shots), "--testsetup", "1"])
    data = read_run_data(given)
    queries = data.test.rows(data.test.rows_of([*data.base, *data.novel]))
    scores, sizes = [], []
    for rounding in (support_set.ROUNDING, -1.0):  # no change is below -1: every repetition is encoded
        monkeypatch.setattr(support_set, "ROUNDING", rounding)
        support = SupportSet(read_weights("mn.tar").state, data, n_steps=5, n_shots=n_shots, seed=1)
        scores.append(support.scores(queries)[:, [*data.base, *data.novel]])
        sizes.append(len(support._encoded))
    assert sizes[0] < sizes[1]
    assert np.abs(scores[0] - scores[1]).max() <= 5e-6


def test_classes_without_support_do_not_compete(folder: Path) -> None:
    train = FeatureStore.open("features/net/train.hdf5")
    shots = np.flatnonzero(train.labels == 6)[:1]
    data = RunData(train, train, np.array([1, 0]), np.array([6]), shots, 12, folder)
    state = {name: value.numpy() for name, value in EpisodeModule(8, 5).state_dict().items()}
    scores = SupportSet(state, data, n_steps=5, n_shots=1, seed=1).scores(train.rows(np.arange(4)))
    assert scores.shape == (4, 12)
    assert np.isfinite(scores).any(axis=0).tolist() == [c in (0, 1, 6) for c in range(12)]
    assert np.exp(scores).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("repetitions", [1, 2, 5, 100])
@pytest.mark.parametrize("forgetting", [True, False])
def test_repetitions_that_are_encoded_alike_are_encoded_once(repetitions: int, forgetting: bool) -> None:
    """Copied out by their counts, the encodings are those of the whole sequence in one pass through torch's LSTM."""
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 6, bidirectional=True).eval()
    if not forgetting:
        with torch.no_grad():
            for name in ("bias_ih_l0", "bias_ih_l0_reverse"):
                getattr(lstm, name)[6:12] = 6.0  # the gates that keep the state are open
    base, shots = torch.rand(9, 6), torch.rand(4, 6)
    whole = torch.cat([base, *[shots] * repetitions])
    with torch.inference_mode():
        states = lstm(whole[:, None])[0][:, 0]
        expected = whole + states[:, :6] + states[:, 6:]
        found, places, times = encode_repeated(lstm, base, shots, repetitions)
    assert times.sum() == len(whole)
    assert (np.bincount(places, times) == [1] * 9 + [repetitions] * 4).all()
    # Each encoding is, as often as it counts, among those of its example in the whole sequence.
    example = np.concatenate([np.arange(9), np.tile(np.arange(9, 13), repetitions)])
    for place in range(13):
        mine = torch.from_numpy(np.repeat(np.flatnonzero(places == place), times[places == place]))
        theirs = expected[torch.from_numpy(np.flatnonzero(example == place))]
        assert torch.allclose(found[mine].sort(dim=0)[0], theirs.sort(dim=0)[0], atol=2e-6)
    if repetitions == 100 and forgetting:
        assert len(found) < 9 + 4 * 60
