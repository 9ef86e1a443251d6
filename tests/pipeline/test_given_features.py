"""A recipe that brings features: a hundred experiments, episodes and the report of both, in seconds."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lowshot.benchmark import ResultStore, summarise
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.report_command import report_on
from tests.pipeline.recipes import due, features_files, run_recipe, write_features_recipe

METHODS = {"mean": {"classifier": "nearest_mean", "label": "Nearest mean"}, "ridge": {"classifier": "ridge"}}
EPISODES = {"n_way": 2, "n_shots": [1, 3], "n_query": 4, "n_tasks": 20}
TWO_EXPERIMENTS = {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 5}


def write_recipe(folder: Path, features: Path | None = None, **sections: Any) -> Path:
    """Write a recipe with a hundred experiments, and with episodes, on the features in a folder, its own by default."""
    files = features_files(features or folder, paths=True, class_names=False)
    given = {
        "split": {**TWO_EXPERIMENTS, "experiments": 100},
        "representations": {"ResNet10": {"features": files}},
        "evaluate": {"n_shots": [1, 5], "methods": METHODS},
        "episodes": EPISODES,
        "report": {"metrics": ["novel_top1"]},
    }
    return write_features_recipe(folder, **{**given, **sections})


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a recipe and everything that a run of it leaves; for reading."""
    folder = tmp_path_factory.mktemp("given")
    run_recipe(write_recipe(folder))
    return folder


def test_a_hundred_experiments_are_drawn_run_and_summarised(hundred: Path) -> None:
    out = hundred / "out"
    experiments = Experiments.from_files(str(out / "split" / "splitfile_{:d}.json"), 100)
    assert len(experiments) == 100
    records = ResultStore(out / "results" / "ResNet10" / "mean.jsonl").records
    of_test = [record for record in records if record["setup"] == "test"]
    assert [(r["n_shots"], r["experiment"]) for r in of_test] == [(n, e) for n in (1, 5) for e in range(1, 101)]
    for one in summarise(of_test, "novel_top1"):
        values = np.array([r["novel_top1"] for r in of_test if r["n_shots"] == one.n_shots])
        assert one.n_experiments == 100
        assert one.half_width == pytest.approx(1.984217 * values.std(ddof=1) / 10, rel=1e-5)  # t(0.975, 99)
    assert "mean over 100 experiments" in (out / "report" / "report.html").read_text()


