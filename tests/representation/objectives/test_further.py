"""Label smoothing, rotations, the average of weights and distillation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation import load_backbone
from lowshot.representation.objectives import (
    Batch,
    DistillationObjective,
    EMAObjective,
    LabelSmoothingObjective,
    Mixing,
    RotationsObjective,
)
from lowshot.representation.objectives.rotations import turned
from tests.reference import objectives as reference
from tests.representation.objectives.problems import batch, network, prepared
from tests.representation.tiny import train

# ------------------------------------------------------------- label smoothing


@given(st.integers(0, 10**6), st.floats(0.01, 0.99), st.sets(st.integers(0, 3), min_size=1))
@settings(max_examples=25, deadline=None)
def test_smoothed_targets_are_those_of_the_slow_reference(seed, epsilon, present):
    one = batch(seed)
    prepared(LabelSmoothingObjective(epsilon), present=sorted(present)).change(one)
    expected = [reference.smoothed(int(label), epsilon, present, 4) for label in one.labels]
    torch.testing.assert_close(one.targets, torch.tensor(expected))


def test_with_images_of_all_classes_it_is_torchs_label_smoothing():
    one, scores = batch(), torch.randn(5, 4)
    prepared(LabelSmoothingObjective(0.2), present=range(4)).change(one)
    expected = F.cross_entropy(scores, one.labels, label_smoothing=0.2)
    torch.testing.assert_close(F.cross_entropy(scores, one.targets), expected)
    assert reference.cross_entropy(scores.tolist(), one.targets.tolist()) == pytest.approx(float(expected), rel=1e-5)


def test_smoothing_and_mixing_commute():
    mixing, smooth = Mixing(0.3, torch.tensor([1, 0, 4, 2, 3])), prepared(LabelSmoothingObjective())
    first, second = batch(), batch()
    smooth.change(first)
    first.targets = mixing.of(first.targets)
    second.targets = mixing.of(second.distributions())
    smooth.change(second)
    torch.testing.assert_close(first.targets, second.targets)


# ------------------------------------------------------------------- rotations


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_images_are_turned_as_in_the_slow_reference(turns, size):
    images = torch.arange(float(len(turns) * 3 * size * size)).view(len(turns), 3, size, size)
    found = turned(images, torch.tensor(turns))
    for n, turn in enumerate(turns):
        for channel in range(3):
            assert found[n, channel].tolist() == reference.turned(images[n, channel].tolist(), turn)


@pytest.mark.parametrize(("n", "share", "added"), [(5, 0.5, 2), (8, 1, 8), (2, 0.1, 1), (3, 4, 12), (4, 4, 16)])
def test_a_share_of_the_batch_is_added_unmixed(n, share, added):
    one = batch(n=n)
    one.images = one.images + 100  # another objective's doing
    objective = prepared(RotationsObjective(share))
    objective.change(one)
    found = one.all_images()
    assert len(found) == n + added
    assert torch.equal(found[:n], one.images)
    assert float(found[n:].max()) < 50
    if share == 4:  # as published: all four angles of every image
        whole = torch.cat([one.original.rot90(quarter, dims=(2, 3)) for quarter in range(4)]).flatten(1)
        assert sorted(found[n:].flatten(1).tolist()) == sorted(whole.tolist())


def test_the_loss_is_the_cross_entropy_of_the_angles_of_the_added_images():
    torch.manual_seed(0)
    one, objective = batch(n=4), prepared(RotationsObjective(share=1, weight=0.5))
    objective.change(one)
    features = torch.randn(8, 512)
    found = objective.loss(one, torch.zeros(8, 4), features)
    turns = []
    for image in one.all_images()[4:]:
        turns += [q for x in one.original for q in range(4) if torch.equal(x.rot90(q, dims=(1, 2)), image)]
    scores = objective.classifier(features[4:]).tolist()
    expected = reference.cross_entropy(scores, F.one_hot(torch.tensor(turns), 4).tolist())
    assert float(found.detach()) == pytest.approx(0.5 * expected, rel=1e-5)


def test_images_that_are_not_square_cannot_be_turned():
    one = Batch(torch.zeros(2, 3, 4, 5), torch.tensor([0, 1]), 4)
    with pytest.raises(InputError, match="square images, not 4 × 5"):
        prepared(RotationsObjective()).change(one)


# ------------------------------------------------------- the average of weights


@pytest.mark.parametrize("decay", [0.2, 0.999])
def test_the_average_is_that_of_the_slow_reference(decay):
    backbone = network()
    objective, weight = prepared(EMAObjective(decay), backbone), backbone.trunk[0].weight
    seen = [float(weight.detach().flatten()[0])]
    found = []
    for step in range(1, 30):
        weight.data += torch.randn(())
        backbone.trunk[1].running_mean += 1
        objective.after_step(backbone, step)
        seen.append(float(weight.detach().flatten()[0]))
        found.append(float(objective.evaluated(backbone).trunk[0].weight.flatten()[0]))
    assert found == pytest.approx(reference.averages(seen, decay), rel=1e-4)
    means = reference.averages([float(step) for step in range(30)], decay)
    assert float(objective.evaluated(backbone).trunk[1].running_mean[0]) == pytest.approx(means[-1], rel=1e-4)


def test_the_result_of_a_training_is_the_average_and_training_goes_on_from_the_weights(tmp_path):
    path = train(tmp_path / "average", objective=[{"ema": {"decay": 0.9}}], keep=None)
    plain = train(tmp_path / "plain")
    content = torch.load(path, weights_only=True)
    weights = torch.load(plain, weights_only=True)["state"]
    trained = content["objective"]["trained"]
    assert all(torch.equal(trained[name], value) for name, value in weights.items())
    average = load_backbone(path).classifier.weight
    assert not torch.equal(average, weights["classifier.weight"])


# ----------------------------------------------------------------- distillation


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return train(tmp_path_factory.mktemp("teacher"), epochs=1)


@given(st.integers(0, 10**6), st.floats(0.5, 8), st.floats(0.1, 3))
@settings(max_examples=15, deadline=None)
def test_the_loss_is_the_divergence_of_the_slow_reference(teacher, seed, temperature, weight):
    objective = prepared(DistillationObjective(str(teacher), weight, temperature))
    one = batch(seed, size=16)
    one.add(torch.zeros(2, 3, 16, 16))
    scores = torch.randn(7, 4, generator=torch.Generator().manual_seed(seed))
    teachers = load_backbone(teacher)(one.images)[0]
    expected = weight * reference.distillation(scores[:5].tolist(), teachers.tolist(), temperature)
    assert float(objective.loss(one, scores, torch.zeros(7, 512))) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_network_that_agrees_with_its_teacher_learns_nothing_from_it(teacher):
    student, one = load_backbone(teacher), batch(size=16)
    objective = prepared(DistillationObjective(str(teacher)), student)
    scores, features = student(one.images)
    loss = objective.loss(one, scores, features)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert float(torch.autograd.grad(loss, scores)[0].abs().max()) < 1e-5


def test_the_scores_of_the_teacher_are_mixed_where_the_network_mixes_inside(teacher):
    objective, one = prepared(DistillationObjective(str(teacher), 1.0, 1.0)), batch(n=4, size=16)
    one.inner_mixing = Mixing(0.4, torch.tensor([1, 2, 3, 0]))
    targets = one.inner_mixing.of(load_backbone(teacher)(one.images)[0].softmax(dim=1).detach())
    scores = torch.randn(4, 4)
    expected = F.kl_div(scores.log_softmax(dim=1), targets, reduction="batchmean")
    torch.testing.assert_close(objective.loss(one, scores, torch.zeros(4, 512)), expected)


def test_the_teacher_is_neither_trained_nor_saved(teacher, tmp_path):
    path = train(tmp_path, objective={"distillation": {"teacher": str(teacher)}})
    assert torch.load(path, weights_only=True)["objective"] == {"parts": {"distillation": {}}, "trained": None}


def test_a_teacher_that_is_missing_or_of_other_classes_is_refused(teacher, tmp_path):
    with pytest.raises(InputError, match=r"none\.ckpt"):
        prepared(DistillationObjective(str(tmp_path / "none.ckpt")))
    with pytest.raises(InputError, match="trained on other classes: its 4 columns"):
        prepared(DistillationObjective(str(teacher)), network(classes=5))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("label_smoothing", {"epsilon": 1.0}),
        ("rotations", {"share": 0}),
        ("rotations", {"share": 5}),
        ("rotations", {"weight": 0}),
        ("ema", {"decay": 1}),
        ("distillation", {"teacher": "a", "temperature": 0}),
        ("distillation", {"teacher": "a", "weight": -1}),
    ],
)
def test_values_out_of_range_are_refused(name, params):
    with pytest.raises(InputError, match=list(params)[-1]):
        OBJECTIVES.build(name, **params)
