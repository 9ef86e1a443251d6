"""Images that are turned, sheared and scaled by chance."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lowshot.checks import check_number
from lowshot.registry import OBJECTIVES
from lowshot.representation.objectives.base import Batch, Objective

BIBTEX = """
@inproceedings{koch2015siamese,
  author = {Koch, Gregory and Zemel, Richard and Salakhutdinov, Ruslan},
  title = {Siamese Neural Networks for One-shot Image Recognition},
  booktitle = {ICML Deep Learning Workshop},
  year = {2015},
}

@inproceedings{jaderberg2015spatial,
  author = {Jaderberg, Max and Simonyan, Karen and Zisserman, Andrew and Kavukcuoglu, Koray},
  title = {Spatial Transformer Networks},
  booktitle = {Advances in Neural Information Processing Systems (NIPS)},
  year = {2015},
  eprint = {1506.02025},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register("affine", "turns, shears and scales each image a little, by chance", bibtex=BIBTEX)
class AffineObjective(Objective):
    """Affine distortions of images (Koch et al. 2015, section 3.3, who learn Omniglot's characters with them).

    A network that sees few images of a class learns them by heart; distorted, no image comes twice. Each of the five
    parts of an image's map is left out with a chance of 1 − ``probability``: the angle, the two shears and the two
    scales. Shifts are left to the transform of images, whose random crop is one. Images are sampled as in spatial
    transformers (Jaderberg et al. 2015, arXiv 1506.02025, section 3.3), and what comes in from outside repeats the
    border.

    Args:
        degrees (float): The largest angle, in degrees to either side.
        shear (float): The largest shift of a row (of a column) per pixel of its distance from the centre.
        scale (float): The largest change of height and of width: 0.2 is 0.8 to 1.2 times.
        probability (float): The probability of each of the five.
    """

    def __init__(self, degrees: float = 10.0, shear: float = 0.3, scale: float = 0.2, probability: float = 0.5) -> None:
        super().__init__()
        self.degrees = check_number("degrees", degrees, least=0, most=180)
        self.shear = check_number("shear", shear, least=0, below=1)
        self.scale = check_number("scale", scale, least=0, below=1)
        self.probability = check_number("probability", probability, above=0, most=1)

    def change(self, batch: Batch) -> None:
        n = len(batch)
        angles, *shears = (self._drawn(n, most) for most in (math.radians(self.degrees), self.shear, self.shear))
        scales = [1 + self._drawn(n, self.scale) for _ in range(2)]
        maps = affine_maps(angles, torch.stack(shears, dim=1), torch.stack(scales, dim=1))
        batch.images = warped(batch.images, maps.to(batch.images.device))

    def _drawn(self, n: int, most: float) -> Tensor:
        """Numbers that are uniform in ± ``most``, or 0 with a chance of 1 − ``probability``."""
        return most * (2 * torch.rand(n) - 1) * (torch.rand(n) < self.probability)


def affine_maps(angles: Tensor, shears: Tensor, scales: Tensor) -> Tensor:
    """Return the maps from a place in the new image to the place in the old one that it shows, float32 (N, 2, 2).

    Places are (x, y) in pixels from the centre. A map divides by the scales, then shears, then turns.

    Args:
        angles (float32, (N,)): The angles in radians.
        shears (float32, (N, 2)): The shears along x and along y; x + shear · y is the new x.
        scales (float32, (N, 2)): The scales of x and y.
    """
    cos, sin, one = angles.cos(), angles.sin(), torch.ones_like(angles)
    turn = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    shear = torch.stack([one, shears[:, 0], shears[:, 1], one], dim=1).view(-1, 2, 2)
    return turn @ shear / scales[:, None, :]


def warped(images: Tensor, maps: Tensor) -> Tensor:
    """Sample images bilinearly at the places that maps say, the nearest pixel of the border for those outside.

    Args:
        images (float, (N, C, H, W)): The images.
        maps (float32, (N, 2, 2)): The maps of :func:`affine_maps`.

    Returns:
        float, (N, C, H, W): The new images, of the same dtype and memory format.
    """
    height, width = images.shape[-2:]
    size = torch.tensor([float(width), float(height)], device=maps.device)
    in_shares = maps * size[None, None, :] / size[None, :, None]  # of half the width and height, as torch counts
    theta = torch.cat([in_shares, in_shares.new_zeros(len(maps), 2, 1)], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    sampled = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return torch.empty_like(images).copy_(sampled)  # of the same dtype and memory format
