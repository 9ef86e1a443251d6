"""Objectives, a file each, registered in ``OBJECTIVES``: what changes head, batches, targets or loss of a training."""

from lowshot.representation.objectives.affine import AffineObjective
from lowshot.representation.objectives.base import Batch, Frozen, Objective, TrainingClasses
from lowshot.representation.objectives.cosine_head import CosineHead, CosineHeadObjective
from lowshot.representation.objectives.cutmix import CutMixObjective
from lowshot.representation.objectives.distillation import DistillationObjective
from lowshot.representation.objectives.ema import EMAObjective
from lowshot.representation.objectives.label_smoothing import LabelSmoothingObjective
from lowshot.representation.objectives.manifold_mixup import ManifoldMixupObjective
from lowshot.representation.objectives.mixing import Mixing, MixingObjective
from lowshot.representation.objectives.mixup import MixupObjective
from lowshot.representation.objectives.rotations import RotationsObjective

__all__ = [
    "AffineObjective",
    "EMAObjective",
    "Batch",
    "CosineHead",
    "CosineHeadObjective",
    "CutMixObjective",
    "DistillationObjective",
    "Frozen",
    "LabelSmoothingObjective",
    "ManifoldMixupObjective",
    "Mixing",
    "MixingObjective",
    "MixupObjective",
    "Objective",
    "RotationsObjective",
    "TrainingClasses",
]
