"""The form of an exported recogniser: names of inputs and outputs, and what its metadata say. Needs no torch."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lowshot.errors import InputError
from lowshot.recogniser.pixels import PixelSettings

FORMAT = "lowshot-onnx-1"

METADATA_KEY = "lowshot"
"""The key of the JSON text among the model's metadata."""

PIXELS = "pixels"
PROBABILITIES, UNKNOWN, SIMILARITY, FEATURES = "probabilities", "unknown", "similarity", "features"


class About(BaseModel):
    """What an exported recogniser says of itself.

    Attributes:
        format (str): The version of this format.
        lowshot (str): The version of lowshot that wrote it.
        classes (list of C str): The names of the columns of ``probabilities``.
        preprocessing (PixelSettings): What turns a photo into ``pixels``.
        unknown_at (float): The ``similarity`` below which an answer is unknown; it is in the graph.
        temperature (float): What the scores were divided by before the softmax; it is in the graph.
        classifier (str): The kind of classifier.
        backbone (str): The name of the network.
        views (str): The views of a photo, whose mean feature the graph takes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["lowshot-onnx-1"] = "lowshot-onnx-1"
    lowshot: str
    classes: Annotated[list[str], Field(min_length=1)]
    preprocessing: PixelSettings
    unknown_at: float
    temperature: Annotated[float, Field(gt=0)]
    classifier: str
    backbone: str
    views: str


def portable_preprocessing(description: Mapping[str, Any]) -> PixelSettings:
    """The preprocessing of a recogniser in a form that other programs can follow.

    Args:
        description (mapping): The ``description`` of its transforms.

    Raises:
        InputError: They are a preset of a plug-in.
    """
    preset = description.get("preset")
    if preset == "weights":
        return PixelSettings(**{name: _tuples(description[name]) for name in PixelSettings.model_fields})
    if preset not in ("imagenet", "small"):
        raise InputError(
            f"photos are prepared by the preset {preset!r} of a plug-in, which an ONNX file cannot describe"
        )
    side = description["image_size"]
    before = description.get("resize") or (round(side * 256 / 224) if preset == "imagenet" else side)
    return PixelSettings(
        size=(side, side),
        resize=(before, before),
        crop_mode="center",
        interpolation="bilinear",
        mean=_tuples(description["mean"]),
        std=_tuples(description["std"]),
    )


def onnx_packages(*names: str) -> list[Any]:
    """Import packages of the extra ``onnx``.

    Args:
        names (str): Their names.

    Raises:
        InputError: One is not installed.
    """
    found = []
    for name in names:
        try:
            found.append(importlib.import_module(name))
        except ImportError as error:
            raise InputError(
                f"ONNX files need the package {name.partition('.')[0]}: pip install 'lowshot[onnx]' ({error})"
            ) from None
    return found


def onnx_session(model: str | bytes) -> Any:
    """A session of ONNX Runtime on the CPU.

    Args:
        model (str or bytes): The file, or its content.
    """
    (onnxruntime,) = onnx_packages("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # "1" in workers
    options.intra_op_num_threads = int(asked) if asked.isdigit() else 0  # 0 for all cores
    # Threads that wait in a loop would take the processor from the decoding of photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def refers_to_files(message: Any) -> bool:
    """True where a tensor anywhere in a model lies in another file."""
    if message.DESCRIPTOR.name == "TensorProto":
        return bool(message.external_data) or message.data_location == message.EXTERNAL
    return any(
        refers_to_files(part)
        for field, value in message.ListFields()
        if field.message_type is not None
        for part in ([value] if hasattr(value, "DESCRIPTOR") else value)
    )


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
