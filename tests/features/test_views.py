from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from lowshot.data import Transforms, build_transforms
from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError
from lowshot.features import Embedder
from lowshot.features.views import VIEWS
from tests.features.fakes import TinyBackbone
from tests.reference.objectives import affine_map, sampled
from tests.reference.views import ten_crops


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)) for size in ((20, 33, 3), (41, 20, 3))]


def features(backbone: TinyBackbone, transforms: Transforms, crops: list[np.ndarray]) -> np.ndarray:
    pixels = torch.stack([torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in crops])
    with torch.no_grad():
        return backbone.eval()(transforms.normalize(pixels))[1].numpy()


@pytest.mark.parametrize("kind", ["preset", "small", "pretrained", "squash"])
def test_ten_crop_is_the_mean_feature_of_ten_crops(
    backbone: TinyBackbone, images: list[Image.Image], kind: str
) -> None:
    """Of the image resized as the preprocessing says."""
    if kind == "preset":
        transforms = build_transforms("imagenet", image_size=12, resize=16)
    elif kind == "small":
        transforms = build_transforms("small", image_size=12, padding=3, padding_mode="edge")
    else:
        mode = "center" if kind == "pretrained" else "squash"
        transforms = Preprocessing.square(12, 16, crop_mode=mode, interpolation="bicubic").transforms()
    found, five = (Embedder(backbone, transforms, views=views).embed(images) for views in ("ten_crop", "five_crop"))
    for image, feature, upright in zip(images, found, five):
        if kind == "preset":
            resized = F.resize(F.pil_to_tensor(image), [16], antialias=True).permute(1, 2, 0).numpy()
        elif kind == "small":
            square = transforms.eval(image).permute(1, 2, 0).numpy()
            resized = np.pad(square, ((3, 3), (3, 3), (0, 0)), mode="edge")
        elif kind == "pretrained":
            resized = np.asarray(F.resize(image, [16], F.InterpolationMode.BICUBIC))
        else:
            resized = np.asarray(F.resize(image, [16, 16], F.InterpolationMode.BICUBIC))
        expected = features(backbone, transforms, ten_crops(resized, 12, 12))
        np.testing.assert_allclose(feature, expected.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(upright, expected[:5].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("kind", ["preset", "wide", "small"])
def test_affine_is_the_mean_feature_of_five_crops_and_the_centres_of_eight_distorted_images(
    backbone: TinyBackbone, kind: str
) -> None:
    """Each distortion written out: the place in the old image that each pixel shows, sampled one by one."""
    shape = (9, 42 if kind == "wide" else 11, 3)
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))
    if kind != "small":
        transforms = build_transforms("imagenet", image_size=6, resize=9)
        resized = np.asarray(image)
    else:
        transforms = build_transforms("small", image_size=6, padding=2, padding_mode="edge")
        resized = np.pad(transforms.eval(image).permute(1, 2, 0).numpy(), ((2, 2), (2, 2), (0, 0)), mode="edge")
    turn = math.radians(10)
    parameters = [(-turn, 0, 0, 1), (turn, 0, 0, 1), (0, -0.2, 0, 1), (0, 0.2, 0, 1)]
    parameters += [(0, 0, -0.2, 1), (0, 0, 0.2, 1), (0, 0, 0, 0.85), (0, 0, 0, 1.15)]
    crops = ten_crops(resized, 6, 6)[:5]
    for angle, shear_x, shear_y, scale in parameters:

        def place(x: float, y: float, angle=angle, shear_x=shear_x, shear_y=shear_y, scale=scale):  # type: ignore[no-untyped-def]
            return affine_map(angle, shear_x, shear_y, scale, scale, x, y)

        channels = [sampled(resized[:, :, channel].tolist(), place) for channel in range(3)]
        distorted = np.stack(channels, axis=2).round().astype(np.uint8)
        crops.append(ten_crops(distorted, 6, 6)[4])
    embedder = Embedder(backbone, transforms, views="affine")
    pixels = embedder.transform(image)
    assert pixels.shape == (13, 3, 6, 6)
    assert pixels.dtype == torch.uint8
    off = np.abs(pixels.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(crops))
    assert off.max() <= 1  # a value that ends on .5 may be rounded the other way
    assert (off > 0).mean() < 0.02
    expected = features(backbone, transforms, crops).mean(axis=0)
    np.testing.assert_allclose(embedder.embed([image])[0], expected, atol=2e-3)


def test_flip_is_the_mean_feature_of_an_image_and_its_mirror_image(
    backbone: TinyBackbone, transforms: Transforms, images: list[Image.Image]
) -> None:
    found = Embedder(backbone, transforms, views="flip").embed(images)
    for image, feature in zip(images, found):
        pixels = transforms.eval(image).permute(1, 2, 0).numpy()
        expected = features(backbone, transforms, [pixels, pixels[:, ::-1]]).mean(axis=0)
        np.testing.assert_allclose(feature, expected, atol=1e-5)


def test_an_image_smaller_than_the_crop_is_padded(backbone: TinyBackbone) -> None:
    transforms = build_transforms("imagenet", image_size=12, resize=8)
    image = [Image.new("RGB", (8, 8), "white")]
    flip, ten, affine = (
        Embedder(backbone, transforms, views=views).embed(image) for views in ("flip", "ten_crop", "affine")
    )
    np.testing.assert_allclose(ten, flip, atol=1e-6)
    assert np.isfinite(affine).all()


@pytest.mark.parametrize(
    "make",
    [
        partial(build_transforms, "small", image_size=8, padding=0),
        lambda: Preprocessing.square(8, crop_mode="squash").transforms(),
        lambda: Preprocessing.square(8, 12, crop_mode="border").transforms(),
    ],
    ids=["small", "squash", "border"],
)
def test_without_a_margin_ten_crop_is_refused(backbone: TinyBackbone, make: object) -> None:
    for views in ("five_crop", "ten_crop", "affine"):
        with pytest.raises(InputError, match=rf"{views} needs images that are larger than the crop.*use flip"):
            Embedder(backbone, make(), views=views)  # type: ignore[operator]


def test_the_padding_of_small_images_counts_for_crops_alone(backbone: TinyBackbone) -> None:
    """Files and cached features of one view are the same whatever the padding of the training images."""
    narrow, wide = (build_transforms("small", image_size=8, padding=padding) for padding in (1, 2))
    same = {views: [Embedder(backbone, one, views=views).fingerprint for one in (narrow, wide)] for views in VIEWS}
    assert {views: first == second for views, (first, second) in same.items()} == {
        "one": True,
        "flip": True,
        "five_crop": False,
        "ten_crop": False,
        "affine": False,
    }
