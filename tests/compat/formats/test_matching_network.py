"""Matching-network weights under any names, used and written back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from lowshot.classifiers import MatchingNetwork
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.compat.formats.matching_network import (
    Names,
    read_matching_network,
    read_weights,
    write_matching_network,
    write_weights,
)
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.compat.formats.old_files import CONTAINERS, matching_state, save
from tests.reference import matching_network as reference

words = st.text(st.characters(categories=["Ll", "Nd"], include_characters="_"), min_size=1, max_size=8)


@pytest.mark.parametrize("steps", [1, 5])
def test_weights_of_the_original_classify_as_the_reference_does(tmp_path, steps):
    p = problem()
    dim = p.base[0].shape[1]
    path = save(tmp_path / "mn.tar", original := matching_state(dim))
    save_classifier(read_matching_network(path, query_steps=steps), tmp_path / "mn.safetensors")
    classifier = MatchingNetwork(query_steps=steps, n_support=2, pretrained=tmp_path / "mn.safetensors")
    classifier.fit_base(*p.base).fit_novel(*p.novel)

    names = {"reader": "support_lstm", "asker": "query_lstm"}
    weights = {names[key.partition(".")[0]] + "." + key.partition(".")[2]: v.numpy() for key, v in original.items()}
    order = np.argsort(p.novel[1], kind="stable")
    shots, codes = p.novel[0][order], np.unique(p.novel[1][order], return_inverse=True)[1]
    # Two or more shots a class, so that they are not repeated for n_support=2.
    assert np.bincount(codes).min() >= 2
    base, counts = classifier._base_support_
    labels = np.concatenate([np.repeat(np.arange(len(counts)), counts), len(counts) + codes])
    support = np.vstack([base, shots])
    expected = reference.scores(weights, support, labels, p.queries[0], labels.max() + 1, steps)
    np.testing.assert_allclose(classifier.scores(p.queries[0]), expected, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(words, words, st.integers(1, 5), st.booleans(), st.sampled_from([None, "state", "model_state"]))
def test_any_names_are_read_and_come_back(tmp_path_factory, support, query, dim, module, within):
    assume(support != query and not {support, query} & set(dir(nn.Module())))
    folder = tmp_path_factory.mktemp("names")
    state = matching_state(dim, support, query)
    if module:
        state = {f"module.{name}": value for name, value in state.items()}
    content = state if within is None else {"epoch": 3, within: state}
    save_classifier(read_matching_network(save(folder / "a.tar", content)), folder / "ours.safetensors")
    write_matching_network(folder / "b.tar", load_classifier(folder / "ours.safetensors"))
    written = torch.load(folder / "b.tar", weights_only=True)
    assert set(written) == set(state)
    assert all(torch.equal(written[name], value) for name, value in state.items())


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_container_and_device_gives_the_same_weights(tmp_path, container, device):
    found = read_matching_network(save(tmp_path / "mn.tar", state := matching_state(), container, device))
    assert np.array_equal(found._weights_["support_lstm.bias_hh_l0_reverse"], state["reader.bias_hh_l0_reverse"])
    assert np.array_equal(found._weights_["query_lstm.weight_ih"], state["asker.weight_ih"])


def original_module(dim):
    """A module whose parts have the original's names: G_encoder, and lstmcell in FCE."""
    module = nn.Module()
    module.G_encoder = nn.LSTM(dim, dim, bidirectional=True)
    module.FCE = nn.Module()
    module.FCE.lstmcell = nn.LSTMCell(2 * dim, dim)
    return module


def test_the_originals_names_are_read_and_written_by_default(tmp_path):
    state = original_module(3).state_dict()
    weights = read_weights(save(tmp_path / "a.tar", state))
    assert weights.names == Names() == ("G_encoder", "FCE.lstmcell")
    write_weights(tmp_path / "b.tar", weights.state)
    written = torch.load(tmp_path / "b.tar", weights_only=True)
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], value) for name, value in state.items())


def test_a_network_trained_here_becomes_the_originals_and_ours_again(tmp_path):
    p = problem()
    trained = MatchingNetwork(n_episodes=2, n_shots=(1, 2), n_support=2).fit_base(*p.base)
    write_matching_network(tmp_path / "mn.tar", trained)
    original_module(p.base[0].shape[1]).load_state_dict(torch.load(tmp_path / "mn.tar", weights_only=True))
    again = read_matching_network(tmp_path / "mn.tar")
    assert all(np.array_equal(again._weights_[name], value) for name, value in trained._weights_.items())


def test_the_names_of_the_reader_can_be_given(tmp_path):
    network = read_matching_network(save(tmp_path / "a.tar", matching_state()))
    write_matching_network(tmp_path / "b.tar", network, Names("bidirectional", ""))
    written = torch.load(tmp_path / "b.tar", weights_only=True)
    assert {"bidirectional.weight_ih_l0", "weight_ih"} <= set(written)


def without(name):
    return {key: value for key, value in matching_state().items() if key != name}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("reader.bias_hh_l0_reverse"), "must hold one 'bias_hh_l0_reverse', but holds none"),
        (without("asker.weight_hh"), "must hold one 'weight_hh', but holds none"),
        (matching_state() | {"other.weight_ih": torch.zeros(1)}, "one 'weight_ih', but holds asker.weight_ih, other"),
        (matching_state() | {"head.weight": torch.zeros(1)}, "holds head.weight, which a matching network does not"),
        (
            matching_state() | {"reader.weight_hh_l0": torch.zeros(12, 4)},
            r"weight_hh_l0 has shape \(12, 4\), .*\(12, 3",
        ),
        (matching_state() | {"asker.weight_ih": torch.zeros(12, 3)}, r"weight_ih has shape \(12, 3\), but .*\(12, 6\)"),
        (matching_state() | {"asker.weight_hh": torch.tensor(1.0)}, "has shape .*, but a matching network of 0-wide"),
        (matching_state() | {"asker.bias_ih": torch.full((12,), torch.inf)}, "asker.bias_ih holds NaN or infinity"),
        (matching_state() | {"asker.bias_ih": 1}, "asker.bias_ih must be a tensor, not a int"),
        ({"weight": torch.zeros(1)}, "holds no weights of a bidirectional LSTM and an LSTM cell"),
        ([1], "holds no weights of a bidirectional LSTM"),
    ],
)
def test_other_weights_are_refused_with_their_names(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_matching_network(save(tmp_path / "mn.tar", content))


def test_only_a_trained_network_with_lstms_is_written(tmp_path):
    p = problem()
    plain = MatchingNetwork(contextual=False, n_episodes=1, n_shots=(1, 2), n_support=2).fit_base(*p.base)
    with pytest.raises(InputError, match="the plain variant, which the original does not have"):
        write_matching_network(tmp_path / "mn.tar", plain)
    with pytest.raises(InputError, match="is not trained"):
        write_matching_network(tmp_path / "mn.tar", MatchingNetwork())
    assert not list(tmp_path.iterdir())
