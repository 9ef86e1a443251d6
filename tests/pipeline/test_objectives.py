"""Objectives in recipes: checkpoints of other representations, mistakes, and the head that a network keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.plan import Plan
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import run_recipe

Write = Callable[..., Path]

STUDENTS = {
    "student": {"train": {"objective": ["cosine_head", {"distillation": {"teacher": "teacher"}}]}},
    "teacher": {"train": {"objective": ["cosine_head"]}},
}


def test_a_teacher_is_trained_before_its_student_whatever_the_order(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(representations=STUDENTS)
    assert "2 representations" in validate_recipe(path)
    plan = Plan(load_recipe(path, [], {"output": str(tmp_path / "out")}))
    trained = [stage for stage in plan.stages if stage.kind == "train"]
    assert [stage.subject for stage in trained] == ["teacher", "student"]
    assert trained[1].needs == (trained[0],)
    run_recipe(path, output=tmp_path / "out")
    (content,) = (
        torch.load(file, weights_only=True) for file in (tmp_path / "out").glob("*/student/checkpoints/epoch_002.ckpt")
    )
    assert content["backbone"]["head"] == {"cosine_head": {"scale": 16.0, "learned": False}}


def test_each_training_of_a_student_learns_from_the_teachers_of_its_number(write_recipe: Write, tmp_path: Path) -> None:
    representations = {
        "student": {**STUDENTS["student"], "seeds": 3},
        "teacher": {**STUDENTS["teacher"], "seeds": 2},
    }
    plan = Plan(load_recipe(write_recipe(representations=representations), [], {"output": str(tmp_path / "out")}))
    needs = {stage.subject: [need.subject for need in stage.needs] for stage in plan.stages if stage.kind == "train"}
    assert needs == {
        **{"teacher": [], "teacher@2": []},
        **{"student": ["teacher"], "student@2": ["teacher@2"], "student@3": ["teacher@2"]},
    }
    assert "teacher@2" in str(plan.representations["student@3"].settings.objective)


def test_another_training_of_the_teacher_trains_the_student_anew(
    write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe(write_recipe(representations=STUDENTS), output=tmp_path / "out", only="train")
    capsys.readouterr()
    changed = {**STUDENTS, "teacher": {"train": {"objective": ["cosine_head"], "lr": 0.04}}}
    path = write_recipe(representations=changed)
    run_recipe(path, output=tmp_path / "out", only="train")
    printed = capsys.readouterr().err
    assert "▶ train:teacher" in printed
    assert "▶ train:student" in printed
    run_recipe(path, output=tmp_path / "out", only="train")
    assert "▶" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("techer", "'techer' is no representation and no file. Did you mean 'teacher'"),
        ("student", "student is not trained before student"),
        ("given", "given has no network that was trained on the classes of this recipe"),
    ],
)
def test_a_teacher_that_cannot_be_one_is_named(write_recipe: Write, teacher: str, message: str) -> None:
    representations = {
        "student": {"train": {"objective": [{"distillation": {"teacher": teacher}}]}},
        "teacher": {},
        "given": {"features": {"train": "a.hdf5", "test": "b.hdf5"}},
    }
    with pytest.raises(InputError) as caught:
        validate_recipe(write_recipe(representations=representations))
    assert f"representations.student.train.objective.distillation.teacher: {message}" in str(caught.value)


def test_teachers_in_a_circle_are_named(write_recipe: Write) -> None:
    circle = {
        one: {"train": {"objective": [{"distillation": {"teacher": other}}]}} for one, other in (("a", "b"), ("b", "a"))
    }
    with pytest.raises(InputError, match="b is not trained before a: it is the same, or learns from it"):
        validate_recipe(write_recipe(representations=circle))


def test_validate_names_mistakes_of_objectives_with_the_rest(write_recipe: Write) -> None:
    wrong = {"objective": ["mixup", "cutmix", "emma", {"rotations": {"share": "all"}}]}
    with pytest.raises(InputError) as caught:
        validate_recipe(write_recipe(representations={"a": {"train": wrong}}))
    text = str(caught.value)
    for words in ("mixup and cutmix cannot be combined", "unknown objective 'emma'", "parameter 'share'"):
        assert f"representations.a.train.objective: {words}" in text or words in text


def test_the_generator_fits_its_own_classifier_to_features_of_a_cosine_head(
    write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowshot.hallucination import Generator

    seen: list[object] = []
    fit = Generator.fit

    def noted(self, features, labels, classifier_weight=None):  # type: ignore[no-untyped-def]
        seen.append(classifier_weight)
        return fit(self, features, labels, classifier_weight)

    monkeypatch.setattr(Generator, "fit", noted)
    method = {"classifier": "nearest_mean", "generator": "difference", "n_per_class": 2}
    path = write_recipe(
        representations={"plain": {}, "cosine": {"train": {"objective": ["cosine_head"]}}},
        generators={"difference": {"generator": "difference"}},
        evaluate={"n_shots": [1], "methods": {"m": method}},
    )
    run_recipe(path, output=tmp_path / "out", only="train")
    for kind in ("extract", "fit-generator"):
        run_recipe(path, output=tmp_path / "out", only=kind)
    cosine, plain = seen  # in the order of their names
    assert cosine is None
    assert isinstance(plain, np.ndarray)
