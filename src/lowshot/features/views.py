"""Views of an image, whose features are averaged: its mirror image, crops (Krizhevsky et al. 2012), distortions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from lowshot.data.transforms import ImageTransform
from lowshot.errors import InputError
from lowshot.representation.objectives.affine import affine_maps, warped

VIEWS = ("one", "flip", "five_crop", "ten_crop", "affine")
_CROPS = ("five_crop", "ten_crop", "affine")
_MIRRORED = ("flip", "ten_crop")
# Degrees, shear along x and along y, and scale of each distortion, of the size that the objective `affine` trains with.
_DISTORTIONS = (
    (-10.0, 0.0, 0.0, 1.0),
    (10.0, 0.0, 0.0, 1.0),
    (0.0, -0.2, 0.0, 1.0),
    (0.0, 0.2, 0.0, 1.0),
    (0.0, 0.0, -0.2, 1.0),
    (0.0, 0.0, 0.2, 1.0),
    (0.0, 0.0, 0.0, 0.85),
    (0.0, 0.0, 0.0, 1.15),
)


def views_transform(transform: ImageTransform, views: str) -> ImageTransform:
    """Make the function from an image to the pixels of its views, mirror images left out.

    Args:
        transform (callable): The function from an RGB image to (3, H, W) uint8. For crops it ends in a central crop: a
            ``v2.Compose`` whose last part is ``v2.CenterCrop``, or a callable with ``before_crop``, the function from
            an image to the larger (3, h, w) uint8, and ``crop_size``, H and W.
        views (str): One of ``VIEWS``.

    Returns:
        The function, to (3, H, W), or to (V, 3, H, W) with 5 views for crops and 13 for ``"affine"``.

    Raises:
        InputError: The views need crops, and the transform does not end in a central crop.
    """
    if views not in _CROPS:
        return transform
    from torchvision.transforms import v2  # here, not above: its import is slow, and one view needs none of it

    if isinstance(transform, v2.Compose) and isinstance(crop := transform.transforms[-1], v2.CenterCrop):
        return Crops(v2.Compose(transform.transforms[:-1]), tuple(crop.size), views == "affine")
    size = getattr(transform, "crop_size", None)
    if size is not None and (before_crop := getattr(transform, "before_crop", None)) is not None:
        return Crops(before_crop, tuple(size), views == "affine")
    raise InputError(
        f"views {views} needs images that are larger than the crop, and the transforms crop nothing: use flip"
    )


@dataclass(frozen=True)
class Crops:
    """The four corners of an image and its centre, as (5, 3, H, W) uint8; distorted, (13, 3, H, W).

    Attributes:
        before_crop (callable): The function from an image to (3, h, w) uint8.
        size (two int): The height H and width W of a crop.
        distorted (bool): Whether the centres of eight distorted images follow: turned by 10 degrees to either side,
            sheared by 0.2 along x and along y to either side, 0.85 and 1.15 times as large.
    """

    before_crop: ImageTransform
    size: tuple[int, ...]
    distorted: bool = False

    def __call__(self, image: Image.Image) -> torch.Tensor:
        from torchvision.transforms.v2 import functional as F

        pixels = self.before_crop(image)
        height, width = self.size
        missing = max(0, height - pixels.shape[1]), max(0, width - pixels.shape[2])
        if any(missing):  # as a central crop does, zeros fill what the image does not cover
            down, right = missing
            pixels = F.pad(pixels, [right // 2, down // 2, (right + 1) // 2, (down + 1) // 2])
        crops = torch.stack(F.five_crop(pixels, [height, width]))
        if not self.distorted:
            return crops
        return torch.cat([crops, F.center_crop(_distorted(pixels, self.size), [height, width])])


def _distorted(pixels: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """The image (3, h, w) uint8 in each of the eight distortions, (8, 3, h, w) uint8.

    What is too far from the centre for a crop of this size to show is cut off first, as much on both sides.
    """
    reach = 1.25 * max(size) + 4  # a distorted crop shows what is up to 1.2 times as far from the centre as its edge
    for dim, length in ((1, pixels.shape[1]), (2, pixels.shape[2])):
        cut = max(0, int(length - reach) // 2) // 2 * 2  # even, so that the centre of an odd margin is rounded alike
        pixels = pixels.narrow(dim, cut, length - 2 * cut)
    degrees, shear_x, shear_y, scale = torch.tensor(_DISTORTIONS).unbind(1)
    maps = affine_maps(degrees.deg2rad(), torch.stack([shear_x, shear_y], dim=1), torch.stack([scale, scale], dim=1))
    warped_pixels = warped(pixels.expand(len(maps), -1, -1, -1).float(), maps)
    return warped_pixels.round().to(torch.uint8)


def mean_of_views(engine: Callable[[torch.Tensor], np.ndarray], pixels: torch.Tensor, views: str) -> np.ndarray:
    """Compute the mean feature of each image's views.

    Args:
        engine (callable): The function from (n, 3, H, W) uint8 to features (n, D) float32.
        pixels (uint8, (N, 3, H, W) or (N, V, 3, H, W)): What :func:`views_transform` made.
        views (str): One of ``VIEWS``; ``"flip"`` and ``"ten_crop"`` add the mirror images.

    Returns:
        (float32, (N, D)): The mean features.
    """
    if views == "one":
        return engine(pixels)
    crops = pixels.unsqueeze(1) if pixels.ndim == 4 else pixels
    mirrored = views in _MIRRORED
    total: np.ndarray | float = 0.0
    for view in crops.unbind(1):  # one view at a time, so that memory does not grow with their number
        total = total + engine(view)
        if mirrored:
            total = total + engine(view.flip(-1))
    return np.asarray(total / ((1 + mirrored) * crops.shape[1]), np.float32)


def described_views(transform: ImageTransform, views: str) -> str:
    """The views and the settings of the transform that matter to crops alone, for fingerprints of features.

    A transform states these as ``crop_settings``, a JSON-like dictionary. Settings of its preset that count for any
    views are fingerprinted with the preprocessing, and need not be there.
    """
    settings = getattr(transform, "crop_settings", None) if views in _CROPS else None
    described = [views]
    if settings is not None:
        described.append(json.dumps(settings, sort_keys=True))
    if views == "affine":
        described.append(json.dumps(_DISTORTIONS))
    return " ".join(described)
