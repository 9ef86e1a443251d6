"""Features: the store, an HDF5 file in the original's layout, and the extraction that fills it.

``Embedder`` and ``extract_features`` are imported on first use, so that reading features does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.features.arrays import FeatureFiles
from lowshot.features.store import FeatureStore
from lowshot.features.writer import FeatureWriter
from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.features.embedder import Embedder
    from lowshot.features.extraction import extract_features

__all__ = ["Embedder", "FeatureFiles", "FeatureStore", "FeatureWriter", "extract_features"]

__getattr__, __dir__ = on_first_use(__name__, {"embedder": ("Embedder",), "extraction": ("extract_features",)})
