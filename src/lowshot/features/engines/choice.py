"""The choice of the inference engine: the fastest of those installed whose features agree with torch in float32."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowshot.contents import cache_folder
from lowshot.devices import resolve_precision
from lowshot.errors import InputError, LowshotError
from lowshot.features.engines import ENGINES, InferenceEngine
from lowshot.features.engines.export import ExportError
from lowshot.features.engines.exported import ExportedEngine
from lowshot.files import exists, fingerprint, read_json, write_json
from lowshot.progress import say

LEAST_COSINE = 0.9995
"""The least cosine between an image's features and those of torch in float32."""

LEAST_COSINE_WHEN_ASKED = 0.98
"""The same where the user asks for a reduced precision: features this far off are no rounding."""

LEAST_PIXELS = 256 * 224 * 224
"""Below as many pixels in all images together, torch is done before engines are exported and compared."""

LEAST_IMAGES = 64
"""Below as many images, torch is taken for images of any size."""

SAMPLE = 8
"""The largest number of images that engines are compared on."""

LEAST_GAIN = 1.1  # of the speed; below it, two runs could choose differently
_REMEMBERED = 1000

Choice = tuple[str, str]
"""The names of an engine and of its precision."""


def choose_engine(
    backbone: torch.nn.Module,
    normalize: torch.nn.Module,
    images: torch.Tensor,
    wanted: Choice,
    n_pixels: int,
    device: torch.device,
    trunk: str,
) -> InferenceEngine:
    """Build the engine for an extraction.

    ``"auto"`` compares the installed engines on the first images, and takes the fastest whose features agree with
    those of torch in float32; an auto precision is bfloat16 only where its features agree and the processor has
    instructions for it. The choice is remembered in the cache folder for the same network, image size, number of
    threads, processor and versions, so that later extractions make the same features and need no comparison.

    Args:
        backbone (Module): The backbone; ``forward`` returns (scores, features).
        normalize (Module): The module that turns uint8 images into normalised floats.
        images (uint8, (N, 3, H, W)): The first images, of which up to ``SAMPLE`` are compared.
        wanted (two str): The engine and the precision, or ``"auto"``.
        n_pixels (int): The number of pixels of all images that will come.
        device (torch.device): The device.
        trunk (str): The fingerprint of the network.

    Raises:
        InputError: A wanted engine is not installed, or gives other features than torch.
        ExportError: The backbone cannot be exported for a wanted engine.
    """

    def build(choice: Choice) -> InferenceEngine:
        return ENGINES[choice[0]](backbone, normalize, choice[1], device)

    engine, precision = wanted
    if engine == "auto" and (n_pixels < LEAST_PIXELS or device.type != "cpu"):
        engine = "torch"
    if precision == "auto" and n_pixels < LEAST_PIXELS:
        precision = "32-true"
    if engine == "torch" and precision != "auto":
        return build((engine, precision))
    choices = _choices(engine, precision)
    place, key = _place(), _key(images, device, trunk, wanted)
    if len(choices) > 1 and (known := _recall(place, key)) in choices:
        with contextlib.suppress(LowshotError):
            return build(known)
    best = _fastest({choice: build(choice) for choice in choices}, images[:SAMPLE], build, wanted)
    if len(choices) > 1:
        _remember(place, key, best)
    return best


def _choices(engine: str, precision: str) -> list[Choice]:
    """The engines and precisions to compare, in the order of preference among equals."""
    engines = [name for name, one in ENGINES.items() if one.installed()] if engine == "auto" else [engine]
    precisions = list(dict.fromkeys(("32-true", resolve_precision("auto")))) if precision == "auto" else [precision]
    if "auto" not in (engine, precision):
        return [(engine, precision)]
    return [(e, p) for p in precisions for e in engines if p in ENGINES[e].precisions]


def _fastest(
    engines: dict[Choice, InferenceEngine], images: torch.Tensor, build: Any, wanted: Choice
) -> InferenceEngine:
    reference_engine = engines.get(("torch", "32-true")) or build(("torch", "32-true"))
    rounds = 2 if len(engines) > 1 else 0
    reference, seconds = _timed(reference_engine, images, rounds)
    best: tuple[float, InferenceEngine] | None = None
    exported: bytes | None = None
    for choice, engine in engines.items():
        if engine is not reference_engine:
            try:
                if isinstance(engine, ExportedEngine):
                    engine.exported = exported = exported or engine.export(images)
                features, seconds = _timed(engine, images, rounds)
            except ExportError as error:
                if wanted[0] != "auto":
                    raise
                say(f"engine {choice[0]} is left out: {error}")
                continue
            cosine = least_cosine(features, reference)
            if not cosine >= (LEAST_COSINE if wanted[1] in ("auto", "32-true") else LEAST_COSINE_WHEN_ASKED):
                if choice == wanted:
                    raise InputError(
                        f"engine {choice[0]} in {choice[1]} gives other features than torch in float32 (cosine "
                        f"{cosine:.4f}): use engine torch"
                    )
                continue
        if best is None or seconds * LEAST_GAIN < best[0]:
            best = seconds, engine
    if best is None:
        raise InputError(
            f"engine {wanted[0]} gives other features than torch in float32 for these images: use engine torch"
        )
    return best[1]


def least_cosine(features: np.ndarray, reference: np.ndarray) -> float:
    """Compute the least cosine between rows of (N, D) and (N, D); 1 for two rows of zeros, NaN for rows with NaN."""
    a, b = features.astype(np.float64), reference.astype(np.float64)
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    equal = (a == b).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.where(equal, 1.0, (a * b).sum(axis=1) / scale)
    return float(cosines.min())


def _timed(engine: InferenceEngine, images: torch.Tensor, rounds: int) -> tuple[np.ndarray, float]:
    """The features of the images, and the shortest time of some rounds after the engine has started."""
    shortest = float("inf")
    with engine:
        features = engine(images)
        for _ in range(rounds):
            start = time.perf_counter()
            engine(images)
            shortest = min(shortest, time.perf_counter() - start)
    return features, shortest


def _key(images: torch.Tensor, device: torch.device, trunk: str, wanted: Choice) -> str:
    versions = dict(_versions())
    threads = torch.get_num_threads()
    return fingerprint(trunk, list(images.shape[1:]), str(device), threads, _processor(), versions, list(wanted))


def _versions() -> Iterator[tuple[str, str]]:
    for package in ("torch", "onnxruntime", "openvino"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield package, importlib.metadata.version(package)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line
    return platform.processor()


def _place() -> Path | None:
    try:
        return cache_folder() / "engines.json"
    except RuntimeError:  # the user has no home
        return None


def _recall(place: Path | None, key: str) -> Choice | None:
    found = _read(place).get(key)
    return (found[0], found[1]) if isinstance(found, list) and len(found) == 2 else None


def _remember(place: Path | None, key: str, engine: InferenceEngine) -> None:
    if place is not None:
        latest = list({**_read(place), key: [engine.name, engine.precision]}.items())[-_REMEMBERED:]
        with contextlib.suppress(OSError):
            write_json(place, dict(latest))


def _read(place: Path | None) -> dict[str, Any]:
    try:
        found = None if place is None or not exists(place) else read_json(place)
    except (InputError, OSError):
        return {}
    return found if isinstance(found, dict) else {}
