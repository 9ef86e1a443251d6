"""A run leaves everything it promises, and the same bytes whenever it is done again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from lowshot.citations import entries_of
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.files import read_json
from tests.benchmark.problems import without_times
from tests.pipeline.conftest import quick_render
from tests.pipeline.recipes import records, run_recipe, write_features_recipe
from tests.reference.latex import read_table

Write = Callable[..., Path]


def test_a_run_leaves_everything_it_promises(whole_run: Path) -> None:
    out = whole_run / "out"
    split = ClassSplit.from_json(out / "split" / "label_idx.json")
    store = FeatureStore.open(out / "features" / "sgm" / "train.hdf5")
    assert (len(store), store.dim) == (16 * 8, 12)
    Experiments.from_files(str(out / "split" / "splitfile_{:d}.json")).check(store.labels, store.paths)
    test = [r for r in records(out) if r["setup"] == "test"]
    assert len(test) == 2 * 2 * 2  # representations, numbers of shots, experiments
    assert {r["representation"] for r in test} == {"baseline", "sgm"}
    for record in test:
        assert 0 <= record["novel_top1"] <= record["novel_top5"] <= 1
        assert record["novel_top1"] <= record["novel_only_top1"]
        assert "all_prior_top5" in record
    assert len(split.novel_2) == 4
    for name in ("report.html", "tables.md", "tables.csv"):
        assert (out / "report" / name).stat().st_size > 100
    assert list((out / "report" / "figures").glob("*.pdf"))
    assert "epochs: 2" in (out / "recipe.yaml").read_text()


def test_the_same_recipe_and_seed_give_the_same_bytes(whole_run: Path, write_recipe: Write, tmp_path: Path) -> None:
    def digests(output: Path) -> dict[str, str]:
        files = [
            *output.glob("features/*/*.hdf5"),
            *output.glob("split/*.json"),
            *output.glob("representations/*/checkpoints/*"),
        ]
        return {str(f.relative_to(output)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    path = write_recipe()
    for kind in ("train", "extract", "evaluate"):
        run_recipe(path, only=kind)
    first, second = digests(whole_run / "out"), digests(tmp_path / "out")
    assert len(first) > 6
    assert first == second
    assert without_times(records(whole_run / "out")) == without_times(records(tmp_path / "out"))


def test_tables_are_printed_again_when_all_is_up_to_date(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(finished)
    assert "Top-1, novel classes" in capsys.readouterr().out


def test_everything_for_a_paper_lies_beside_the_page(tmp_path: Path) -> None:
    methods = {"plain": {"classifier": "teen"}, "more": {"classifier": "teen", "generator": "g", "n_per_class": 4}}
    path = write_features_recipe(
        tmp_path,
        methods,
        generators={"g": {"generator": "analogies", "params": {"n_clusters": 2, "n_steps": 5}}},
        episodes={"n_way": 2, "n_shots": [1], "n_query": 2, "n_tasks": 3},
        report={"paper": True},
    )
    with mock.patch("lowshot.report.writing.render", quick_render):
        run_recipe(path)
    report = tmp_path / "out" / "report"
    page = (report / "report.html").read_text("utf-8")
    tables = re.findall(r"<table[^>]*>\s*<thead", page)  # facts about one thing have no head
    linked = re.findall(r'href="tables/([a-z0-9_]+)\.tex"', page)
    assert len(linked) == len(set(linked)) == len(tables) - 1  # the best methods are two tables, in one file
    assert {"best", "all_top1", "episodes", "seconds", "answered_novel", "published_all_top5"} <= set(linked)
    for name in linked:
        assert read_table((report / "tables" / f"{name}.tex").read_text("utf-8")).rows
        assert (report / "tables" / f"{name}.csv").stat().st_size
    for link in re.findall(r'href="([^"#][^"]*)"', page):
        assert (report / link).is_file(), link
    keys = list(entries_of((report / "references.bib").read_text("utf-8")))
    assert keys == ["hariharan2017lowshot", "vinyals2016matching", "wang2023teen"]
    written = read_json(tmp_path / "out" / "state" / "report.json")["files"]
    assert {"report/references.bib", "report/tables/best.tex"} <= set(written)
