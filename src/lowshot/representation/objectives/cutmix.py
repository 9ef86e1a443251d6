"""Images with a rectangle of another."""

from __future__ import annotations

import math

import torch

from lowshot.registry import OBJECTIVES
from lowshot.representation.objectives.base import Batch
from lowshot.representation.objectives.mixing import Mixing, MixingObjective

BIBTEX = """
@inproceedings{yun2019cutmix,
  author = {Yun, Sangdoo and Han, Dongyoon and Oh, Seong Joon and Chun, Sanghyuk and Choe, Junsuk and Yoo, Youngjoon},
  title = {{CutMix}: Regularization Strategy to Train Strong Classifiers with Localizable Features},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2019},
  eprint = {1905.04899},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register(
    "cutmix", "puts a rectangle of one image into another, and mixes their targets by area", bibtex=BIBTEX
)
class CutMixObjective(MixingObjective):
    """CutMix (Yun et al. 2019, arXiv 1905.04899, section 3.1 and algorithm 1).

    A rectangle with a share 1 − λ of the area, its centre drawn uniformly and what lies outside cut off, comes from
    another image. It differs from :class:`MixupObjective` in that pixels stay those of photographs. The share in the
    targets is that of the pixels.
    """

    def change(self, batch: Batch) -> None:
        height, width = batch.images.shape[-2:]
        drawn, partner = self.draw(len(batch), batch.images.device)
        rows, columns = _interval(height, math.sqrt(1 - drawn)), _interval(width, math.sqrt(1 - drawn))
        images = batch.images.clone()
        images[..., rows, columns] = batch.images[partner][..., rows, columns]
        replaced = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        batch.images, batch.targets = images, Mixing(1 - replaced, partner).of(batch.distributions())


def _interval(size: int, share: float) -> slice:
    """An interval of a share of ``size`` pixels around a pixel that is drawn, as far as it lies inside."""
    length, centre = int(size * share), int(torch.randint(size, ()))
    start = centre - length // 2
    return slice(max(start, 0), min(start + length, size))
