"""The delta-encoder: differences within base classes, encoded and applied to shots (Schwartz et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.hallucination.delta.generator import DeltaEncoder

__all__ = ["DeltaEncoder"]

__getattr__, __dir__ = on_first_use(__name__, {"generator": ("DeltaEncoder",)})
