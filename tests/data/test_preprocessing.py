"""Our pixels against those of timm's ``create_transform`` and of torchvision's ``weights.transforms()``."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import timm.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import models

from lowshot.data import Preprocessing
from lowshot.errors import InputError
from lowshot.representation import published_preprocessing

TIMM = [
    "resnet50.a1_in1k",  # bicubic, 0.95, centre
    "vit_small_patch14_reg4_dinov2.lvd142m",  # 518 pixels
    "vit_base_patch16_siglip_224.webli",  # squash
    "efficientnet_b0.ra_in1k",
    "mobilenetv3_large_100.ra_in1k",
    "convnext_tiny.in12k_ft_in1k",
    "fastvit_t8.apple_in1k",
]
TORCHVISION = ["resnet50", "efficientnet_b0", "vit_b_16", "inception_v3", "swin_v2_t"]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """A photograph in shapes that are resized up and down, wide, tall, tiny, and with odd sides."""
    photo = Image.fromarray(load_sample_images().images[0])
    sizes = [(640, 427), (427, 640), (501, 333), (100, 80), (1021, 97), (256, 256), (224, 224), (31, 33)]
    return [photo.resize(size) for size in sizes]


def assert_same_pixels(preprocessing: Preprocessing, theirs: Callable[[Any], Any], images: list[Image.Image]) -> None:
    """Every pixel is the same one of the 256 levels, and its normalised value the same but for float rounding."""
    transforms = preprocessing.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    for image in images:
        expected = theirs(image)
        pixels = transforms.eval(image)
        levels = ((expected * std + mean) * 255).round()
        assert torch.equal(pixels.float(), levels), image.size
        torch.testing.assert_close(transforms.normalize(pixels[None])[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", TIMM)
def test_pixels_are_those_of_timm(model: str, pictures: list[Image.Image]) -> None:
    preprocessing = published_preprocessing(f"timm:{model}")
    assert preprocessing is not None
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(model).to_dict())
    assert_same_pixels(preprocessing, timm.data.create_transform(**config, is_training=False), pictures)


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_mode": "border", "crop_pct": 0.9},
        {"crop_mode": "border", "crop_pct": 1.0, "input_size": (3, 96, 128)},
        {"crop_mode": "center", "input_size": (3, 128, 96)},
        {"crop_mode": "squash", "crop_pct": 0.8, "input_size": (3, 96, 128)},
        {"interpolation": "bilinear", "crop_pct": 0.7},
    ],
)
def test_pixels_are_those_of_timm_in_every_mode(changes: dict[str, Any], pictures: list[Image.Image]) -> None:
    config = {
        **timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("resnet18.a1_in1k").to_dict()),
        **changes,
    }
    theirs = timm.data.create_transform(**config, is_training=False)
    assert_same_pixels(Preprocessing.from_timm(config), theirs, pictures)


@pytest.mark.parametrize("model", TORCHVISION)
def test_pixels_are_those_of_torchvision(model: str, pictures: list[Image.Image]) -> None:
    for weights in models.get_model_weights(model):
        preprocessing = published_preprocessing(f"torchvision:{model}", weights=weights.name)
        assert preprocessing is not None
        # On small images torchvision's crop leaves no level unchanged either, so sizes need no exception.
        assert_same_pixels(preprocessing, weights.transforms(), pictures)


def test_it_is_read_back_from_what_it_was_written_as() -> None:
    own = Preprocessing((224, 256), (240, 280), "squash", "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Preprocessing.from_dict(json.loads(json.dumps(own.as_dict()))) == own
    assert pickle.loads(pickle.dumps(own.transforms().eval)) == own.transforms().eval
    assert own.description == {"preset": "weights", **own.as_dict()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": [224]}, "height and a width"),
        ({"size": [0, 224]}, "size=0"),
        ({"resize": [2**20, 224]}, "resize=1048576"),
        ({"std": [0.5, 0.5, 0.0]}, "std=0.0"),
        ({"mean": "0.5"}, "three numbers"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean=nan"),
        ({"interpolation": "cubic"}, "Did you mean 'bicubic'"),
        ({"crop_mode": "middle"}, "crop_mode='middle'"),
        ({"sizes": [1, 1]}, "no key 'sizes'. Did you mean 'size'"),
    ],
)
def test_damaged_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocessing.from_dict({**Preprocessing.square(224, 256).as_dict(), **changes})


def test_missing_keys_are_named() -> None:
    with pytest.raises(InputError, match="lacks crop_mode, interpolation"):
        Preprocessing.from_dict(dict(zip(["size", "resize", "mean", "std"], range(4))))


def test_another_size_keeps_the_proportion_of_the_crop() -> None:
    changed = Preprocessing.square(224, 256, interpolation="bicubic").changed(image_size=112)
    assert (changed.size, changed.resize, changed.interpolation) == ((112, 112), (128, 128), "bicubic")


def test_training_images_have_the_size_and_statistics_of_the_weights() -> None:
    own = Preprocessing.square(64, 72, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    transforms = own.transforms_with({"flip": False, "jitter": 0.0, "image_size": 48})
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8))
    assert transforms.train(image).shape == transforms.eval(image).shape == (3, 48, 48)
    assert transforms.description["flip"] is False
    assert "flip" not in json.loads(transforms.preprocessing)
    assert transforms.preprocessing == own.changed(image_size=48).transforms().preprocessing


def test_networks_for_other_than_colour_images_say_so() -> None:
    config = timm.data.resolve_data_config({"input_size": (1, 28, 28)}, pretrained_cfg={"input_size": (1, 28, 28)})
    with pytest.raises(InputError, match="images of 1 channels, and lowshot's images have three"):
        Preprocessing.from_timm(config)
