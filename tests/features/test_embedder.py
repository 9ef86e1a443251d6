from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from lowshot.data import Transforms, build_transforms
from lowshot.errors import InputError, LowshotError
from lowshot.features import Embedder
from tests.features.fakes import TinyBackbone


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (9 + i % 3, 12, 3), dtype=np.uint8)) for i in range(5)]


def test_it_embeds_images_as_the_backbone_does(
    backbone: TinyBackbone, transforms: Transforms, images: list[Image.Image]
) -> None:
    embedder = Embedder(backbone, transforms)
    features = embedder.embed(images)
    with torch.no_grad():
        pixels = torch.stack([transforms.eval(image) for image in images])
        expected = copy.deepcopy(backbone).eval()(transforms.normalize(pixels))[1].numpy()
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert features.dtype == np.float32
    assert (embedder.dim, embedder.engine, embedder.precision) == (6, "torch", "32-true")
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_no_images_have_no_features(backbone: TinyBackbone, transforms: Transforms) -> None:
    assert Embedder(backbone, transforms).embed([]).shape == (0, 6)


def test_a_block_keeps_the_engine_ready(
    backbone: TinyBackbone, transforms: Transforms, images: list[Image.Image]
) -> None:
    expected = Embedder(backbone, transforms).embed(images)
    with Embedder(backbone, transforms) as embedder:
        for _ in range(2):
            np.testing.assert_array_equal(embedder.embed(images), expected)
        assert torch.is_inference_mode_enabled()
    assert not torch.is_inference_mode_enabled()
    np.testing.assert_array_equal(embedder.embed(images), expected)


def test_the_fingerprint_follows_all_that_features_depend_on(backbone: TinyBackbone, transforms: Transforms) -> None:
    def of(net: TinyBackbone = backbone, transforms: Transforms = transforms, **options: str) -> str:
        return Embedder(net, transforms, **options).fingerprint

    expected = of()
    assert of(engine="torch") == of(precision="32-true") == expected
    head = copy.deepcopy(backbone)
    head.classifier = torch.nn.Linear(6, 11, bias=False)
    assert of(head) == expected, "features do not depend on the classifier"
    trunk = copy.deepcopy(backbone)
    with torch.no_grad():
        trunk.conv.weight[0, 0, 0, 0] += 1
    others = [
        of(trunk),
        of(transforms=build_transforms("small", image_size=7)),
        of(views="flip"),
        of(precision="bf16-mixed"),
    ]
    assert len({expected, *others}) == 5


def test_settings_are_checked(backbone: TinyBackbone, transforms: Transforms) -> None:
    for name, value in (("engine", "tensorrt"), ("precision", "float8"), ("views", "two")):
        with pytest.raises(InputError, match=rf"{name}.*{value}"):
            Embedder(backbone, transforms, **{name: value})


def test_features_that_are_not_finite_are_refused(
    backbone: TinyBackbone, transforms: Transforms, images: list[Image.Image]
) -> None:
    with torch.no_grad():
        backbone.conv.weight.fill_(float("nan"))
    with pytest.raises(LowshotError, match="NaN or infinity for image 0 of 5"):
        Embedder(backbone, transforms).embed(images)
