from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation import load_backbone
from lowshot.representation.backbones.heads import LinearHead
from lowshot.representation.losses import BatchSGMLoss, SGMLoss
from lowshot.representation.objectives import CosineHead
from tests.reference import objectives as reference
from tests.representation.objectives.problems import network
from tests.representation.tiny import train


def heads(d=3, c=5):
    torch.manual_seed(1)
    return [LinearHead(d, c).double(), CosineHead(d, c, 16.0, False).double(), CosineHead(d, c, 10.0, True).double()]


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.floats(0.1, 50))
@settings(max_examples=25, deadline=None)
def test_the_scores_are_those_of_the_slow_reference(seed, n, d, c, scale):
    torch.manual_seed(seed)
    head, features = CosineHead(d, c, scale, learned=False).double(), torch.randn(n, d, dtype=torch.double)
    expected = torch.tensor(reference.cosine_scores(features.tolist(), head.weight.tolist(), scale))
    torch.testing.assert_close(head(features), expected.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", heads())
def test_scores_are_the_product_of_inputs_and_class_weight(head):
    features = torch.randn(4, 3, dtype=torch.double)
    torch.testing.assert_close(head(features), head.inputs(features) @ head.class_weight().T)


@given(st.floats(0.1, 100))
@settings(max_examples=10, deadline=None)
def test_the_length_of_features_and_weights_counts_for_nothing(factor):
    head, features = heads()[1], torch.randn(4, 3, dtype=torch.double)
    before = head(features)
    head.weight.data *= factor
    torch.testing.assert_close(head(features * factor), before)


@pytest.mark.parametrize("head", heads())
def test_sgm_is_the_squared_gradient_in_the_class_weight_of_every_head(head):
    features, labels = torch.randn(4, 3, dtype=torch.double), torch.tensor([0, 4, 2, 2])
    inputs, weight = head.inputs(features).detach(), head.class_weight().detach().requires_grad_()
    singles = [
        torch.autograd.grad(F.cross_entropy((phi @ weight.T)[None], y[None]), weight)[0]
        for phi, y in zip(inputs, labels)
    ]
    mean = torch.stack(singles).mean(dim=0)
    args = inputs, inputs @ weight.T, labels, weight
    torch.testing.assert_close(SGMLoss()(*args), torch.stack([g.square().sum() for g in singles]).mean())
    torch.testing.assert_close(BatchSGMLoss()(*args), mean.square().sum())


def test_gradients_reach_weight_scale_and_features():
    head, features = heads()[2], torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    head(features)[:, 0].square().sum().backward()
    assert all(bool(value.grad.abs().sum() > 0) for value in (head.weight, head.scale, features))
    assert "scale" not in dict(heads()[1].named_parameters())


def test_only_the_classifier_of_a_network_is_replaced():
    plain, cosine = network(), network({"cosine_head": {}})
    assert plain.state_dict().keys() == cosine.state_dict().keys()
    assert torch.equal(plain.trunk[0].weight, cosine.trunk[0].weight)
    assert isinstance(cosine.classifier, CosineHead)
    assert "head" not in plain.config
    assert cosine.config["head"] == {"cosine_head": {"scale": 16.0, "learned": False}}


@pytest.mark.parametrize("learned", [False, True])
def test_a_checkpoint_knows_its_head(tmp_path, learned):
    found = load_backbone(train(tmp_path, objective={"cosine_head": {"scale": 8.0, "learned": learned}}))
    head = found.classifier
    assert isinstance(head, CosineHead)
    assert (float(torch.as_tensor(head.scale).detach()) != 8.0) == learned
    scores, features = found(torch.randn(2, 3, 16, 16))
    torch.testing.assert_close(scores, head.scale * F.normalize(features) @ F.normalize(head.weight).T)


@pytest.mark.parametrize("params", [{"scale": 0}, {"scale": "wide"}, {"scale": float("inf")}])
def test_a_scale_must_be_positive(params):
    with pytest.raises(InputError, match="scale"):
        OBJECTIVES.build("cosine_head", **params)
