"""Backbones of other libraries in a recipe: validate refuses those that cannot work, the others run to the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import validate_recipe
from lowshot.recipe import load_recipe
from tests.hub import fill_cache
from tests.pipeline.recipes import run_recipe

Write = Callable[..., Path]


def training(backbone: str, **options: Any) -> dict[str, Any]:
    return {"backbone": backbone, "backbone_options": options, "epochs": 1, "batch_size": 64, "precision": "32-true"}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of a model in the hub's cache, drawn here."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    fill_cache(tmp_path / "cache", "resnet10t.c3_in1k")


def test_a_pretrained_backbone_trains_and_is_extracted(published: None, write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(
        train=training("timm:resnet10t", pretrained=True, drop_rate=0.1),
        representations={"fine": {}},
    )
    assert "is sound" in validate_recipe(path)
    run_recipe(path, output=tmp_path / "out", only="split")
    run_recipe(path, output=tmp_path / "out", only="train")
    run_recipe(path, output=tmp_path / "out", only="extract")
    store = FeatureStore.open(tmp_path / "out" / "features" / "fine" / "test.hdf5")
    assert store.dim == 512
    checkpoint = str(tmp_path / "out" / "representations" / "fine" / "checkpoints" / "epoch_001.ckpt")
    for given in (
        training("timm:resnet10t", drop_rate=0.1),
        training("TIMM:resnet10t", pretrained=True, drop_rate=0.1),
        {"backbone": "timm:resnet10t"},
        {},
    ):
        again = write_recipe(train=given, representations={"given": {"checkpoint": checkpoint}})
        assert "is sound" in validate_recipe(again)
    wrong = write_recipe(
        train=training("timm:resnet10t", drop_rate=0.2), representations={"given": {"checkpoint": checkpoint}}
    )
    with pytest.raises(InputError, match=r"train\.backbone_options is .*0\.2.* in the recipe, but .*0\.1"):
        validate_recipe(wrong)


def test_options_that_are_spelled_out_and_left_out_are_the_same_architecture(
    write_recipe: Write, tmp_path: Path
) -> None:
    from lowshot.representation import build_backbone
    from lowshot.torch_files import save_torch

    backbone = build_backbone("ResNet10", 16, stem="small")
    save_torch(tmp_path / "c.ckpt", {"state": backbone.state_dict(), "backbone": backbone.config})
    for options in ({"stem": "small"}, {"stem": "small", "stem_stride": 2}):
        path = write_recipe(
            train={"backbone": "resnet10", "backbone_options": options},
            representations={"given": {"checkpoint": str(tmp_path / "c.ckpt")}},
        )
        assert "is sound" in validate_recipe(path)


@pytest.mark.parametrize(
    ("backbone", "options", "reason"),
    [
        ("timm:vit_tiny_patch16_224", {}, "set data.transform.image_size=224"),
        ("timm:swin_tiny_patch4_window7_224", {}, "set data.transform.image_size=224"),
        ("torchvision:vit_b_32", {}, "set data.transform.image_size=224"),
        ("torchvision:inception_v3", {}, r"set data.transform.image_size=\d+"),
        ("timm:resnet10t", {"in_chans": 1}, "no other size helps"),
        ("timm:resnet10t", {"features_only": True}, "leave features_only out"),
        ("timm:resnet10t", {"block": 3}, "cannot be built with options"),
        ("torchvision:resnet18", {"layers": 3}, "cannot be built with options"),
    ],
)
def test_a_backbone_that_cannot_make_features_of_the_images_is_refused_and_the_advice_helps(
    write_recipe: Write, backbone: str, options: dict[str, Any], reason: str
) -> None:
    path = write_recipe(train=training(backbone, **options))
    with pytest.raises(InputError, match=reason) as caught:
        validate_recipe(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2  # the heading and one mistake, though two representations have it
    if advised := re.search(r"set (data\.transform\.image_size=\d+)", str(caught.value)):
        assert "is sound" in validate_recipe(path, [advised[1]])


def test_a_run_that_was_not_validated_is_refused_before_it_trains(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(train=training("timm:vit_tiny_patch16_224"))
    run_recipe(path, output=tmp_path / "out", only="split")
    with pytest.raises(InputError, match="image_size=224"):
        run_recipe(path, output=tmp_path / "out", only="train")
    assert not (tmp_path / "out" / "representations").exists()


def test_a_checkpoint_that_does_not_take_the_images_is_refused(write_recipe: Write, tmp_path: Path) -> None:
    from lowshot.representation import build_backbone
    from lowshot.torch_files import save_torch

    backbone = build_backbone("timm:vit_tiny_patch16_224", 16, depth=1)
    save_torch(tmp_path / "c.ckpt", {"state": backbone.state_dict(), "backbone": backbone.config})
    path = write_recipe(representations={"given": {"checkpoint": str(tmp_path / "c.ckpt")}}, train={})
    with pytest.raises(InputError, match="cannot make features of colour images of 16 × 16 pixels"):
        validate_recipe(path)


def test_data_that_a_mistake_is_about_are_not_opened(write_recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from lowshot.pipeline import inputs

    def opened(*arguments: Any, **options: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(inputs, "build_dataset", opened)
    path = write_recipe(data={"dataset": "glyphs", "options": "none", "preset": "small"})
    assert load_recipe  # read apart from the data
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    assert len(str(caught.value).splitlines()) == 2
