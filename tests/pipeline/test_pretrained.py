"""Pretrained networks in a recipe: as they are, without a training, and as the start of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lowshot.data import build_dataset
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.plan import Plan
from lowshot.recipe import load_recipe
from lowshot.representation import build_backbone, load_pretrained, trained_classes
from tests.pipeline.recipes import IMAGES, due, run_recipe

Write = Callable[..., Path]
DATA = {key: value for key, value in IMAGES["data"].items() if key not in ("preset", "transform")}
FROZEN = {"lite": {"backbone": "efficientnet_lite0", "pretrained": True}}
EVALUATE = {"n_shots": [1], "methods": {"mean": {"classifier": "nearest_mean"}}}


def test_a_pretrained_network_runs_to_the_report_without_a_training(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(data=DATA, representations=FROZEN, train={}, evaluate=EVALUATE)
    assert "is sound" in validate_recipe(path)
    assert due(path) == ["split", "extract:lite", "evaluate:lite/mean", "report"]
    run_recipe(path, output=tmp_path / "out")
    assert due(path) == []
    found = load_pretrained("efficientnet_lite0")
    transforms = found.preprocessing.transforms()
    images = build_dataset("glyphs", part="test", **DATA["options"])
    store = FeatureStore.open(tmp_path / "out" / "features" / "lite" / "test.hdf5")
    with torch.no_grad():
        batch = torch.stack([transforms.eval(images.load(row)) for row in range(4)])
        expected = found.backbone(transforms.normalize(batch))[1].numpy()
    assert abs(store.features[:4] - expected).max() < 1e-3
    stated = json.loads(store.attributes["preprocessing"])
    assert {key: stated[key] for key in found.preprocessing.as_dict()} == found.preprocessing.as_dict()


def test_the_recipe_that_a_run_leaves_describes_the_same_run(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(data=DATA, representations=FROZEN, train={}, evaluate=EVALUATE)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(load_recipe(path).to_yaml())
    first, second = (Plan(load_recipe(one)).representations["lite"].transforms for one in (path, resolved))
    assert first.description == second.description


@pytest.mark.parametrize(
    ("data", "own", "size", "mean"),
    [
        ({}, {}, 224, 0.5),
        ({"transform": {"image_size": 96}}, {}, 96, 0.5),
        ({"transform": {"mean": [0.1, 0.1, 0.1], "interpolation": "bilinear"}}, {}, 224, 0.1),
        ({"preset": "small", "transform": {"image_size": 48}}, {}, 48, 0.5),
        ({"preset": "small", "transform": {"image_size": 16}}, {"preset": "weights"}, 224, 0.5),
        ({}, {"preset": "imagenet", "transform": {"image_size": 64}}, 64, 0.485),
    ],
)
def test_the_preprocessing_is_that_of_the_weights_unless_the_recipe_says_otherwise(
    write_recipe: Write, data: dict[str, Any], own: dict[str, Any], size: int, mean: float
) -> None:
    representations = {"lite": {**FROZEN["lite"], **own}}
    path = write_recipe(data={**DATA, **data}, representations=representations, train={})
    transforms = Plan(load_recipe(path)).representations["lite"].transforms
    assert transforms.eval(build_dataset("glyphs", part="test", **DATA["options"]).load(0)).shape == (3, size, size)
    assert transforms.description["mean"][0] == mean
    assert "is sound" in validate_recipe(path)


def test_a_file_of_weights_is_used_and_counts_by_its_content(write_recipe: Write, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    trunk = build_backbone("resnet10", 3, stem="small").trunk
    save_file(trunk.state_dict(), file)
    frozen = {"backbone": "resnet10", "backbone_options": {"stem": "small"}, "pretrained": str(file)}
    path = write_recipe(representations={"mine": frozen}, train={}, evaluate=EVALUATE)
    assert "is sound" in validate_recipe(path)
    run_recipe(path, output=tmp_path / "out", only="split")
    run_recipe(path, output=tmp_path / "out", only="extract")
    assert "extract:mine" not in due(path)
    renamed = file.rename(tmp_path / "renamed.safetensors")
    assert "extract:mine" not in due(path, f"representations.mine.pretrained={renamed}")
    save_file({key: value + 1 for key, value in trunk.state_dict().items()}, renamed)
    assert "extract:mine" in due(path, f"representations.mine.pretrained={renamed}")


def test_a_training_starts_from_the_weights_and_resumes_without_them(write_recipe: Write, tmp_path: Path) -> None:
    file = tmp_path / "start.safetensors"
    start = build_backbone("resnet10", 3, stem="small").trunk.state_dict()
    save_file(start, file)
    train = {"backbone": "resnet10", "backbone_options": {"stem": "small"}, "pretrained": str(file), "lr": 1e-9}
    settings = {**train, "epochs": 1, "batch_size": 16, "precision": "32-true", "weight_decay": 0.0}
    path = write_recipe(train=settings, representations={"fine": {}}, evaluate=EVALUATE)
    assert "is sound" in validate_recipe(path)
    run_recipe(path, output=tmp_path / "out", only="split")
    run_recipe(path, output=tmp_path / "out", only="train")
    checkpoint = tmp_path / "out" / "representations" / "fine" / "checkpoints" / "epoch_001.ckpt"
    state = torch.load(checkpoint, weights_only=True)["state"]
    torch.testing.assert_close(state["trunk.0.weight"], start["0.weight"], atol=1e-5, rtol=0)
    assert trained_classes(checkpoint) is not None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"backbone": "efficientnet_lite0"}, "without weights makes random features: give pretrained: true"),
        ({"pretrained": True}, "need a backbone beside them"),
        ({"backbone": "resnet10", "pretrained": True}, "'resnet10' has no published weights"),
        ({"backbone": "efficientnet_lite", "pretrained": True}, "Did you mean 'efficientnet_lite0'"),
        ({"backbone": "timm:vit_tiny_patch17", "pretrained": True}, "Did you mean 'vit_tiny_patch16"),
        ({"backbone": "efficientnet_lite0", "pretrained": "missing.pth"}, "weights missing.pth do not exist"),
        ({"backbone": "efficientnet_lite0", "pretrained": True, "checkpoint": "a.ckpt"}, "give one of train, backbone"),
        ({"backbone": "efficientnet_lite0", "pretrained": True, "transform": {"size": 3}}, "no parameter 'size'"),
        ({"backbone": "timm:efficientnet_b6", "pretrained": True}, "published no weights of 'efficientnet_b6'"),
    ],
)
def test_mistakes_are_named_before_anything_runs(write_recipe: Write, section: dict[str, Any], message: str) -> None:
    path = write_recipe(data=DATA, representations={"frozen": section}, train={})
    with pytest.raises(InputError, match=message) as caught:
        validate_recipe(path)
    assert len(str(caught.value).splitlines()) == 2, str(caught.value)


def test_features_of_images_that_were_preprocessed_differently_do_not_go_together(
    write_recipe: Write, tmp_path: Path
) -> None:
    path = write_recipe(data=DATA, representations=FROZEN, train={}, evaluate=EVALUATE)
    files = {}
    for part, side in (("train", 64), ("test", 96)):
        for stage in ("split", "extract"):
            run_recipe(path, [f"data.transform={{image_size: {side}}}"], output=tmp_path / part, only=stage)
        files[part] = str(tmp_path / part / "features" / "lite" / f"{part}.hdf5")
    both = write_recipe(representations={"given": {"features": files}}, evaluate=EVALUATE, train={})
    with pytest.raises(InputError, match=r"preprocessed differently.*\[64, 64\].*\[96, 96\]"):
        validate_recipe(both)
