"""Auxiliary losses, a file each, registered in ``LOSSES``. Training uses none by default."""

from lowshot.representation.losses.base import AuxiliaryLoss
from lowshot.representation.losses.batch_sgm import BatchSGMLoss
from lowshot.representation.losses.feature_l2 import FeatureL2Loss
from lowshot.representation.losses.sgm import SGMLoss

__all__ = ["AuxiliaryLoss", "BatchSGMLoss", "FeatureL2Loss", "SGMLoss"]
