"""A run leaves everything it promises, and the same bytes whenever it is done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from tests.benchmark.problems import without_times
from tests.pipeline.recipes import records, run_recipe

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
