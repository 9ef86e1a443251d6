"""The data of one run: classes of the setup, shots of the experiment, and accuracies over all outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lowshot.compat import low_shot
from lowshot.compat.evaluation import read_run_data
from lowshot.compat.formats.results import ACCURACIES
from tests.compat import features
from tests.compat.workspace import LOW_SHOT


@pytest.mark.parametrize("setup", [0, 1])
def test_setups_0_and_1_are_validation_and_test(folder: Path, setup: int) -> None:
    arguments = [*LOW_SHOT[1:], "--testsetup", str(setup), "--experimentid", "3", "--lowshotn", "2"]
    data = read_run_data(low_shot.flags().parse_args(arguments), 12)
    assert data.base.tolist() == features.BASE[setup]
    assert data.novel.tolist() == features.NOVEL[setup]
    draw = json.loads((folder / "splitfile_3.json").read_text())
    assert data.shots.tolist() == sorted(row for c in features.NOVEL[setup] for row in draw[c][:2])


def test_base_classes_keep_the_order_of_the_splits_list(folder: Path) -> None:
    split = json.loads((folder / "label_idx.json").read_text())
    split["base_classes_2"] = [5, 3, 4]
    (folder / "label_idx.json").write_text(json.dumps(split))
    data = read_run_data(low_shot.flags().parse_args([*LOW_SHOT[1:], "--testsetup", "1"]))
    assert data.base.tolist() == [5, 3, 4]
    assert data.num_classes == features.CLASSES


def test_every_output_competes_whatever_the_setup(folder: Path) -> None:
    """A query is right for top-k when fewer than k of all outputs score higher, those of no class of the setup too."""
    data = read_run_data(low_shot.flags().parse_args([*LOW_SHOT[1:], "--testsetup", "1"]), 20)
    rng = np.random.default_rng(0)
    table = rng.random((len(data.test), 20))
    row_of = {feature.tobytes(): row for row, feature in enumerate(data.test.features)}
    found = data.accuracies(lambda X: table[[row_of[x.tobytes()] for x in X]])
    labels = data.test.labels
    right = {k: np.array([(table[i] > table[i, y]).sum() < k for i, y in enumerate(labels)]) for k in (1, 5)}
    groups = {"novel": features.NOVEL[1], "base": features.BASE[1], "all": features.BASE[1] + features.NOVEL[1]}
    for metric, value in zip(ACCURACIES, found, strict=True):
        scope, _, k = metric.partition("_top")
        assert value == pytest.approx(right[int(k)][np.isin(labels, groups[scope])].mean())
