"""Inference engines, a file each: torch on any device, and others that are faster on a CPU."""

from __future__ import annotations

from lowshot.features.engines.base import InferenceEngine
from lowshot.features.engines.torch_engine import AUTOCAST, TorchEngine

__all__ = ["AUTOCAST", "ENGINES", "InferenceEngine", "TorchEngine"]

ENGINES: dict[str, type[InferenceEngine]] = {engine.name: engine for engine in (TorchEngine,)}
