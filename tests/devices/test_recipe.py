"""A whole recipe on a GPU, from images to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowshot.pipeline import run_recipe
from tests.devices.conftest import GPU
from tests.pipeline.conftest import write_tiny_recipe

EVALUATE = {
    "n_shots": [1],
    "methods": {
        "linear": {"params": {"n_steps": 3, "batch_size": 20}},
        "generated": {"params": {"n_steps": 3, "batch_size": 20}, "generator": "analogies", "n_per_class": 3},
        "prototypical": {"classifier": "prototypical", "params": {"n_episodes": 2, "n_queries": 2}},
    },
}
GENERATORS = {"analogies": {"params": {"n_clusters": 2, "n_steps": 3, "batch_size": 8, "hidden": 8}}}


def test_a_recipe_runs(gpu: GPU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path / "cache"))
    recipe = write_tiny_recipe(tmp_path, representations={"baseline": {}}, generators=GENERATORS, evaluate=EVALUATE)
    with gpu:
        run_recipe(recipe)
    gpu.check_work()
    print(list((tmp_path / "out").rglob("*")))
