"""``generator.tar``: the same generator on either side, and parts that do not fit are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.compat.formats.generator import read_generator, write_generator
from lowshot.errors import InputError
from lowshot.hallucination import AnalogyGenerator
from lowshot.registry import GENERATORS
from tests.compat.formats.old_files import CONTAINERS, generator_content, save
from tests.reference.generator import Network

KEYS = ("model_state", "concatenated_centroids", "num_base_classes", "num_clusters_per_class")


def made(generator, n=6):
    shots = np.random.default_rng(3).random((2, generator.n_features_in_), np.float32)
    return generator.generate(shots, [8, 9], n, random_state=1)[0]


def with_counts(counts, dim=3, hidden=4):
    """A fitted generator with so many different centroids in each class."""
    rng = np.random.default_rng(len(counts))
    generator = AnalogyGenerator(hidden=hidden)
    generator.concatenated_centroids_ = rng.random((sum(counts), dim), np.float32)
    generator.counts_ = np.array(counts)
    state = Network(dim, hidden).state_dict()
    generator.weights_ = {name: value.numpy() for name, value in state.items()}
    generator.n_features_in_, generator.signed_, generator.provenance_ = dim, False, {}
    return generator


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("centroids", ["tensor", "numpy", "numpy float64, by columns"])
def test_every_form_of_the_file_is_read(tmp_path, container, device, centroids):
    content = generator_content()
    table = content["concatenated_centroids"]
    if centroids != "tensor":
        content["concatenated_centroids"] = table.numpy()
        content["num_base_classes"] = np.int64(3)
    if centroids.startswith("numpy float64"):
        content["concatenated_centroids"] = np.asfortranarray(table.numpy().astype(np.float64))
    generator = read_generator(save(tmp_path / "generator.tar", content, container, device))
    assert np.array_equal(generator.concatenated_centroids_, table.numpy())
    assert generator.counts_.tolist() == [2, 2, 2]
    assert (generator.n_clusters, generator.hidden, generator.n_features_in_) == (2, 5, 4)


def test_a_generator_from_a_file_completes_analogies_as_the_originals_does(tmp_path):
    content = generator_content(n_classes=1, n_clusters=1)
    network = Network(4, 5)
    network.load_state_dict(content["model_state"])
    generator = read_generator(save(tmp_path / "generator.tar", content))
    seed = torch.rand(1, 4)
    # With a single centroid there is one way to draw c and d.
    c = content["concatenated_centroids"]
    with torch.no_grad():
        expected = network(seed, c, c).numpy()
    found = generator.generate(seed.numpy(), [7], 3, random_state=0)[0]
    np.testing.assert_allclose(found, np.vstack([seed, expected, expected]), rtol=1e-5, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 5))
def test_ours_becomes_the_originals_and_ours_again(tmp_path_factory, counts, dim, hidden):
    path = tmp_path_factory.mktemp("round") / "generator.tar"
    generator = with_counts(counts, dim, hidden)
    notes = write_generator(path, generator)
    again = read_generator(path)
    assert np.array_equal(again.counts_, generator.counts_)
    assert np.array_equal(again.concatenated_centroids_, generator.concatenated_centroids_)
    assert all(np.array_equal(again.weights_[name], value) for name, value in generator.weights_.items())
    assert bool(notes) is (len(set(counts)) > 1)
    assert np.array_equal(made(again), made(generator))


def test_what_is_written_is_what_the_original_wrote(tmp_path):
    content = generator_content()
    write_generator(tmp_path / "a.tar", read_generator(save(tmp_path / "generator.tar", content)))
    written = torch.load(tmp_path / "a.tar", weights_only=True)
    assert list(written) == list(KEYS)
    assert list(written["model_state"]) == list(content["model_state"])
    for name, value in content["model_state"].items():
        assert torch.equal(written["model_state"][name], value)
    assert torch.equal(written["concatenated_centroids"], content["concatenated_centroids"])
    assert (written["num_base_classes"], written["num_clusters_per_class"]) == (3, 2)


def test_classes_with_fewer_clusters_fill_the_table_with_their_own(tmp_path):
    generator = with_counts([3, 1])
    notes = write_generator(tmp_path / "generator.tar", generator)
    written = torch.load(tmp_path / "generator.tar", weights_only=True)
    rows = generator.concatenated_centroids_[[0, 1, 2, 3, 3, 3]]
    assert np.array_equal(written["concatenated_centroids"].numpy(), rows)
    assert notes == ["1 of 2 classes have fewer than 3 clusters; theirs were repeated to fill the table"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_base_classes": 4}, "has 6 rows, but 4 classes of 2 clusters need 8"),
        ({"num_clusters_per_class": 0}, "num_clusters_per_class=0 must be a whole number of at least 1"),
        ({"num_clusters_per_class": 2.0}, r"num_clusters_per_class=2\.0 must be a whole number of at least 1"),
        ({"concatenated_centroids": torch.rand(6)}, "must be a tensor of 2 dimensions, not one of shape"),
        ({"concatenated_centroids": [[1.0]]}, "must be a tensor of 2 dimensions, not a list"),
        ({"concatenated_centroids": torch.rand(6, 5)}, r"fc1 is \(5, 12\) .* 5-wide centroids need \(5, 15\)"),
        ({"concatenated_centroids": torch.full((6, 4), torch.nan)}, "concatenated_centroids holds NaN or infinity"),
        ({"model_state": Network(4, 5).state_dict() | {"fc2.weight": torch.rand(5, 6)}}, r"fc2 is \(5, 6\)"),
        ({"model_state": Network(4, 5).state_dict() | {"fc4.weight": torch.rand(5, 6)}}, "unexpected: fc4.weight"),
        ({"model_state": {"fc1.weight": torch.rand(5, 12)}}, "missing or unexpected: fc1.bias, fc2.bias"),
        ({"model_state": None}, "model_state must map names to tensors"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path, change, message):
    path = save(tmp_path / "generator.tar", {**generator_content(), **change})
    with pytest.raises(InputError, match=message):
        read_generator(path)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_part_is_named(tmp_path, key):
    content = generator_content()
    del content[key]
    with pytest.raises(InputError, match=rf"generator\.tar lacks {key}; a generator of the original program has"):
        read_generator(save(tmp_path / "generator.tar", content))


def test_only_fitted_analogies_are_written(tmp_path):
    with pytest.raises(InputError, match="the generator is not fitted"):
        write_generator(tmp_path / "generator.tar", AnalogyGenerator())
    with pytest.raises(InputError, match="the original program knows no DifferenceGenerator"):
        write_generator(tmp_path / "generator.tar", GENERATORS.build("difference"))
    features = np.random.default_rng(0).normal(size=(40, 4))
    signed = AnalogyGenerator(n_clusters=3, n_steps=3, hidden=8).fit(features, np.repeat(np.arange(4), 10))
    with pytest.raises(InputError, match=r"negative values and ends linearly, .* always ends in a ReLU"):
        write_generator(tmp_path / "generator.tar", signed)
    assert not list(tmp_path.iterdir())
