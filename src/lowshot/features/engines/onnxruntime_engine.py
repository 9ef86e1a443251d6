"""ONNX Runtime as the inference engine (extra ``onnx``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowshot.features.engines.export import INPUT, OUTPUT
from lowshot.features.engines.exported import ExportedEngine


class OnnxRuntimeEngine(ExportedEngine):
    """ONNX Runtime on the CPU, in float32."""

    name = "onnxruntime"
    package = "onnxruntime"
    extra = "onnx"
    precisions = ("32-true",)

    def _load(self, model: bytes, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that wait in a loop would take the processor from the decoding of images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def _run(self, images: np.ndarray) -> np.ndarray:
        features: np.ndarray = self._model.run([OUTPUT], {INPUT: images})[0]
        return features
