from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.errors import InputError, LowshotError
from lowshot.hallucination import Analogies
from lowshot.hallucination.analogies.regressor import Regressor, TrainingSettings, train_regressor
from tests.reference import generator as reference

DIM, HIDDEN, CLASSES = 5, 7, 3


@pytest.fixture(params=[False, True], ids=["relu", "linear"])
def network(request: pytest.FixtureRequest) -> Regressor:
    """The network with either end, the original's and that for features that may be negative."""
    return Regressor(DIM, HIDDEN, torch.Generator().manual_seed(3), torch.device("cpu"), signed=request.param)


def same_as(network: Regressor) -> reference.Network:
    twin = reference.Network(DIM, HIDDEN, network.signed)
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in network.state().items()})
    return twin


def problem(n_centroids: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centroids = np.maximum(rng.normal(size=(n_centroids, DIM)), 0).astype(np.float32)
    classifier = rng.normal(size=(CLASSES, DIM)).astype(np.float32)
    return centroids, classifier, np.arange(n_centroids) % CLASSES


def test_the_gradient_is_that_of_autograd(network: Regressor) -> None:
    x, b = torch.randn(4, 3 * DIM), torch.rand(4, DIM)
    label, classifier = torch.tensor([0, 2, 2, 1]), torch.randn(CLASSES, DIM)
    twin = same_as(network)
    reference.loss(twin(*x.split(DIM, dim=1)), b, label, classifier, 10.0).backward()
    with torch.no_grad():
        network.set_gradient(x, b, label, classifier, 10.0)
    wanted = torch.cat([parameter.grad.flatten() for parameter in twin.parameters() if parameter.grad is not None])
    torch.testing.assert_close(network.gradient, wanted, rtol=1e-5, atol=1e-6)


def test_training_equals_the_plain_loop_through_both_drops_of_the_rate(network: Regressor) -> None:
    centroids, classifier, rows = problem()
    only = Analogies(np.array([[0, 4, 1, 7]]), np.ones(1, np.float32))  # one analogy: every batch is alike
    settings = TrainingSettings(hidden=HIDDEN, n_steps=12, batch_size=6, precision="highest")
    signed = network.signed
    trained, history = train_regressor(centroids, only, classifier, rows, settings, random_state=3, signed=signed)

    twin = same_as(network)
    batches = [only.quadruples.repeat(6, axis=0)] * 12
    reference.train(twin, centroids, batches, classifier, rows, lr=0.1, decay_every=4)
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(trained[name], value.numpy(), rtol=1e-4, atol=1e-6)
    assert [entry["step"] for entry in history] == [0, 12]
    assert history[-1]["mse"] < history[0]["mse"]


@pytest.mark.parametrize("n_analogies", [1, 5, 20, 64])
def test_batches_of_a_permutation_go_through_all_analogies_again_and_again(
    n_analogies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One permutation serves the whole training, with a bias in the classifier: the plain loop ends in the same G."""
    centroids, classifier, rows = problem()
    bias = np.array([1, -2, 0.5], np.float32)
    quadruples = np.random.default_rng(1).integers(9, size=(n_analogies, 4))
    settings = TrainingSettings(hidden=HIDDEN, n_steps=23, batch_size=6, precision="highest", batches="permutation")
    drawn = []
    randperm = torch.randperm

    def record(n: int, **options: torch.Generator) -> torch.Tensor:
        drawn.append(randperm(n, **options))
        return drawn[-1]

    monkeypatch.setattr(torch, "randperm", record)
    analogies = Analogies(quadruples, np.ones(n_analogies, np.float32))
    trained, _ = train_regressor(centroids, analogies, classifier, rows, settings, classifier_bias=bias, random_state=3)
    permutation = drawn[-1].numpy()  # the first one chooses what is shown
    assert len(drawn) == 2
    assert sorted(permutation.tolist()) == list(range(n_analogies))

    twin = same_as(Regressor(DIM, HIDDEN, torch.Generator().manual_seed(3), torch.device("cpu")))
    batches = reference.permuted_batches(quadruples, permutation, 6, 23)
    reference.train(twin, centroids, batches, classifier, rows, lr=0.1, decay_every=8, bias=bias)
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(trained[name], value.numpy(), rtol=1e-3, atol=1e-5)


def test_a_seed_fixes_the_result_to_the_byte_and_the_global_state_stays() -> None:
    centroids, classifier, rows = problem()
    some = Analogies(np.random.default_rng(0).integers(9, size=(20, 4)), np.ones(20, np.float32))
    settings = TrainingSettings(hidden=HIDDEN, n_steps=5)
    precision, state = torch.get_float32_matmul_precision(), torch.get_rng_state()
    runs = [train_regressor(centroids, some, classifier, rows, settings, random_state=s) for s in (0, 0, 1)]
    assert torch.get_float32_matmul_precision() == precision
    assert torch.equal(torch.get_rng_state(), state)
    for name in runs[0][0]:
        np.testing.assert_array_equal(runs[0][0][name], runs[1][0][name])
    assert runs[0][1] == runs[1][1]
    assert not np.array_equal(runs[0][0]["fc1.weight"], runs[2][0]["fc1.weight"])


def test_divergence_is_an_error_and_no_result() -> None:
    centroids, classifier, rows = problem()
    some = Analogies(np.array([[0, 4, 1, 7]]), np.ones(1, np.float32))
    with pytest.raises(LowshotError, match="lower lr"):
        train_regressor(1e6 * centroids, some, classifier, rows, TrainingSettings(hidden=HIDDEN, n_steps=50, lr=1e6))


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="lr=0 must be a finite number above 0"):
        TrainingSettings(lr=0)
    with pytest.raises(InputError, match="precision='low' is not one of its choices"):
        TrainingSettings(precision="low")
    with pytest.raises(InputError, match="batches='sorted' is not one of its choices"):
        TrainingSettings(batches="sorted")
