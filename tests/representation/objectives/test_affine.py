"""Affine distortions of images."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation.objectives import AffineObjective
from lowshot.representation.objectives.affine import affine_maps, warped
from tests.reference import objectives as reference
from tests.representation.objectives.problems import batch

SHEARS = st.floats(-0.9, 0.9)
SCALES = st.floats(0.2, 1.8)


def maps(angle=0.0, shears=(0.0, 0.0), scales=(1.0, 1.0)):
    return affine_maps(torch.tensor([angle]), torch.tensor([shears]), torch.tensor([scales]))


@given(st.floats(-math.pi, math.pi), SHEARS, SHEARS, SCALES, SCALES, st.floats(-9, 9), st.floats(-9, 9))
@settings(max_examples=50, deadline=None)
def test_maps_are_those_of_the_slow_reference(angle, shear_x, shear_y, scale_x, scale_y, x, y):
    found = maps(angle, (shear_x, shear_y), (scale_x, scale_y))[0] @ torch.tensor([x, y])
    expected = reference.affine_map(angle, shear_x, shear_y, scale_x, scale_y, x, y)
    assert found.tolist() == pytest.approx(expected, abs=2e-4)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.floats(-math.pi, math.pi), SHEARS, SCALES)
@settings(max_examples=50, deadline=None)
def test_images_are_sampled_as_in_the_slow_reference(seed, height, width, angle, shear, scale):
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    both = torch.cat([maps(angle, (shear, 0.1), (scale, 1.1)), maps()])
    found = warped(images, both)

    def place(x, y):
        return reference.affine_map(angle, shear, 0.1, scale, 1.1, x, y)

    for channel in range(3):
        expected = torch.tensor(reference.sampled(images[0, channel].tolist(), place))
        torch.testing.assert_close(found[0, channel], expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(found[1], images[1], atol=1e-5, rtol=0)


def test_a_quarter_turn_a_shear_and_a_scale_are_what_they_are_called():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    torch.testing.assert_close(warped(image, maps(math.pi / 2)), image.rot90(1, dims=(2, 3)))
    line = torch.zeros(1, 1, 5, 5)
    line[..., 2] = 1  # upright
    sheared = warped(line, maps(shears=(-1.0, 0.0)))[0, 0]
    assert torch.equal(sheared, torch.eye(5))  # a pixel to the right for each pixel further down
    assert warped(line, maps(scales=(3.0, 1.0)))[0, 0, 0].tolist() == pytest.approx(
        [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3], abs=1e-5
    )


def test_images_keep_their_dtype_and_memory_format_and_their_originals_stay():
    one = batch()
    one.images = one.images.to(torch.bfloat16, memory_format=torch.channels_last)
    before = one.original.clone()
    AffineObjective(probability=1.0).change(one)
    assert one.images.dtype == torch.bfloat16
    assert one.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(one.original, before)
    assert not torch.equal(one.images.float(), before.to(torch.bfloat16).float())
    assert one.targets is one.labels


def test_each_part_of_a_map_is_left_out_by_its_own_chance():
    torch.manual_seed(0)
    objective = AffineObjective(probability=0.3)
    drawn = objective._drawn(20_000, 0.2)
    assert float((drawn != 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(drawn.abs().max()) <= 0.2
    assert float(drawn[drawn != 0].mean()) == pytest.approx(0, abs=0.01)
    assert float(drawn[drawn != 0].std()) == pytest.approx(0.2 / math.sqrt(3), rel=0.05)  # uniform


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_with_nothing_to_change_images_stay(seed):
    torch.manual_seed(seed)
    one = batch(seed)
    AffineObjective(degrees=0, shear=0, scale=0, probability=1).change(one)
    torch.testing.assert_close(one.images, one.original, atol=1e-5, rtol=1e-5)


def test_images_of_a_batch_are_distorted_each_in_its_own_way():
    torch.manual_seed(0)
    one = batch(n=6)
    one.images = one.images[:1].expand(6, -1, -1, -1).clone()
    AffineObjective(probability=1).change(one)
    assert all(not torch.allclose(one.images[0], other) for other in one.images[1:])


@pytest.mark.parametrize(
    "params",
    [
        {"degrees": -1},
        {"degrees": 181},
        {"shear": 1},
        {"scale": 1},
        {"scale": -0.1},
        {"probability": 0},
        {"probability": 2},
    ],
)
def test_values_out_of_range_are_refused(params):
    with pytest.raises(InputError, match=next(iter(params))):
        OBJECTIVES.build("affine", **params)