def test_episodes_have_a_table_of_their_own(hundred: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = ResultStore(hundred / "out" / "episodes.jsonl").records
    assert [(r["method"], r["n_shots"], r["n_tasks"]) for r in records] == [
        (method, n, 20) for method in ("mean", "ridge") for n in (1, 3)
    ]
    lines = list(csv.DictReader(io.StringIO((hundred / "out" / "report" / "episodes.csv").read_text())))
    assert [float(line["mean"]) for line in lines] == pytest.approx([100 * r["accuracy"] for r in records])
    report_on([str(hundred / "recipe.yaml")])
    shown = {
        "terminal": capsys.readouterr().out,
        "page": (hundred / "out" / "report" / "report.html").read_text(),
        "markdown": (hundred / "out" / "report" / "tables.md").read_text(),
    }
    for text in shown.values():
        assert "2-way 1-shot" in text
        assert "2-way 3-shot" in text
        assert f"{100 * records[0]['accuracy']:.2f} ±{100 * records[0]['half_width']:.2f}" in text
    assert "All rows have the same episodes" in shown["page"]


def test_only_what_changed_runs_again(hundred: Path) -> None:
    path = hundred / "recipe.yaml"
    assert due(path) == []
    assert due(path, "episodes.n_tasks=30") == ["episodes:ResNet10/mean", "episodes:ResNet10/ridge", "report"]
    assert due(path, "evaluate.methods.ridge.params={alpha: 2.0}") == [
        "evaluate:ResNet10/ridge",
        "episodes:ResNet10/ridge",
        "report",
    ]
    assert due(path, "report.paper=true") == ["report"]


def test_the_report_shows_the_published_tables_beside_ours_when_asked(tmp_path: Path) -> None:
    evaluate = {"n_shots": [1, 5], "methods": {"linear": {"params": {"solver": "lbfgs"}}}}
    path = write_recipe(tmp_path, evaluate=evaluate, split=TWO_EXPERIMENTS, episodes=None)
    run_recipe(path)
    assert not (tmp_path / "out" / "report" / "paper.md").exists()
    report_on([str(path)], paper=True, metrics=["all_top5"])
    text = (tmp_path / "out" / "report" / "paper.md").read_text()
    assert "OTHER DATA" in text
    assert "ours: ResNet10 · linear" in text
    assert "43.02" in text
    assert "Compared with the published tables" in (tmp_path / "out" / "report" / "report.html").read_text()
    assert "novel_top5" not in (tmp_path / "out" / "report" / "tables.csv").read_text()
    report_on([str(tmp_path / "out")], paper=True, output=tmp_path / "stores")
    assert (tmp_path / "stores" / "paper.md").read_text().count("ours: ResNet10 · linear") == 2  # novel and all


def test_a_comparison_of_stores_shows_their_episodes(hundred: Path, tmp_path: Path) -> None:
    episodes = {**EPISODES, "methods": ["ridge"]}
    path = write_recipe(tmp_path, hundred, name="second", split=TWO_EXPERIMENTS, episodes=episodes)
    for kind in ("split", "evaluate", "episodes"):
        run_recipe(path, only=kind)
    report_on([str(hundred / "out"), str(tmp_path / "out")], output=tmp_path / "both")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "both" / "episodes.csv").read_text())))
    assert [(line["representation"], line["method"]) for line in lines][::2] == [
        ("ResNet10", "Nearest mean (given)"),
        ("ResNet10", "ridge (given)"),
        ("ResNet10", "ridge (second)"),
    ]
    assert len({line["mean"] for line in lines if line["method"].startswith("ridge")}) == 2  # the same tasks and seeds


@pytest.mark.parametrize(
    ("episodes", "says"),
    [
        ({"n_way": 3, "n_query": 2}, "n_way=3 classes need as many novel classes, but setup 'test' has 2"),
        ({"n_way": 2, "n_query": 12}, "need 13 images of every novel class"),
        ({"n_way": 2, "methods": ["rigde"]}, "Did you mean 'ridge'"),
        ({"n_way": 1}, "episodes.n_way"),
        ({"n_shots": [1, 1]}, "different positive numbers"),
        ({"ways": 5}, "episodes.ways"),
    ],
)
def test_impossible_episodes_are_mistakes_of_the_recipe(tmp_path: Path, episodes: dict, says: str) -> None:
    path = write_recipe(tmp_path, episodes=episodes)
    with pytest.raises(InputError, match=says):
        validate_recipe(path)
    with pytest.raises(InputError, match=says):
        run_recipe(path)
    assert not (tmp_path / "out" / "split" / "label_idx.json").exists()


def test_features_of_other_rows_are_named_before_anything_is_done(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    recipe = yaml.safe_load(path.read_text())
    [given] = [section["features"] for section in recipe["representations"].values()]
    store = FeatureStore.open(given["train"])
    with FeatureStore.create(tmp_path / "shuffled.hdf5", store.dim, len(store)) as out:
        out.append(store.features[::-1], store.labels[::-1])
    recipe["representations"]["other"] = {"features": {**given, "train": str(tmp_path / "shuffled.hdf5")}}
    path.write_text(yaml.safe_dump(recipe))
    for call in (validate_recipe, run_recipe):
        with pytest.raises(InputError, match=r"shuffled\.hdf5: experiment 1 lists row \d+ as a shot of class"):
            call(path)
    assert not (tmp_path / "out" / "split" / "label_idx.json").exists()
