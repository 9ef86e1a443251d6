"""Mistakes of a recipe: named all at once, before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import run_recipe

Write = Callable[..., Path]


def test_validate_names_everything_that_is_missing(write_recipe: Write, tmp_path: Path) -> None:
    assert "2 representations × 1 method × n = 1, 5 ×" in validate_recipe(write_recipe())
    path = write_recipe(
        representations={"a": {"checkpoint": "no.ckpt"}, "b": {"features": {"train": "no.hdf5", "test": "nor.hdf5"}}},
        split={"base": [4, 4], "novel": [40, 4], "max_shots": 5},
    )
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    for words in ("no.ckpt does not exist", "no.hdf5 does not exist", "nor.hdf5 does not exist", "need 52 classes"):
        assert str(caught.value).count(words) == 1


def test_validate_names_mistakes_of_every_kind_at_once(write_recipe: Write) -> None:
    path = write_recipe(
        trian={},
        data={"dataset": "glyphs", "preset": "smal", "root": "nowhere"},
        split={"base": [4, 4], "novel": [4000, 4], "max_shots": 5},
        train={"epochs": "ten", "backbone": "resnet11", "loss": "sgmm"},
        evaluate={"n_shots": [1], "methods": {"m": {"classifier": "logistic", "params": {"lr": "fast", "lrr": 1}}}},
    )
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    text = str(caught.value)
    for words in (
        "trian: unknown key",
        "train.epochs: input should be a valid integer",
        "Did you mean 'small'",
        "'resnet10'",
        "'sgm'",
        "has no parameter 'lrr'",
        "parameter 'lr': input should be a valid number, unable to parse string as a number, got 'fast'",
        "data set 'glyphs' has no parameter 'root'",
    ):
        assert words in text, text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.backbone=timm:nothere"], "nothere"),
        (["train.backbone=resnet10", "train.backbone_options.stem=tiny"], "tiny"),
        (["evaluate.methods.linear.params.lr=fast"], "parameter 'lr'"),
        (["split.novel=[4,400]"], "need 412 classes"),
    ],
)
def test_what_validate_calls_sound_does_not_fail_later(write_recipe: Write, changes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate_recipe(write_recipe(), changes)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"generator": "analogies", "n_per_class": 5}, "'analogies' is not in the generators section"),
        ({"n_per_class": 5}, "generator and n_per_class go together"),
    ],
)
def test_a_method_whose_generation_is_not_whole_is_refused(write_recipe: Write, method: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(write_recipe(evaluate={"n_shots": [1], "methods": {"m": method}}))


def test_experiments_that_cannot_be_made_leave_no_half_of_a_split(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(
        split={"base": [4, 4], "novel": [4, 4], "max_shots": 20}, evaluate={"n_shots": [1, 20], "methods": {"m": {}}}
    )
    with pytest.raises(InputError, match=r"has 8 training images, but evaluate\.n_shots asks for 20"):
        run_recipe(path)
    assert not (tmp_path / "out" / "split").exists()


def test_classes_that_the_split_leaves_out_are_counted(
    write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven = {"dataset": "glyphs", "options": {"classes": 7, "train_per_class": 8, "test_per_class": 4}}
    path = write_recipe(data=seven, split={"experiments": 2, "max_shots": 5})
    words = "7 classes: 4 take part, 3 are unused (split.base and split.novel say how many)"
    assert words in validate_recipe(path)
    run_recipe(path, only="split")
    assert words in " ".join(capsys.readouterr().err.split())
    # Both keys of the advice: then all take part.
    whole = write_recipe(data=seven, split={"experiments": 2, "max_shots": 5, "base": [2, 2], "novel": [2, 1]})
    assert "unused" not in validate_recipe(whole)
    run_recipe(whole, only="split")
    assert "unused" not in capsys.readouterr().err


BROKEN_PARTS = """
import numpy as np
from lowshot.classifiers import LowShotClassifier
from lowshot.hallucination import Generator
from lowshot.registry import CLASSIFIERS, GENERATORS, LOSSES
from lowshot.representation.losses import AuxiliaryLoss

@CLASSIFIERS.register("one_column_short", "of the tests of validate")
class OneColumnShort(LowShotClassifier):
    def _fit_novel(self, X, codes):
        pass

    def _scores(self, X):
        return np.zeros((len(X), len(self.classes_) - 1))

@GENERATORS.register("narrow", "of the tests of validate")
class Narrow(Generator):
    def _fit(self, features, labels, classifier_weight):
        pass

    def _hallucinate(self, seeds, rng):
        return seeds[:, 1:]

@LOSSES.register("per_example", "of the tests of validate")
class PerExample(AuxiliaryLoss):
    def formula(self, features, scores, labels, classifier_weight):
        return scores.square().mean(dim=1)
"""


def test_a_plugin_that_breaks_its_contract_is_named_before_anything_runs(write_recipe: Write, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN_PARTS)
    path = write_recipe(
        plugins=["tiny_backbone.py", "broken.py"],
        representations={"baseline": {}, "odd": {"train": {"loss": "per_example", "loss_weight": 1}}},
        generators={"narrow": {"generator": "narrow"}},
        evaluate={"n_shots": [1], "methods": {"short": {"classifier": "one_column_short"}}},
    )
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    text = str(caught.value)
    for words in (
        "evaluate.methods.short.classifier: classifier OneColumnShort",
        "(50, 9); expected numbers of shape (50, 10)",
        "generators.narrow.generator: generator Narrow",
        "representations.odd.train.loss: loss PerExample: the loss of a batch of 6 is of shape (6,)",
    ):
        assert words in text, text
    with pytest.raises(InputError, match="OneColumnShort"):
        run_recipe(path)
    assert not (tmp_path / "runs").exists()
