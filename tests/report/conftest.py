"""Small results as the benchmark writes them, and a report written from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lowshot.report import Example, write_report


def make_records(
    representations=("Baseline", "SGM"),
    methods=("logistic", "nearest mean"),
    n_shots=(1, 5),
    experiments=3,
    metrics=("novel_top5", "all_top5", "novel_top1"),
    setup="test",
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "representation": representation,
            "method": method,
            "setup": setup,
            "n_shots": n,
            "experiment": experiment,
            **{metric: float(rng.uniform(0.2, 0.9)) for metric in metrics},
        }
        for representation in representations
        for method in methods
        for n in n_shots
        for experiment in range(1, experiments + 1)
    ]


def report_input(**changes) -> dict[str, Any]:
    """Arguments of ``write_report``, with Unicode class names and 8×8 images."""
    images = [Image.new("RGB", (8, 8), (60 * i, 90, 30)) for i in range(3)]
    names = [("Ա", "Ա"), ("Ω", "Ա"), ("中", "Ω")]
    given = {
        "title": "Characters",
        "description": "Two representations.\n\nSide by side.",
        "records": make_records(),
        "training_logs": {
            "Baseline": [{"epoch": e, "loss": 3 / e, "train_top1": 0.1 * e, "val_top5": 0.2 * e} for e in (1, 2, 3)],
            "SGM": [{"epoch": 1, "loss": 2.0, "auxiliary": 0.4, "val_top5": None}],
        },
        "examples": [
            Example(image, true, said, "SGM", "logistic", 5) for image, (true, said) in zip(images, names, strict=True)
        ],
        "recipe_yaml": "name: characters\nseed: 0\n",
        "provenance": {"host": "a host", "seeds": [0, 1], "versions": {"lowshot": "1", "numpy": "2"}},
        "notes": ["2 images could not be read and were skipped"],
    }
    return given | changes


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """The folder of a written report."""
    return write_report(tmp_path_factory.mktemp("report"), **report_input()).parent
