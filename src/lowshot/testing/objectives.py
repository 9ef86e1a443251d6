"""The contract of an objective, checked on a few steps of a small network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lowshot.data import Normalize
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.objectives import Batch, Objective, TrainingClasses
from lowshot.representation.one_process import OneProcess
from lowshot.representation.settings import TrainSettings
from lowshot.representation.step import Trainer
from lowshot.testing.conformance import Check, built, run_checks

_CLASSES, _SIZE, _STEPS = 7, 12, 2


def check_objective(objective: Objective | type[Objective] | str, **params: Any) -> None:
    """Check that an objective can be trained with, cut off and resumed.

    Checked are: that a changed batch has as many images and valid targets, and distributions only where the class says
    ``makes_distributions``; that the images of the caller are left as they are; that the scores of a head are the
    product of its ``inputs`` and ``class_weight``; that losses are finite scalars; that torch's seed decides all
    randomness; and that a training that goes on from a checkpoint ends as one that was not interrupted, so that all
    state is in parameters and buffers.

    Args:
        objective (Objective, class or str): The objective, its class, or its registered name.
        **params (objects): The parameters of a class or name.

    Raises:
        ConformanceError: It breaks the contract; a line for each finding.
        InputError: The name or a parameter is unknown.

    Example:
        >>> check_objective("mixup", alpha=0.5)
    """
    made: Objective = built(OBJECTIVES, objective, params)
    with torch.random.fork_rng(devices=[]):
        run_checks(f"objective {type(made).__name__}", _checks(made))


def _checks(objective: Objective) -> Iterator[Check]:
    yield partial(_a_changed_batch_is_valid, objective)
    yield partial(_a_head_is_a_product, objective)
    yield partial(_losses_are_finite_scalars, objective)
    yield partial(_the_seed_decides, objective)
    yield partial(_a_resumed_training_ends_the_same, objective)


def _network(objective: Objective) -> Backbone:
    """A network of two stages, with the head of the objective."""
    torch.manual_seed(0)
    stages = [nn.Sequential(nn.Conv2d(width, 6, 3, stride=2), nn.BatchNorm2d(6), nn.LeakyReLU()) for width in (3, 6)]
    backbone = Backbone(nn.Sequential(*stages), 6, _CLASSES)
    backbone.config = {"name": "small", "num_classes": _CLASSES, "kwargs": {}}
    if (head := objective.make_head(6, _CLASSES)) is not None:
        backbone.classifier = head
    return backbone


def _images(seed: int) -> tuple[Tensor, Tensor]:
    """Eight uint8 images and their labels; the last class has no image."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (8, 3, _SIZE, _SIZE), generator=rng, dtype=torch.uint8)
    return images, torch.randint(_CLASSES - 1, (8,), generator=rng)


def _trainer(objective: Objective, state: dict[str, Tensor] | None = None) -> Trainer:
    """A trainer with a fresh copy of the objective, of new weights or of those of a checkpoint."""
    fresh = copy.deepcopy(objective)
    backbone = _network(fresh)
    if state is not None:
        backbone.load_state_dict(state)
    fabric: Any = OneProcess("cpu")
    normalize = Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    classes = TrainingClasses(torch.arange(_CLASSES - 1))
    return Trainer(fabric, backbone, normalize, TrainSettings(), classes, {"part": fresh})


def _train(trainer: Trainer, first: int, last: int) -> Trainer:
    """Do some steps, each with a seed of its own."""
    trainer.model.train()
    for step in range(first, last):
        torch.manual_seed(step)
        trainer.step(*_images(step), 0.05)
    return trainer


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.evaluated.state_dict().items()}


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def _a_changed_batch_is_valid(objective: Objective) -> str | None:
    trainer, (images, labels) = _trainer(objective), _images(0)
    given = trainer.prepare(images)
    batch = Batch(given.clone(), labels.clone(), _CLASSES)
    original = batch.original
    trainer.objectives["part"].change(batch)
    if not torch.equal(original, given) or not torch.equal(batch.labels, labels):
        return "the images or labels of the batch are changed in place: assign new ones"
    if batch.images.shape != given.shape or not batch.images.isfinite().all():
        return f"images are {tuple(batch.images.shape)} or not finite after the change; expected {tuple(given.shape)}"
    targets = batch.targets
    if targets.ndim == 1:
        valid = len(targets) == len(labels) and not targets.is_floating_point()
        return None if valid else "targets of one dimension must be the numbers of classes, one for each image"
    if targets.shape != (len(labels), _CLASSES) or not torch.allclose(targets.sum(dim=1), torch.ones(len(labels))):
        return f"targets are {tuple(targets.shape)}; expected distributions, ({len(labels)}, {_CLASSES}) with sum 1"
    return None if objective.makes_distributions else "it makes distributions, so makes_distributions must be True"


def _a_head_is_a_product(objective: Objective) -> str | None:
    head = _network(objective).classifier
    features = torch.randn(5, 6)
    product = head.inputs(features) @ head.class_weight().T
    same = product.shape == (5, _CLASSES) and torch.allclose(head(features), product, atol=1e-5)
    return None if same else "the scores of its head are not inputs(features) @ class_weight().T"


def _losses_are_finite_scalars(objective: Objective) -> str | None:
    trainer = _trainer(objective)
    trainer.model.train()
    for step in range(_STEPS):
        result = trainer.step(*_images(step), 0.05)
        for value in (result.loss, *result.further.values()):
            if value.ndim or not value.isfinite():
                return f"the loss of step {step} is of shape {tuple(value.shape)} or not finite: expected a scalar"
    return None


def _the_seed_decides(objective: Objective) -> str | None:
    first, second = (_weights(_train(_trainer(objective), 0, _STEPS)) for _ in range(2))
    return None if _same(first, second) else "two trainings of one seed differ: draw by torch's default generator"


def _a_resumed_training_ends_the_same(objective: Objective) -> str | None:
    whole = _weights(_train(_trainer(objective), 0, 2 * _STEPS))
    half = _train(_trainer(objective), 0, _STEPS)
    checkpoint = {"optimizer": half.optimizer.state_dict(), "schedule": {"step": _STEPS}, **half.state()}
    resumed = _trainer(objective, _weights(half))
    resumed.load(copy.deepcopy(checkpoint), "the checkpoint")
    if _same(whole, _weights(_train(resumed, _STEPS, 2 * _STEPS))):
        return None
    return "a training that goes on from a checkpoint ends otherwise: keep state in parameters and buffers"
