"""Inference engines, a file each: torch on any device, and others that are faster on a CPU."""

from __future__ import annotations

from lowshot.features.engines.base import InferenceEngine
from lowshot.features.engines.export import ExportError
from lowshot.features.engines.onnxruntime_engine import OnnxRuntimeEngine
from lowshot.features.engines.openvino_engine import OpenVinoEngine
from lowshot.features.engines.torch_engine import AUTOCAST, TorchEngine

__all__ = ["AUTOCAST", "ENGINES", "ExportError", "InferenceEngine", "TorchEngine"]

ENGINES: dict[str, type[InferenceEngine]] = {
    engine.name: engine for engine in (TorchEngine, OnnxRuntimeEngine, OpenVinoEngine)
}
"""The engines by name, torch first."""
