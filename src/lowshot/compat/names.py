"""The original's names of networks, losses and setups, and lowshot's."""

from __future__ import annotations

MODELS = ("ResNet10", "ResNet18", "ResNet34", "ResNet50", "ResNet101")
"""The names of the original's networks; lowshot's are the same in lower case."""

LOSS_NAMES = {"l2": "feature_l2", "sgm": "sgm", "batchsgm": "batch_sgm"}
"""The original's names of the auxiliary losses and lowshot's."""

SETUPS = ("val", "test")
"""The setups that ``--testsetup`` 0 and 1 stand for."""
