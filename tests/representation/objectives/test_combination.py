"""Objectives together: in settings, in trainings cut off or of several processes, and what does not go together."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation import load_backbone, trunk_fingerprint
from lowshot.representation.objectives import Objective
from lowshot.representation.objectives.combination import objective_complaints
from lowshot.representation.settings import TrainSettings
from tests.representation.test_training import LOADS_PER_EPOCH, Interrupted, InterruptedImages, same
from tests.representation.tiny import settings, train, weights

ALL = [
    {"cosine_head": {"learned": True}},
    {"manifold_mixup": {}},
    {"affine": {}},
    {"rotations": {}},
    {"label_smoothing": {}},
    {"ema": {"decay": 0.9}},
]


def test_objectives_are_written_as_names_or_with_parameters():
    wanted = ({"cosine_head": {}}, {"mixup": {"alpha": 0.5}})
    assert TrainSettings(objective=["cosine_head", {"mixup": {"alpha": 0.5}}]).objective == wanted
    assert TrainSettings(objective=[{"cosine_head": None}, {"mixup": {"alpha": 0.5}}]).objective == wanted
    assert TrainSettings(objective="ema").objective == ({"ema": {}},)
    assert TrainSettings(objective=None).objective == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([3], "expected a list of names"),
        ([{"mixup": {}, "ema": {}}], "expected a list of names"),
        (["ema", {"EMA": {}}], "ema is there twice"),
        ([{"mixup": 0.5}], "mixup"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        TrainSettings(objective=wrong)


def test_without_objectives_nothing_changes_in_what_a_run_depends_on(tmp_path):
    assert "objective" not in settings().fingerprinted()
    assert "objective" not in torch.load(train(tmp_path, epochs=1), weights_only=True)
    assert settings(objective=["ema"]).fingerprinted() != settings(objective=[{"ema": {"decay": 0.9}}]).fingerprinted()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_run_of_all_of_them_equals_an_uninterrupted_one(tmp_path, precision):
    teacher = train(tmp_path / "teacher", epochs=1)
    changes = {"objective": [*ALL, {"distillation": {"teacher": str(teacher)}}], "precision": precision}
    whole = train(tmp_path / "whole", **changes)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptedImages(LOADS_PER_EPOCH + 5), **changes)
    resumed = train(tmp_path / "cut", **changes)
    assert same(resumed, whole)
    first, second = (torch.load(path, weights_only=True)["objective"] for path in (whole, resumed))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not same(whole, train(tmp_path / "other", seed=4, **changes))


def test_two_processes_train_one_network_and_its_objectives(tmp_path):
    path = train(tmp_path, devices=2, objective=ALL)
    assert all(bool(value.isfinite().all()) for value in weights(path).values())
    assert load_backbone(path).config["head"]["cosine_head"]["learned"]


@pytest.mark.parametrize("mixer", ["mixup", "cutmix"])
@pytest.mark.parametrize("loss", [None, "sgm", "batch_sgm", "feature_l2"])
def test_mixing_goes_with_the_papers_losses(tmp_path, mixer, loss):
    changes = {"loss": loss, "loss_weight": 0.001 if loss else 0.0}
    assert train(tmp_path, epochs=1, objective=[mixer, "label_smoothing"], **changes).is_file()


def test_losses_of_objectives_are_in_the_log_and_in_the_loss(tmp_path):
    import json

    path = train(tmp_path, epochs=1, objective=["rotations"], loss=None, loss_weight=0)
    record = json.loads((path.parents[1] / "log.jsonl").read_text().splitlines()[-1])
    assert record["loss"] == pytest.approx(record["cross_entropy"] + record["objective"]["rotations"], rel=1e-5)


def test_features_do_not_depend_on_the_head(tmp_path):
    backbone = load_backbone(train(tmp_path, epochs=1, objective=["cosine_head"]))
    before = trunk_fingerprint(backbone)
    del backbone.config["head"]
    assert trunk_fingerprint(backbone) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": ["mixup", "cutmix"]}, "mixup and cutmix cannot be combined: a training has one mixing"),
        ({"objective": ["cosine"]}, "unknown objective 'cosine'. Did you mean 'cosine_head'"),
        ({"objective": [{"mixup": {"beta": 1}}]}, "objective 'mixup' has no parameter 'beta'"),
        ({"objective": [{"ema": {"decay": "a lot"}}]}, "parameter 'decay'"),
        ({"objective": [{"ema": {"decay": 2}}]}, "decay=2"),
        ({"objective": ["cosine_head"], "loss": "feature_l2"}, "acts on the length of features"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_done(tmp_path, changes, message):
    (complaint,) = objective_complaints(settings(**changes))
    assert message in complaint
    with pytest.raises(InputError, match=message):
        train(tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_knows_no_distributions_is_refused_beside_mixing(tmp_path):
    (tmp_path / "mine.py").write_text("def loss(features, scores, labels, weight):\n    return scores.sum()\n")
    changes = {"loss": f"file:{tmp_path / 'mine.py'}", "objective": ["mixup", "ema"]}
    (complaint,) = objective_complaints(settings(**changes))
    assert "takes numbers of classes as labels, and mixup makes distributions" in complaint
    assert objective_complaints(settings(**{**changes, "objective": ["cosine_head", "rotations"]})) == []


def test_a_damaged_state_of_objectives_is_named(tmp_path):
    path = train(tmp_path, epochs=1, objective=["rotations"])
    content = torch.load(path, weights_only=True)
    del content["objective"]
    torch.save(content, path)
    with pytest.raises(InputError, match="holds no state of this optimizer"):
        train(tmp_path, objective=["rotations"])


def test_every_objective_says_what_it_is():
    found = {entry.name: entry.factory for entry in OBJECTIVES if entry.source.startswith("lowshot.")}
    assert len(found) == 9
    for name, factory in found.items():
        assert issubclass(factory, Objective)
        assert "arXiv" in (factory.__doc__ or ""), name
