"""All stages of a recipe that compute, on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowshot.benchmark.results import read_records
from tests.devices.conftest import GPU
from tests.pipeline.recipes import IMAGES, run_recipe, write_image_recipe

SECTIONS = {
    "data": {**IMAGES["data"], "options": {**IMAGES["data"]["options"], "train_per_class": 4, "test_per_class": 2}},
    "split": {**IMAGES["split"], "max_shots": 2},
    "train": {**IMAGES["train"], "epochs": 1, "precision": "auto"},
    "representations": {"baseline": {}},
    "extract": {"precision": "auto"},
    "generators": {"analogies": {"params": {"n_clusters": 2, "n_steps": 3, "batch_size": 8, "hidden": 8}}},
    "evaluate": {
        "n_shots": [1],
        "methods": {
            "linear": {"params": {"n_steps": 3, "batch_size": 20}},
            "generated": {"params": {"n_steps": 3, "batch_size": 20}, "generator": "analogies", "n_per_class": 3},
            "prototypical": {"classifier": "prototypical", "params": {"n_episodes": 2, "n_queries": 2}},
        },
    },
}


def test_a_recipe_runs(gpu: GPU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path / "cache"))
    recipe = write_image_recipe(tmp_path, **SECTIONS)
    with gpu:
        for kind in ("split", "train", "extract", "fit-generator", "fit-classifier", "evaluate"):
            run_recipe(recipe, only=kind)
    # Analogies are mined in float64, and whether the backbone takes such an image at all is tried on the CPU.
    gpu.check_work(float64=True, on_cpu=1)
    records = read_records(tmp_path / "out" / "results.jsonl")
    assert {record["method"] for record in records} == set(SECTIONS["evaluate"]["methods"])
    assert all(0 <= record["all_top5"] <= 1 for record in records)
