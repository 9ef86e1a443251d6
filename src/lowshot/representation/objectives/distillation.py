"""The scores of an earlier network as further targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lowshot.checks import check_number
from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.checkpoints import load_backbone, trained_classes
from lowshot.representation.objectives.base import Batch, Frozen, Objective, TrainingClasses

BIBTEX = """
@inproceedings{furlanello2018bornagain,
  author = {Furlanello, Tommaso and Lipton, Zachary C. and Tschannen, Michael and Itti, Laurent and Anandkumar, Anima},
  title = {Born Again Neural Networks},
  booktitle = {International Conference on Machine Learning (ICML)},
  year = {2018},
  eprint = {1805.04770},
  archivePrefix = {arXiv},
}

@inproceedings{tian2020rethinking,
  author = {Tian, Yonglong and Wang, Yue and Krishnan, Dilip and Tenenbaum, Joshua B. and Isola, Phillip},
  title = {Rethinking Few-Shot Image Classification: a Good Embedding Is All You Need?},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2020},
  eprint = {2003.11539},
  archivePrefix = {arXiv},
}

@misc{hinton2015distilling,
  author = {Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff},
  title = {Distilling the Knowledge in a Neural Network},
  year = {2015},
  eprint = {1503.02531},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register(
    "distillation", "also learns the softened scores of an earlier network of the same classes", bibtex=BIBTEX
)
class DistillationObjective(Objective):
    """Self-distillation (Furlanello et al. 2018, arXiv 1805.04770; for few shots Tian et al. 2020, arXiv 2003.11539).

    Adds T² · KL(q ‖ p) with q and p the softmax of the teacher's and the network's scores divided by T (Hinton et al.
    2015, arXiv 1503.02531). The teacher says which classes resemble each other, which labels do not. It sees the same
    augmented images. Tian et al. take half of either, which is weight 1 at half the rate.

    Args:
        teacher (str): A checkpoint file; in a recipe also another representation, which is then trained first.
        weight (float): The weight beside the cross-entropy.
        temperature (float): The temperature T.
    """

    checkpoint_parameters: ClassVar[Sequence[str]] = ("teacher",)

    def __init__(self, teacher: str, weight: float = 1.0, temperature: float = 4.0) -> None:
        super().__init__()
        self.teacher = teacher
        self.weight = check_number("weight", weight, above=0)
        self.temperature = check_number("temperature", temperature, above=0)

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        """Load the teacher.

        Raises:
            InputError: The checkpoint cannot be read, or is of other classes.
        """
        network, names = load_backbone(self.teacher), trained_classes(self.teacher)
        if network.num_classes != backbone.num_classes or (names and classes.names and names != classes.names):
            raise InputError(
                f"distillation: teacher {self.teacher} was trained on other classes: its {network.num_classes} columns "
                "must be those of this training"
            )
        self._teacher = Frozen(network, backbone.classifier.weight.device)

    def loss(self, batch: Batch, scores: Tensor, features: Tensor) -> Tensor:
        with torch.no_grad():
            targets = (self._teacher.network(batch.images)[0] / self.temperature).softmax(dim=1)
        if batch.inner_mixing is not None:
            targets = batch.inner_mixing.of(targets)
        found = (scores[: len(batch)] / self.temperature).log_softmax(dim=1)
        return self.weight * self.temperature**2 * F.kl_div(found, targets, reduction="batchmean")
