"""Features: the store (an HDF5 file in the original's layout) and the extraction that fills it.

``extract_features`` is imported on first use, so that reading features does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowshot.features.store import FeatureStore
from lowshot.features.writer import FeatureWriter

if TYPE_CHECKING:
    from lowshot.features.extraction import extract_features

__all__ = ["FeatureStore", "FeatureWriter", "extract_features"]


def __getattr__(name: str) -> Any:
    if name == "extract_features":
        from lowshot.features.extraction import extract_features

        return extract_features
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
