"""Generators and classifiers that learn before the low-shot phase: stages of their own, and views in the report."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.pipeline.generator_views import pairings
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages.report import with_fit_seconds
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import due, extracted, records, run_recipe

Write = Callable[..., Path]

FITTED = ("generator/baseline/analogies", "classifier/baseline/matching")


def test_generators_and_learned_classifiers_have_stages_of_their_own(
    whole_run: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = extracted(whole_run, "baseline")
    methods = {
        "linear": {"params": {"n_steps": 20, "batch_size": 50}},
        "hallucinated": {"params": {"n_steps": 20, "batch_size": 50}, "generator": "analogies", "n_per_class": 5},
        "matching": {"classifier": "matching_network", "params": {"n_episodes": 3, "n_way": 4}},
    }
    path = write_recipe(
        representations={"baseline": {"features": features}},
        generators={
            "analogies": {"generator": "analogies", "params": {"n_clusters": 3, "n_steps": 20}},
            "unused": {"generator": "difference"},
        },
        evaluate={"n_shots": [1, 5], "methods": methods},
    )
    run_recipe(path)
    out = tmp_path / "out"
    assert [f.name for f in (out / "generators" / "baseline").glob("*.safetensors")] == ["analogies.safetensors"]
    assert [f.name for f in (out / "classifiers" / "baseline").glob("*.safetensors")] == ["matching.safetensors"]
    assert {r["method"] for r in records(out)} == set(methods)
    assert due(path) == []
    plan = Plan(load_recipe(path))
    timed = with_fit_seconds(plan.inputs, plan.results, plan.stages)
    took = {(r["method"], r.get("stage_seconds")) for r in timed}
    stamp = {m: json.loads((out / "state" / f"fit-{m}.json").read_text())["seconds"] for m in FITTED}
    assert took == {("linear", None), ("hallucinated", stamp[FITTED[0]]), ("matching", stamp[FITTED[1]])}
    more_steps = "generators.analogies.params.n_steps=30"
    assert due(path, more_steps) == [
        "fit-generator:baseline/analogies",
        "evaluate:baseline/hallucinated",
        "report",
    ]
    more_episodes = "evaluate.methods.matching.params.n_episodes=4"
    assert due(path, more_episodes) == ["fit-classifier:baseline/matching", "evaluate:baseline/matching", "report"]

    before = {r["task"] for r in records(out)}
    for kind in ("fit-generator", "fit-classifier", "evaluate"):
        run_recipe(path, [more_steps, more_episodes], only=kind)
    after = {r["task"]: r["method"] for r in records(out)}
    kept = {task for task in after if task in before}
    assert {after[task] for task in kept} == {"linear"}  # nothing that rests on the old generator or network is reused


def test_methods_that_train_alike_share_one_network(whole_run: Path, write_recipe: Write) -> None:
    features = extracted(whole_run, "baseline")
    matching = {"classifier": "matching_network", "params": {"n_episodes": 3}}
    more = {"classifier": "matching_network", "params": {"n_episodes": 3, "n_support": 7}}
    path = write_recipe(
        representations={"baseline": {"features": features}},
        generators={"difference": {"generator": "difference"}},
        evaluate={
            "n_shots": [1, 5],
            "methods": {"alone": matching, "more": {**more, "generator": "difference", "n_per_class": 5}},
        },
    )

    def trained(*overrides: str) -> list[str]:
        return [key for key in due(path, *overrides) if key.startswith("fit-classifier")]

    assert trained() == ["fit-classifier:baseline/alone"]
    phase = Plan(load_recipe(path)).phases["baseline"]
    assert phase.params("more")["pretrained"] == phase.params("alone")["pretrained"]
    longer = "evaluate.methods.more.params.n_episodes=4"
    assert trained(longer) == ["fit-classifier:baseline/alone", "fit-classifier:baseline/more"]


def test_a_finished_training_leaves_the_checkpoints_of_other_methods(
    whole_run: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = extracted(whole_run, "baseline")
    other = tmp_path / "out" / "classifiers" / "given" / "mn-plain-0123456789abcdef.ckpt"
    other.parent.mkdir(parents=True)
    other.write_text("unfinished")
    method = {"classifier": "matching_network", "params": {"n_episodes": 1, "n_way": 3}}
    path = write_recipe(
        representations={"given": {"features": features}}, evaluate={"n_shots": [1], "methods": {"mn": method}}
    )
    run_recipe(path, only="fit-classifier")
    assert other.read_text() == "unfinished"
    assert [f.name for f in other.parent.iterdir() if f.name.startswith("mn.")] == ["mn.safetensors"]


@pytest.mark.parametrize("case", ["nothing to generate", "one held-out image", "features from elsewhere"])
def test_the_report_copes_with_little_to_show_of_a_generator(
    finished: Path, write_recipe: Write, tmp_path: Path, case: str
) -> None:
    method = {"params": {"n_steps": 5}, "generator": "difference", "n_per_class": 4}
    sections: dict = {
        "generators": {"difference": {"generator": "difference"}},
        "evaluate": {"n_shots": [1, 2], "calibrate": "none", "methods": {"m": method}},
        "representations": {"baseline": {}},
    }
    if case == "features from elsewhere":
        sections["representations"] = {"given": {"features": extracted(tmp_path, "baseline")}}
    if case == "nothing to generate":
        method["n_per_class"] = 1
    if case == "one held-out image":
        options = {"classes": 16, "train_per_class": 8, "test_per_class": 1, "image_size": 16}
        transform = {"image_size": 16, "flip": False}
        sections["data"] = {"dataset": "glyphs", "options": options, "preset": "small", "transform": transform}
    run_recipe(write_recipe(**sections))
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert "Pictures: difference on" in page
    assert ("Nothing is generated" in page) == (case == "nothing to generate")
    figures = {f.name for f in (tmp_path / "out" / "report" / "figures").glob("generator_*.png")}
    assert any("projection" in name for name in figures)
    assert any("neighbours" in name for name in figures) == (case == "one held-out image")


def test_a_generator_is_paired_with_the_method_that_differs_in_it_alone(write_recipe: Write) -> None:
    quick = {"params": {"n_steps": 5}}
    methods = {
        "fast": quick,
        "fast_difference": {**quick, "generator": "difference", "n_per_class": 4},
        "slow_difference": {"params": {"n_steps": 6}, "generator": "difference", "n_per_class": 4},
        "cosine": {"classifier": "cosine", "label": "Cosine"},
        "more": {"classifier": "cosine", "generator": "difference", "n_per_class": 4},
    }
    evaluate = {
        "n_shots": [1],
        "methods": methods,
        "generations": {"less": {"generator": "difference", "n_per_class": 2}},
    }
    recipe = load_recipe(write_recipe(generators={"difference": {"generator": "difference"}}, evaluate=evaluate))
    assert {(pair.generator, pair.method, pair.without) for pair in pairings(recipe)} == {
        ("difference", "fast + less", "fast"),
        ("difference", "fast_difference", "fast"),
        ("difference", "Cosine + less", "Cosine"),
        ("difference", "more", "Cosine"),
    }


def test_the_report_says_what_a_generator_gains_and_lists_the_images_nearest_to_its_features(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    linear = {"params": {"n_steps": 5}}
    run_recipe(
        write_recipe(
            representations={"baseline": {}},
            generators={"difference": {"generator": "difference"}},
            evaluate={
                "n_shots": [1, 4],
                "methods": {"plain": linear, "more": {**linear, "generator": "difference", "n_per_class": 4}},
            },
        )
    )
    folder = tmp_path / "out" / "report"
    with open(folder / "generators.csv", newline="") as file:
        [measured] = csv.DictReader(file)
    shares = [float(measured[key]) for key in ("near_own", "near_novel", "near_base")]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert float(measured["covered_by_shots"]) <= float(measured["covered"]) <= 1
    page = (folder / "report.html").read_text()
    times = [int(count) for count in re.findall(r"×(\d+) [✓✗]", page)]
    assert sum(times) == 4 * 3  # four classes of one shot and three generated features
    [row] = re.findall(r'href="#generator-baseline\+difference".*?</tr>', page)
    assert row.endswith('<td class="number">=</td></tr>')
