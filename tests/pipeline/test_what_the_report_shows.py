"""The report of a recipe: examples of the best method or of another one, and an introduction that is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.errors import InputError
from lowshot.pipeline.stages.report import origin_of_features
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import extracted, records, run_recipe

Write = Callable[..., Path]

METHODS = {
    "first": {"label": "First", "params": {"n_steps": 2}},
    "cosine": {"label": "Cosine", "classifier": "cosine"},
    "ridge": {"label": "Ridge", "classifier": "ridge"},
}

pytestmark = pytest.mark.usefixtures("quick_figures")


def shown(page: str) -> list[str]:
    """The headings of the examples, in order."""
    return re.findall("<h3>([^<]*)</h3>", page.split('<section id="examples">')[1].split("</section>")[0])


def test_examples_are_of_the_best_method_of_each_representation_or_of_the_one_that_is_named(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    path = write_recipe(evaluate={"n_shots": [1, 5], "calibrate": "none", "methods": METHODS})
    run_recipe(path)
    page = tmp_path / "out" / "report" / "report.html"
    sums: dict[tuple[str, str], float] = {}
    for record in records(tmp_path / "out"):
        if record["setup"] == "test" and record["n_shots"] == 5:
            # Eight classes compete, so that the table of this report is top-1.
            key = (record["representation"], record["method"])
            sums[key] = sums.get(key, 0) + record["all_top1"]
    best = {name: max(sum_ for (r, _), sum_ in sums.items() if r == name) for name in ("baseline", "sgm")}
    labels = {"baseline": "Baseline", "sgm": "SGM"}
    headings = shown(page.read_text())
    assert len(headings) == 2
    for heading in headings:
        representation, method, n = heading.split(" · ")
        key = next(key for key, label in labels.items() if label == representation)
        assert sums[key, method.lower()] == best[key]
        assert n == "n=5"
    first, second = (next(key for key, label in labels.items() if heading.startswith(label)) for heading in headings)
    assert best[first] >= best[second]

    run_recipe(path, ["report.examples_of=ridge", "report.examples_at=1"])
    assert sorted(shown(page.read_text())) == ["Baseline · Ridge · n=1", "SGM · Ridge · n=1"]


def test_examples_of_a_method_that_is_not_there_are_refused(write_recipe: Write) -> None:
    with pytest.raises(InputError, match=r"report\.examples_of: 'rigde' is not in evaluate\.methods.*ridge"):
        load_recipe(write_recipe(evaluate={"methods": METHODS}, report={"examples_of": "rigde"}))


def test_the_introduction_says_of_features_what_is_true_of_them(write_recipe: Write, tmp_path: Path) -> None:
    trained = load_recipe(write_recipe())
    assert origin_of_features(trained) == "The features are of a network that was trained on the base classes."
    mixed = write_recipe(
        representations={
            "baseline": {"label": "Baseline"},
            "pretrained": {"backbone": "efficientnet_lite0", "pretrained": True},
            "given": {"features": extracted(tmp_path, "baseline")},
            "loaded": {"checkpoint": "weights.ckpt"},
        }
    )
    text = origin_of_features(load_recipe(mixed))
    assert "The features of Baseline are of a network that was trained on the base classes." in text
    assert "pretrained are of a pretrained network, which may have seen the novel classes too" in text
    assert "given were made elsewhere, and what their network has seen is not known here" in text
    assert "loaded are of a network from a checkpoint" in text


def test_of_features_from_elsewhere_the_page_says_nothing_of_a_training(
    whole_run: Path, write_recipe: Write, tmp_path: Path
) -> None:
    given = {"given": {"features": extracted(whole_run, "baseline")}}
    run_recipe(write_recipe(representations=given, evaluate={"n_shots": [1], "methods": METHODS}))
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    introduction = " ".join(page.split('<section id="best">')[1].split("</p>")[0].split())
    assert "made elsewhere" in introduction
    assert "learned the" not in introduction
    assert "trained on the base" not in introduction
