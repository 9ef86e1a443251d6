from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.registry import LOSSES
from lowshot.representation.losses import AuxiliaryLoss, BatchSGMLoss, FeatureL2Loss, SGMLoss
from tests.reference import losses as reference

CASES = [(SGMLoss, reference.sgm), (BatchSGMLoss, reference.batch_sgm), (FeatureL2Loss, reference.feature_l2)]
ids = [case[0].__name__ for case in CASES]


def batch(seed: int, n: int, d: int, c: int, scale: float = 1.0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, d, generator=generator, dtype=torch.double) * scale
    weight = torch.randn(c, d, generator=generator, dtype=torch.double)
    return features, features @ weight.T, torch.randint(c, (n,), generator=generator), weight


@pytest.mark.parametrize(("loss", "slow"), CASES, ids=ids)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.floats(0.01, 20))
@settings(max_examples=25, deadline=None)
def test_the_loss_equals_the_slow_reference(loss, slow, seed, n, d, c, scale):
    features, scores, labels, weight = batch(seed, n, d, c, scale)
    expected = slow(features.tolist(), scores.tolist(), labels.tolist())
    assert loss()(features, scores, labels, weight).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("loss", [case[0] for case in CASES], ids=ids)
def test_gradients_through_features_and_softmax_are_right(loss):
    features, _, labels, weight = batch(0, 4, 3, 5)
    features.requires_grad_()
    weight.requires_grad_()
    torch.autograd.gradcheck(lambda f, w: loss()(f, f @ w.T, labels, w), (features, weight))
    if loss is not FeatureL2Loss:
        grad = torch.autograd.grad(loss()(features.detach(), features.detach() @ weight.T, labels, weight), weight)
        assert grad[0].abs().sum() > 0


def test_sgm_is_the_mean_squared_gradient_of_the_classifier():
    features, _, labels, weight = batch(1, 5, 3, 4)
    weight.requires_grad_()
    squares = []
    for phi, label in zip(features, labels):
        cross_entropy = torch.nn.functional.cross_entropy((phi @ weight.T)[None], label[None])
        squares.append(torch.autograd.grad(cross_entropy, weight)[0].square().sum())
    loss = SGMLoss()(features, features @ weight.T, labels, weight)
    torch.testing.assert_close(loss, torch.stack(squares).mean())


def test_batch_sgm_is_the_squared_gradient_of_the_mean_cross_entropy():
    features, _, labels, weight = batch(1, 5, 3, 4)
    weight.requires_grad_()
    gradient = torch.autograd.grad(torch.nn.functional.cross_entropy(features @ weight.T, labels), weight)[0]
    loss = BatchSGMLoss()(features, features @ weight.T, labels, weight)
    torch.testing.assert_close(loss, gradient.square().sum())


@pytest.mark.parametrize("loss", [case[0] for case in CASES], ids=ids)
def test_inside_autocast_the_loss_is_computed_in_float32(loss):
    features, scores, labels, weight = (t.float() if t.is_floating_point() else t for t in batch(2, 16, 64, 8, 3.0))
    outside = loss()(features, scores, labels, weight)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss()(features, scores, labels, weight)
        low = loss()(features.bfloat16(), scores.bfloat16(), labels, weight)
    assert inside.dtype == low.dtype == torch.float32
    torch.testing.assert_close(inside, outside, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [case[0] for case in CASES], ids=ids)
def test_a_batch_that_does_not_fit_together_is_refused(loss):
    features, scores, labels, weight = batch(0, 4, 3, 5)
    for wrong in [
        (features[:3], scores, labels, weight),
        (features, scores[0], labels, weight),
        (features, scores, labels[:, None], weight),
        (features, scores, labels, weight.T),
        (features[:0], scores[:0], labels[:0], weight),
    ]:
        with pytest.raises(InputError, match=rf"{loss.__name__} expects features \(N, D\)"):
            loss()(*wrong)


def test_the_classifier_weight_may_be_left_out_where_it_is_not_used():
    features, scores, labels, weight = batch(0, 4, 3, 5)
    for loss, _ in CASES:
        assert loss()(features, scores, labels, None) == loss()(features, scores, labels, weight)


def test_the_losses_are_registered_under_their_names():
    assert {name: LOSSES.get(name) for name in ("sgm", "batch_sgm", "feature_l2")} == {
        "sgm": SGMLoss,
        "batch_sgm": BatchSGMLoss,
        "feature_l2": FeatureL2Loss,
    }


def test_a_new_loss_is_its_formula():
    class ScoresL2Loss(AuxiliaryLoss):
        def formula(self, features, scores, labels, classifier_weight):
            return scores.square().mean()

    features, scores, labels, weight = batch(0, 4, 3, 5)
    assert ScoresL2Loss()(features, scores, labels, weight) == scores.square().mean()


def test_a_function_in_a_file_is_a_loss(tmp_path):
    file = tmp_path / "spread.py"
    file.write_text("def loss(features, scores, labels, classifier_weight):\n    return features.var(dim=0).sum()\n")
    features, scores, labels, weight = batch(0, 4, 3, 5)
    found = LOSSES.build(f"file:{file}")(features, scores, labels, weight)
    torch.testing.assert_close(found, features.var(dim=0).sum())
    (tmp_path / "none.py").write_text("def los(): ...\n")
    with pytest.raises(InputError, match=r"none\.py defines no function 'loss'"):
        LOSSES.build(f"file:{tmp_path / 'none.py'}")
    (tmp_path / "vector.py").write_text("def loss(features, *rest):\n    return features.sum(dim=1)\n")
    with pytest.raises(InputError, match="must return one number"):
        LOSSES.build(f"file:{tmp_path / 'vector.py'}")(features, scores, labels, weight)
