"""Training of a representation on a GPU: every loss, both precisions and memory formats, validation and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lowshot.representation import load_backbone
from tests.devices.conftest import GPU
from tests.devices.problems import arrays
from tests.representation import tiny

LOSSES = [None, "sgm", "batch_sgm", "feature_l2"]


def train(folder: Path, **changes: Any) -> Path:
    small = {"backbone": "devices_tiny", "backbone_options": {}}
    return tiny.train(folder, tiny.TinyImages(8), **{**small, "lr": 0.1, **changes})


def check_same(gpu: GPU, found: Path, expected: Path, *, bfloat16: bool = False) -> None:
    """Weights, running statistics and momenta agree."""
    there, here = arrays(tiny.weights(found)), arrays(tiny.weights(expected))
    assert there.keys() == here.keys()
    for name, value in here.items():
        gpu.check_close(there[name], value, bfloat16=bfloat16)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("loss", LOSSES)
def test_training_ends_as_on_a_cpu(gpu: GPU, tmp_path: Path, loss: str | None, precision: str) -> None:
    changes = {"loss": loss, "loss_weight": 0.1 if loss else 0.0, "precision": precision}
    with gpu:
        found = train(tmp_path / "gpu", **changes)
    gpu.check_work()
    check_same(gpu, found, train(tmp_path / "cpu", **changes), bfloat16=precision == "bf16-mixed")


def test_the_memory_format_changes_nothing(gpu: GPU, tmp_path: Path) -> None:
    with gpu:
        found = [train(tmp_path / str(last), channels_last=last) for last in (True, False)]
    check_same(gpu, *found)


@pytest.mark.parametrize("backbone", ["resnet10", "timm:test_vit"])
def test_other_backbones_train(gpu: GPU, tmp_path: Path, backbone: str) -> None:
    options = {"img_size": 16, "patch_size": 4} if backbone.startswith("timm") else {"stem": "small"}
    changes = {"backbone": backbone, "backbone_options": options, "epochs": 1, "lr": 0.001, "validate_every": 0}
    with gpu:
        found = train(tmp_path / "gpu", **changes)
    gpu.check_work()
    check_same(gpu, found, train(tmp_path / "cpu", **changes), bfloat16=True)


def test_a_resumed_run_equals_an_uninterrupted_one(gpu: GPU, tmp_path: Path, capsys: Any) -> None:
    with gpu:
        whole = train(tmp_path / "whole", epochs=2)
        train(tmp_path / "cut", epochs=1)
        capsys.readouterr()
        cut = train(tmp_path / "cut", epochs=2)
    assert "epoch 1/2" not in capsys.readouterr().err
    check_same(gpu, cut, whole)
    assert load_backbone(cut).classifier.weight.device.type == "cpu"


def test_auto_takes_bfloat16_where_the_gpu_has_it(gpu: GPU, tmp_path: Path) -> None:
    with gpu:
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        path = train(tmp_path, precision="auto", epochs=1)
    settings = torch.load(path, weights_only=True)["settings"]
    assert settings["precision"] == ("bf16-mixed" if able else "32-true")


@pytest.mark.parametrize("mixer", ["mixup", "cutmix", "manifold_mixup"])
def test_objectives_train_together(gpu: GPU, tmp_path: Path, mixer: str) -> None:
    """All at once. A GPU draws other random numbers than a CPU, so only devices and finite weights are checked."""
    teacher = train(tmp_path / "teacher", backbone="resnet10", backbone_options={"stem": "small"}, epochs=1)
    others = ["cosine_head", "rotations", "label_smoothing", "ema", {"distillation": {"teacher": str(teacher)}}]
    changes = {
        "backbone": "resnet10",
        "backbone_options": {"stem": "small"},
        "objective": [mixer, *others],
        "lr": 0.001,
    }
    with gpu:
        found = train(tmp_path / "gpu", **changes)
    gpu.check_work()
    assert all(bool(value.isfinite().all()) for value in tiny.weights(found).values())
