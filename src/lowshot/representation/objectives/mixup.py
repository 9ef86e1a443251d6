"""Mixed images."""

from __future__ import annotations

from lowshot.registry import OBJECTIVES
from lowshot.representation.objectives.base import Batch
from lowshot.representation.objectives.mixing import MixingObjective

BIBTEX = """
@inproceedings{zhang2018mixup,
  author = {Zhang, Hongyi and Cisse, Moustapha and Dauphin, Yann N. and Lopez-Paz, David},
  title = {mixup: Beyond Empirical Risk Minimization},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year = {2018},
  eprint = {1710.09412},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register("mixup", "mixes images, and their targets, in pairs", bibtex=BIBTEX)
class MixupObjective(MixingObjective):
    """Mixup (Zhang et al. 2018, arXiv 1710.09412): the network is trained on λ x + (1 − λ) x', with targets alike.

    Between two images the scores should then change linearly, which keeps a network from being sure of what it has not
    seen. :class:`ManifoldMixupObjective` also mixes what the network makes of images.
    """

    def change(self, batch: Batch) -> None:
        mixing = self.draw(len(batch), batch.images.device)
        batch.images, batch.targets = mixing.of(batch.images), mixing.of(batch.distributions())
