"""OpenVINO as the inference engine (extra ``openvino``)."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from lowshot.features.engines.exported import ExportedEngine


class OpenVinoEngine(ExportedEngine):
    """OpenVINO on the CPU, in float32 or bfloat16. It reports nothing to its makers, see :func:`imported_openvino`."""

    name = "openvino"
    package = "openvino"
    extra = "openvino"
    precisions = ("32-true", "bf16-mixed")

    def _load(self, model: bytes, threads: int) -> Any:
        openvino = imported_openvino()
        core = openvino.Core()
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": {"32-true": "f32", "bf16-mixed": "bf16"}[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the threads that decode images may use every core
        }
        return core.compile_model(core.read_model(model), "CPU", options)

    def _run(self, images: np.ndarray) -> np.ndarray:
        return np.array(self._model([images])[0], np.float32)  # a copy: the next call overwrites the result


def imported_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Importing OpenVINO sends an event to Google Analytics where the package openvino-telemetry is installed, which is a
    dependency of it. While that package cannot be imported, OpenVINO uses a stand-in of its own that sends nothing.
    """
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return openvino
