"""A recipe that brings features: a hundred experiments, episodes and the report of both, in seconds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import yaml

from lowshot.benchmark import Engine, ResultStore
from lowshot.benchmark.metrics import summarise
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import run_recipe, validate_recipe
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.report_command import report_on
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe
from tests.benchmark.conftest import write_features

EPISODES = {"n_way": 2, "n_shots": [1, 3], "n_query": 4, "n_tasks": 20}


def write_recipe(folder: Path, **sections: object) -> Path:
    for part, per_class in (("train", 12), ("test", 9)):
        if not (folder / f"{part}.h5").exists():
            write_features(folder / f"{part}.h5", np.tile(np.arange(8), per_class), seed=per_class)
    recipe = {
        "name": "given",
        "output": str(folder / "out"),
        "split": {"base": [2, 2], "novel": [2, 2], "experiments": 100, "max_shots": 5},
        "representations": {"ResNet10": {"features": {part: str(folder / f"{part}.h5") for part in ("train", "test")}}},
        "evaluate": {
            "n_shots": [1, 5],
            "methods": {
                "mean": {"classifier": "nearest_mean", "label": "Nearest mean"},
                "ridge": {"classifier": "ridge"},
            },
        },
        "episodes": EPISODES,
        "report": {"metrics": ["novel_top1"]},
        **sections,
    }
    path = folder / "given.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    run_recipe(write_recipe(folder), engine=Engine("serial"))
    return folder


def test_a_hundred_experiments_are_drawn_run_and_summarised(walked: Path) -> None:
    out = walked / "out"
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


def test_episodes_have_a_table_of_their_own(walked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = ResultStore(walked / "out" / "episodes.jsonl").records
    assert [(r["method"], r["n_shots"], r["n_tasks"]) for r in records] == [
        (method, n, 20) for method in ("mean", "ridge") for n in (1, 3)
    ]
    lines = list(csv.DictReader(io.StringIO((walked / "out" / "report" / "episodes.csv").read_text())))
    assert [float(line["mean"]) for line in lines] == pytest.approx([100 * r["accuracy"] for r in records])
    report_on([str(walked / "given.yaml")])
    shown = {
        "terminal": capsys.readouterr().out,
        "page": (walked / "out" / "report" / "report.html").read_text(),
        "markdown": (walked / "out" / "report" / "tables.md").read_text(),
    }
    for text in shown.values():
        assert "2-way 1-shot" in text
        assert "2-way 3-shot" in text
        assert f"{100 * records[0]['accuracy']:.2f} ±{100 * records[0]['half_width']:.2f}" in text
    assert "All rows met the same tasks" in shown["page"]


def test_only_what_changed_runs_again(walked: Path) -> None:
    def due(*overrides: str) -> list[str]:
        plan = Plan(load_recipe(walked / "given.yaml", overrides))
        return [s.stage.key for s in Stamps(walked / "out" / "state").statuses(plan.stages) if s.runs]

    assert due() == []
    assert due("episodes.n_tasks=30") == ["episodes:ResNet10/mean", "episodes:ResNet10/ridge", "report"]
    assert due("evaluate.methods.ridge.params={alpha: 2.0}") == [
        "evaluate:ResNet10/ridge",
        "episodes:ResNet10/ridge",
        "report",
    ]
    assert due("report.paper=true") == ["report"]


def test_the_report_stands_beside_the_published_tables_when_asked(tmp_path: Path) -> None:
    evaluate = {"n_shots": [1, 5], "methods": {"linear": {"params": {"solver": "lbfgs"}}}}
    split = {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 5}
    path = write_recipe(tmp_path, evaluate=evaluate, split=split, episodes=None)
    run_recipe(path, engine=Engine("serial"))
    assert not (tmp_path / "out" / "report" / "paper.md").exists()
    report_on([str(path)], paper=True, metrics=["all_top5"])
    text = (tmp_path / "out" / "report" / "paper.md").read_text()
    assert "OTHER DATA" in text
    assert "ours: ResNet10 · linear" in text
    assert "43.02" in text
    assert "Beside the published tables" in (tmp_path / "out" / "report" / "report.html").read_text()
    assert "novel_top5" not in (tmp_path / "out" / "report" / "tables.csv").read_text()
    report_on([str(tmp_path / "out")], paper=True, output=tmp_path / "stores")
    assert (tmp_path / "stores" / "paper.md").read_text().count("ours: ResNet10 · linear") == 2  # novel and all


def test_a_comparison_of_stores_shows_their_episodes(walked: Path, tmp_path: Path) -> None:
    path = write_recipe(
        walked,
        name="second",
        output=str(tmp_path / "out"),
        split={"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 5},
        episodes={**EPISODES, "methods": ["ridge"]},
    )
    run_recipe(path, engine=Engine("serial"))
    report_on([str(walked / "out"), str(tmp_path / "out")], output=tmp_path / "both")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "both" / "episodes.csv").read_text())))
    assert [(line["representation"], line["method"]) for line in lines][::2] == [
        ("ResNet10", "Nearest mean (given)"),
        ("ResNet10", "ridge (given)"),
        ("ResNet10", "ridge (second)"),
    ]
    assert len({line["mean"] for line in lines if line["method"].startswith("ridge")}) == 2  # the same tasks and seeds
    write_recipe(walked)


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
