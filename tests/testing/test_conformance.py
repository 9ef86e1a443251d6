"""Parts that keep their contract pass; each way to break it is found and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lowshot.classifiers import LowShotClassifier
from lowshot.errors import InputError
from lowshot.hallucination import Generator
from lowshot.registry import CLASSIFIERS, GENERATORS, LOSSES, OBJECTIVES
from lowshot.representation import build_backbone
from lowshot.representation.backbones import Backbone
from lowshot.representation.losses import AuxiliaryLoss
from lowshot.representation.objectives import Objective
from lowshot.testing import (
    ConformanceError,
    check_backbone,
    check_classifier,
    check_generator,
    check_loss,
    check_objective,
)
from tests.classifiers.problems import QUICK

QUICK_GENERATOR = {"n_clusters": 3, "n_steps": 3, "hidden": 8, "device": "cpu", "epochs": 1, "n_epochs": 1}


class Means(LowShotClassifier):
    """A sound classifier, which each test breaks in one way."""

    def __init__(self, weight: float = 1.0, random_state: int | None = None) -> None:
        self.weight = weight
        self.random_state = random_state

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self.base_means_ = self._means(X, codes)
        self.means_ = self.base_means_

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        means = self._means(X, codes)
        self.means_ = np.vstack([self.base_means_, means]) if self.n_base_classes_ else means

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return -self.weight * ((X[:, None] - self.means_) ** 2).sum(axis=2)

    @staticmethod
    def _means(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return np.stack([X[codes == code].mean(axis=0) for code in range(codes.max() + 1)])


class WrongShape(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        return super()._scores(X)[:, :-1]


class NotANumber(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        return super()._scores(X) * np.nan


class NovelFirst(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        return np.roll(super()._scores(X), 3, axis=1)


class InPlace(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        X -= 1
        return super()._scores(X + 1)


class Unseeded(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        return super()._scores(X) + 1e-3 * np.random.default_rng().normal(size=(len(X), len(self.classes_)))


class Leaking(Means):
    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_novel(X, codes)
        self.base_means_ += 0.01 * X.mean()


class QueriesTogether(Means):
    def _scores(self, X: np.ndarray) -> np.ndarray:
        return super()._scores(X - 0.1 * X.mean(axis=0))


class FalselyNovel(Means):
    novel_parameters = frozenset({"weight"})
    tuning_grid = {"weight": [1.0, 5.0]}

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_base(self.weight * X, codes)


class ChangesParameters(Means):
    def __init__(self, weight: Any = 1.0, random_state: int | None = None) -> None:
        super().__init__([weight], random_state)  # type: ignore[arg-type]


class Failing(Means):
    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        raise KeyError("shots")


BROKEN_CLASSIFIERS = [
    (WrongShape, r"\(50, 9\).*expected.*\(50, 10\)"),
    (NotANumber, "NaN"),
    (NovelFirst, "far apart"),
    (InPlace, "changes an array"),
    (Unseeded, "two fits on the same data differ"),
    (Leaking, "a draw of shots changes the answers to the next"),
    (QueriesTogether, "depend on the other queries"),
    (FalselyNovel, "novel_parameters names weight"),
    (Failing, r"KeyError: 'shots' \(.*test_conformance\.py, line \d+\)"),
]


def test_a_sound_classifier_passes() -> None:
    check_classifier(Means)
    check_classifier(Means(weight=2.0))
    check_classifier(Means, weight=2.0)


@pytest.mark.parametrize(("broken", "text"), BROKEN_CLASSIFIERS)
def test_each_broken_classifier_is_found(broken: type[Means], text: str) -> None:
    with pytest.raises(ConformanceError, match=text):
        check_classifier(broken)


def test_a_constructor_that_changes_a_parameter_is_found() -> None:
    with pytest.raises((ConformanceError, RuntimeError), match="constructor"):
        check_classifier(ChangesParameters)


def test_the_quick_check_finds_a_wrong_shape() -> None:
    with pytest.raises(ConformanceError, match="expected"):
        check_classifier(WrongShape, thorough=False)
    check_classifier(Unseeded, thorough=False)


def test_an_instance_with_parameters_and_an_unknown_name_are_refused() -> None:
    with pytest.raises(InputError, match="instance already"):
        check_classifier(Means(), weight=2.0)
    with pytest.raises(InputError, match="Did you mean 'ridge'"):
        check_classifier("ridg")


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_lowshots_own_classifiers_pass(name: str) -> None:
    known = CLASSIFIERS.parameters(name)
    check_classifier(name, **{key: value for key, value in QUICK.items() if key in known})


class Noise(Generator):
    """A sound generator, which each test breaks in one way."""

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        self.spread_ = features.std(axis=0)

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return seeds + rng.normal(size=seeds.shape).astype(seeds.dtype) * self.spread_


class Narrow(Noise):
    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return seeds[:, 1:]


class Infinite(Noise):
    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return seeds / 0


class OwnDice(Noise):
    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super()._hallucinate(seeds, np.random.default_rng())


class Scaling(Noise):
    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        super()._fit(features, labels, classifier_weight)
        features *= 2


class FitDice(Noise):
    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        self.spread_ = np.random.default_rng().random(features.shape[1])


class Reordered(Noise):
    def generate(self, *args: Any, **kwargs: Any) -> Any:
        X, y = super().generate(*args, **kwargs)
        return X[::-1], y[::-1]


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (Narrow, "returned"),
        (Infinite, "NaN or infinity"),
        (OwnDice, "two calls of generate with one seed differ"),
        (FitDice, "two fits on the same data differ"),
        (Scaling, "changes an array"),
        (Reordered, "shots first and unchanged"),
    ],
)
def test_each_broken_generator_is_found(broken: type[Noise], text: str) -> None:
    check_generator(Noise)
    with np.errstate(all="ignore"), pytest.raises(ConformanceError, match=text):
        check_generator(broken)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_lowshots_own_generators_pass(name: str) -> None:
    known = GENERATORS.parameters(name)
    check_generator(name, **{key: value for key, value in QUICK_GENERATOR.items() if key in known})


def loss(formula: Callable[..., Any]) -> AuxiliaryLoss:
    return type("MyLoss", (AuxiliaryLoss,), {"formula": staticmethod(formula)})()  # type: ignore[no-any-return]


class Trained(AuxiliaryLoss):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def formula(self, features: Any, scores: Any, labels: Any, classifier_weight: Any) -> Any:
        return self.scale * scores.square().mean()


class HalfGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.square().sum()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * torch.ones(6, 4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (loss(lambda features, scores, labels, weight: scores.square()), "expected a finite scalar"),
        (loss(lambda features, scores, labels, weight: (scores * 0).sum() / 0), "expected a finite scalar"),
        (loss(lambda features, scores, labels, weight: features[0].sum()), "order of the batch"),
        (loss(lambda features, scores, labels, weight: scores.detach().sum()), "no gradient"),
        (loss(lambda features, scores, labels, weight: features.mul_(2).sum()), "in place"),
        (loss(lambda features, scores, labels, weight: HalfGradient.apply(scores)), "derivative"),
        (Trained(), "scale are not trained"),
    ],
)
def test_each_broken_loss_is_found(broken: AuxiliaryLoss, text: str) -> None:
    check_loss(loss(lambda features, scores, labels, weight: scores.square().sum(dim=1).mean()))
    with pytest.raises(ConformanceError, match=text):
        check_loss(broken)


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if ":" not in name and name != "file"])
def test_lowshots_own_losses_pass(name: str) -> None:
    check_loss(name)


def objective(**methods: Any) -> Objective:
    """An objective with these hooks."""
    return type("Made", (Objective,), methods)()


def _counting(self: Any, batch: Any) -> None:
    self.count = getattr(self, "count", 0) + 1
    batch.images = batch.images * self.count


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (objective(change=lambda self, batch: batch.images.add_(1)), "in place"),
        (objective(change=lambda self, batch: setattr(batch, "images", batch.images[:3])), "images are"),
        (objective(change=lambda self, batch: setattr(batch, "targets", batch.distributions())), "makes_distributions"),
        (objective(change=lambda self, batch: setattr(batch, "targets", torch.ones(8, 7))), "with sum 1"),
        (objective(change=_counting), "goes on from a checkpoint"),
        (objective(loss=lambda self, batch, scores, features: scores.sum(dim=1)), "scalar"),
        (
            objective(
                loss=lambda self, batch, scores, features: scores.sum() * float(np.random.default_rng().random())
            ),
            "one seed",
        ),
    ],
)
def test_each_broken_objective_is_found(broken: Objective, text: str) -> None:
    check_objective(objective())
    with pytest.raises(ConformanceError, match=text):
        check_objective(broken)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES.names() if name != "distillation"])
def test_lowshots_own_objectives_pass(name: str) -> None:
    check_objective(name)


def test_distillation_passes(tmp_path: Path) -> None:
    teacher = build_backbone("resnet10", 7, stem="small")
    state = {"epoch": 1, "state": teacher.state_dict(), "backbone": teacher.config}
    torch.save(state, tmp_path / "teacher.ckpt")
    check_objective("distillation", teacher=str(tmp_path / "teacher.ckpt"))


def tiny(num_classes: int, width: int = 4) -> Backbone:
    return Backbone(nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU()), width, num_classes)


def widening(num_classes: int) -> Backbone:
    widening.width += 1  # type: ignore[attr-defined]
    return tiny(num_classes, widening.width)  # type: ignore[attr-defined]


widening.width = 3  # type: ignore[attr-defined]


class WithinBatch(nn.Module):
    def forward(self, x: Any) -> Any:
        return (x - x.mean(dim=0)).mean(dim=(2, 3))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.used(x)


class AlwaysDropping(nn.Module):
    def forward(self, x: Any) -> Any:
        return nn.functional.dropout(x, training=True).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (lambda num_classes: nn.Linear(3, num_classes), "not a Backbone"),
        (lambda num_classes: Backbone(nn.Conv2d(3, 4, 3), 5, num_classes), "RuntimeError"),
        (lambda num_classes: Backbone(WithinBatch(), 3, num_classes), "depend on the others"),
        (lambda num_classes: Backbone(AlwaysDropping(), 3, num_classes), "two passes in evaluation mode differ"),
        (lambda num_classes: Backbone(Unused(), 4, num_classes), r"spare\.weight"),
        (widening, "another architecture"),
    ],
)
def test_each_broken_backbone_is_found(broken: Callable[..., Any], text: str) -> None:
    check_backbone(tiny)
    check_backbone(tiny, width=6)
    with pytest.raises(ConformanceError, match=text):
        check_backbone(broken)


def test_a_registered_backbone_passes() -> None:
    check_backbone("resnet10", stem="small")
