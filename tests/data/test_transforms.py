"""Transforms: the output of each preset, checked against slow, plain versions."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from lowshot.data import build_transforms
from lowshot.errors import InputError
from lowshot.files import fingerprint
from tests.data.conftest import noise


@pytest.mark.parametrize(("preset", "size"), [("imagenet", 224), ("small", 32)])
@pytest.mark.parametrize("image", [(40, 30), (32, 32), (300, 257)])
def test_every_preset_gives_uint8_pixels_of_one_size(preset: str, size: int, image: tuple[int, int]) -> None:
    transforms = build_transforms(preset)
    for transform in (transforms.train, transforms.eval):
        out = transform(noise(0, image))
        assert out.shape == (3, size, size)
        assert out.dtype == torch.uint8
    batch = transforms.normalize(torch.stack([out, out]))
    assert batch.shape == (2, 3, size, size)
    assert batch.dtype == torch.float32


def shifted_and_flipped(pixels: np.ndarray, padding: int, mode: str, flip: bool) -> set[bytes]:
    """Every outcome of a padded crop, (H, W, 3) as bytes."""
    margin = ((padding, padding), (padding, padding), (0, 0))
    padded = np.pad(pixels, margin, mode=mode)  # type: ignore[call-overload]
    size = len(pixels)
    outcomes = set()
    for top, left in itertools.product(range(2 * padding + 1), repeat=2):
        crop = padded[top : top + size, left : left + size]
        outcomes |= {crop.tobytes()} | ({crop[:, ::-1].tobytes()} if flip else set())
    return outcomes


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "symmetric"])
def test_small_gives_each_shift_and_flip_of_the_padded_image_and_nothing_else(mode: str, flip: bool) -> None:
    image = noise(0, (6, 6))
    train = build_transforms("small", image_size=6, padding=1, padding_mode=mode, flip=flip).train
    torch.manual_seed(0)
    seen = {train(image).permute(1, 2, 0).numpy().tobytes() for _ in range(200)}
    assert seen == shifted_and_flipped(np.asarray(image), 1, mode, flip)


def test_small_leaves_a_test_image_of_native_size_untouched() -> None:
    out = build_transforms("small").eval(noise(0, (32, 32)))
    assert np.array_equal(out.permute(1, 2, 0), np.asarray(noise(0, (32, 32))))


def test_other_sizes_are_resized_in_proportion_and_cropped_to_the_middle() -> None:
    image = Image.new("RGB", (64, 32), "black")
    image.paste((255, 255, 255), (16, 0, 48, 32))
    assert build_transforms("small", image_size=16, padding=2).eval(image)[:, :, 1:-1].min() > 200


def test_imagenet_test_images_are_the_central_crop_of_the_resized_image() -> None:
    smooth = noise(0, (6, 5)).resize((300, 260), Image.Resampling.BICUBIC)
    out = build_transforms("imagenet", image_size=112).eval(smooth)
    left, top = (round(128 * 300 / 260) - 112) // 2, (128 - 112) // 2
    resized = smooth.resize((int(128 * 300 / 260), 128), Image.Resampling.BILINEAR)
    oracle = np.asarray(resized.crop((left, top, left + 112, top + 112)))
    assert np.abs(out.permute(1, 2, 0).numpy().astype(int) - oracle).max() <= 3


def test_flip_and_jitter_can_be_switched_off() -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste((255, 255, 255), (32, 0, 64, 64))
    train = build_transforms("imagenet", image_size=32, scale=(1, 1), jitter=0, flip=False).train
    for _ in range(20):
        out = train(image)
        assert out[:, :, 0].max() == 0
        assert out[:, :, -1].min() == 255


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_normalize_is_torchvisions_in_any_memory_format(memory_format: torch.memory_format) -> None:
    batch = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8).to(memory_format=memory_format)
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    out = build_transforms("small", mean=mean, std=std).normalize(batch)
    oracle = v2.functional.normalize(v2.functional.to_dtype(batch, torch.float32, scale=True), mean, std)
    torch.testing.assert_close(out, oracle, atol=1e-5, rtol=1e-5)
    assert out.is_contiguous(memory_format=memory_format)


def test_normalize_leaves_its_input_alone_and_adds_nothing_to_a_checkpoint() -> None:
    normalize = build_transforms("small").normalize
    batch = torch.full((1, 3, 2, 2), 7, dtype=torch.uint8)
    normalize(batch)
    assert (batch == 7).all()
    assert normalize.state_dict() == {}
    assert normalize.to(torch.bfloat16)(batch).dtype == torch.bfloat16


def test_the_description_is_json_and_names_every_parameter() -> None:
    description = build_transforms("small", flip=False, mean=(0.1, 0.2, 0.3), std=None).description
    assert description == {
        "preset": "small",
        "image_size": 32,
        "padding": 4,
        "padding_mode": "constant",
        "flip": False,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.25, 0.25, 0.25],
    }
    assert json.loads(json.dumps(description)) == description
    assert fingerprint(description) != fingerprint(build_transforms("small").description)
    assert fingerprint(build_transforms("small", image_size=32).description) == fingerprint(
        build_transforms("Small").description
    )


@pytest.mark.parametrize("preset", ["small", "imagenet"])
def test_transforms_pickle_to_worker_processes(preset: str) -> None:
    transforms = build_transforms(preset, image_size=16)
    copy = pickle.loads(pickle.dumps(transforms))
    assert torch.equal(copy.eval(noise(0)), transforms.eval(noise(0)))


@pytest.mark.parametrize(
    ("preset", "params", "message"),
    [
        ("smal", {}, "unknown transform preset 'smal'.*'small'"),
        ("small", {"flipp": False}, "no parameter 'flipp'.*'flip'"),
        ("small", {"image_size": 0}, "image_size=0"),
        ("small", {"image_size": "big"}, "image_size='big'"),
        ("small", {"padding": -1}, "padding=-1"),
        ("small", {"padding": 32}, "padding 32 is not below image_size 32"),
        ("small", {"padding_mode": "zero"}, "padding_mode='zero'.*constant"),
        ("small", {"std": [1, 1, 0]}, "std above 0"),
        ("small", {"mean": [0.5]}, "expected three numbers each"),
        ("imagenet", {"jitter": -1}, "expected jitter"),
        ("imagenet", {"scale": [0.5, 0.2]}, "expected jitter .* areas"),
    ],
)
def test_wrong_settings_are_named(preset: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_transforms(preset, **params)
