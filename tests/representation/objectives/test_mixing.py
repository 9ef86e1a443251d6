from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation import build_backbone
from lowshot.representation.losses import SGMLoss
from lowshot.representation.objectives import Batch, CutMixObjective, ManifoldMixupObjective, Mixing, MixupObjective
from lowshot.representation.objectives import manifold_mixup as module
from tests.reference import objectives as reference
from tests.representation.objectives.problems import batch, network, prepared

MIXERS = ["mixup", "cutmix", "manifold_mixup"]


class Fixed:
    """A mixing that is not drawn."""

    def __init__(self, monkeypatch, cls, share, partner):
        monkeypatch.setattr(cls, "draw", lambda self, n, device: Mixing(share, torch.as_tensor(partner)))


@given(st.integers(0, 10**6), st.floats(0, 1), st.permutations(range(5)))
@settings(max_examples=25, deadline=None)
def test_mixed_values_are_those_of_the_slow_reference(seed, share, partner):
    values = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    expected = torch.tensor(reference.mixed(values.tolist(), partner, share), dtype=torch.double)
    torch.testing.assert_close(Mixing(share, torch.tensor(partner)).of(values), expected)


def test_mixup_mixes_images_and_targets_alike(monkeypatch):
    share, partner, one = 0.3, [1, 0, 4, 2, 3], batch()
    Fixed(monkeypatch, MixupObjective, share, partner)
    MixupObjective().change(one)
    expected = reference.mixed(one.original.flatten(1).tolist(), partner, share)
    torch.testing.assert_close(one.images.flatten(1), torch.tensor(expected))
    targets = reference.mixed(F.one_hot(one.labels, 4).tolist(), partner, share)
    torch.testing.assert_close(one.targets, torch.tensor(targets))


@pytest.mark.parametrize("name", MIXERS)
@given(st.integers(0, 10**6), st.floats(0.05, 5), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_targets_stay_distributions_and_labels_stay(name, seed, alpha, n):
    torch.manual_seed(seed)
    one = batch(seed, n=n)
    labels = one.labels.clone()
    objective = OBJECTIVES.build(name, alpha=alpha)
    objective.prepare(network(), None)
    objective.change(one)
    torch.testing.assert_close(one.targets.sum(dim=1), torch.ones(n))
    assert bool((one.targets >= 0).all())
    assert torch.equal(one.labels, labels)
    assert one.images.shape == one.original.shape


def test_the_cross_entropy_of_mixed_targets_is_that_of_both_in_their_shares():
    scores, labels, partner = (
        torch.randn(4, 3, dtype=torch.double),
        torch.tensor([0, 2, 1, 1]),
        torch.tensor([3, 2, 0, 1]),
    )
    targets = Mixing(0.7, partner).of(F.one_hot(labels, 3).double())
    expected = 0.7 * F.cross_entropy(scores, labels) + 0.3 * F.cross_entropy(scores, labels[partner])
    torch.testing.assert_close(F.cross_entropy(scores, targets), expected)
    assert reference.cross_entropy(scores.tolist(), targets.tolist()) == pytest.approx(float(expected))


def test_sgm_of_mixed_targets_is_the_squared_gradient_of_their_cross_entropy():
    features, weight = torch.randn(4, 3, dtype=torch.double), torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    targets = torch.randn(4, 5, dtype=torch.double).softmax(dim=1)
    squares = [
        torch.autograd.grad(F.cross_entropy((phi @ weight.T)[None], y[None]), weight)[0].square().sum()
        for phi, y in zip(features, targets)
    ]
    torch.testing.assert_close(SGMLoss()(features, features @ weight.T, targets, weight), torch.stack(squares).mean())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_shares_follow_the_symmetric_beta_distribution(alpha):
    torch.manual_seed(0)
    objective = MixupObjective(alpha)
    shares = torch.tensor([objective.draw(2, torch.device("cpu")).share for _ in range(4000)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_cutmix_puts_one_rectangle_of_the_partner_there_and_counts_its_pixels(seed, height, width):
    torch.manual_seed(seed)
    images = torch.arange(3.0)[:, None, None, None].expand(3, 3, height, width).contiguous()
    one = Batch(images, torch.arange(3), 3)
    CutMixObjective().change(one)
    for n in range(3):
        values, counts = one.images[n, 0].unique(return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist()):
            assert float(one.targets[n, int(value)]) == pytest.approx(count / (height * width), abs=1e-6)
        rows, columns = (one.images[n, 0] != n).nonzero(as_tuple=True)
        if len(rows):
            area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert int(area) == len(rows)
        assert bool((one.images[n] == one.images[n, :1]).all())


def test_manifold_mixup_mixes_at_every_place_with_equal_chances(monkeypatch):
    backbone = network()
    objective = prepared(ManifoldMixupObjective(), backbone)
    places = []
    monkeypatch.setattr(module, "_mix_next_input", lambda stage, mixing: places.append(stage))
    images = 0
    torch.manual_seed(0)
    for _ in range(500):
        one = batch()
        objective.change(one)
        images += one.inner_mixing is None
    counts = [images, *(places.count(stage) for stage in backbone.trunk[4:])]
    assert sum(counts) == 500
    assert min(counts) > 70


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_manifold_mixup_mixes_the_input_of_one_stage_in_one_forward_pass(monkeypatch, place):
    backbone, one, mixing = network().eval(), batch(n=4, size=16), Mixing(0.25, torch.tensor([2, 0, 3, 1]))
    objective = prepared(ManifoldMixupObjective(), backbone)
    Fixed(monkeypatch, ManifoldMixupObjective, *mixing)
    monkeypatch.setattr(torch, "randint", lambda *args: torch.tensor(place))
    objective.change(one)
    one.add(torch.ones(2, 3, 16, 16))
    found = backbone.trunk(one.all_images())
    maps = one.images
    for number, layer in enumerate(backbone.trunk):
        maps = mixing.of(maps) if number == 3 + place else maps
        maps = layer(maps)
    torch.testing.assert_close(found[:4], maps)
    torch.testing.assert_close(found[4:], backbone.trunk(torch.ones(2, 3, 16, 16)))
    torch.testing.assert_close(backbone.trunk(one.images), backbone.trunk(one.original))
    torch.testing.assert_close(one.targets, mixing.of(F.one_hot(one.labels, 4).float()))


@pytest.mark.parametrize(("name", "size", "stages"), [("timm:resnet10t", 32, 4), ("timm:test_vit", 160, 2)])
def test_networks_of_other_libraries_have_stages(name, size, stages):
    backbone = build_backbone(name, 3).train()
    assert len(module.stages_of(backbone, torch.zeros(1, 3, size, size))) >= stages
    assert backbone.training
    assert not any(part._forward_pre_hooks for part in backbone.modules())


def test_a_network_without_stages_is_refused():
    backbone = network()
    backbone.trunk = torch.nn.Sequential(torch.nn.Conv2d(3, 512, 3), torch.nn.ReLU())
    with pytest.raises(InputError, match="has none: take mixup"):
        prepared(ManifoldMixupObjective(), backbone).change(batch())


@pytest.mark.parametrize("name", MIXERS)
def test_alpha_must_be_positive(name):
    with pytest.raises(InputError, match="alpha"):
        OBJECTIVES.build(name, alpha=0)
