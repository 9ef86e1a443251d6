"""Targets that are not quite certain."""

from __future__ import annotations

from torch import Tensor

from lowshot.checks import check_number
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.objectives.base import Batch, Objective, TrainingClasses

BIBTEX = """
@inproceedings{szegedy2016rethinking,
  author = {Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jonathon and Wojna, Zbigniew},
  title = {Rethinking the Inception Architecture for Computer Vision},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2016},
  eprint = {1512.00567},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register(
    "label_smoothing", "moves a share of the targets from the label to all classes alike", bibtex=BIBTEX
)
class LabelSmoothingObjective(Objective):
    """Label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7): y' = (1 − ε) y + ε / K.

    K are the classes that have training images. The columns of the others, such as novel classes, get nothing: they
    would be trained to a constant.

    Args:
        epsilon (float): The share ε that is spread over the classes.
    """

    makes_distributions = True
    uniform: Tensor

    def __init__(self, epsilon: float = 0.1) -> None:
        super().__init__()
        self.epsilon = check_number("epsilon", epsilon, above=0, below=1)

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        uniform = backbone.classifier.weight.new_zeros(backbone.num_classes)
        uniform[classes.present] = 1 / len(classes.present)
        self.register_buffer("uniform", uniform, persistent=False)

    def change(self, batch: Batch) -> None:
        batch.targets = (1 - self.epsilon) * batch.distributions() + self.epsilon * self.uniform
