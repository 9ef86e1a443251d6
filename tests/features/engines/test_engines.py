"""Engines on a small convolutional network, against torch in float32."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from lowshot.data import Transforms
from lowshot.errors import InputError
from lowshot.features.engines import ENGINES, ExportError
from lowshot.features.engines.export import onnx_model
from tests.features.fakes import TinyBackbone

CPU = torch.device("cpu")
OTHERS = [name for name in ENGINES if name != "torch"]


class Unexportable(TinyBackbone):
    """Its forward pass leaves torch, which no exporter can follow."""

    def forward(self, x: torch.Tensor) -> Any:
        scores, features = super().forward(x)
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            raise RuntimeError("this network cannot be traced")
        return scores, features


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=OTHERS)
def name(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(ENGINES[request.param].package)  # type: ignore[attr-defined]
    return str(request.param)


def expected(backbone: TinyBackbone, transforms: Transforms, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return backbone.eval()(transforms.normalize(images))[1].numpy()


def test_an_engine_computes_the_features_of_torch_for_any_number_of_images(
    name: str, backbone: TinyBackbone, transforms: Transforms, images: torch.Tensor
) -> None:
    with ENGINES[name](backbone, transforms.normalize, "32-true", CPU) as engine, torch.inference_mode():
        found = [engine(images), engine(images[:1]), engine(images.flip(0)[:3])]
    wanted = expected(backbone, transforms, images)
    for features, rows in zip(found, ([0, 1, 2, 3, 4], [0], [4, 3, 2])):
        np.testing.assert_allclose(features, wanted[rows], atol=1e-5)
        assert features.dtype == np.float32


def test_results_are_kept_when_further_images_come(
    name: str, backbone: TinyBackbone, transforms: Transforms, images: torch.Tensor
) -> None:
    engine = ENGINES[name](backbone, transforms.normalize, "32-true", CPU)
    first = engine(images)
    copy = first.copy()
    engine(255 - images)
    np.testing.assert_array_equal(first, copy)


def test_openvino_computes_in_bfloat16(backbone: TinyBackbone, transforms: Transforms, images: torch.Tensor) -> None:
    pytest.importorskip("openvino")
    engine = ENGINES["openvino"](backbone, transforms.normalize, "bf16-mixed", CPU)
    np.testing.assert_allclose(engine(images), expected(backbone, transforms, images), atol=0.05)


def test_openvino_is_imported_without_its_telemetry() -> None:
    pytest.importorskip("openvino")
    script = (
        "import sys; from lowshot.features.engines.openvino_engine import imported_openvino; imported_openvino();"
        "assert 'openvino_telemetry' not in sys.modules; import openvino.tools.ovc.telemetry_utils as used;"
        "assert used.tm.__name__ == 'openvino.tools.ovc.telemetry_stub', used.tm"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_engine_that_is_not_installed_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, backbone: TinyBackbone, transforms: Transforms
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, extra in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        with pytest.raises(InputError, match=rf"{name} needs the package.*lowshot\[{extra}\]"):
            ENGINES[name](backbone, transforms.normalize, "32-true", CPU)


def test_devices_and_precisions_of_an_engine(name: str, backbone: TinyBackbone, transforms: Transforms) -> None:
    with pytest.raises(InputError, match="computes on the CPU"):
        ENGINES[name](backbone, transforms.normalize, "32-true", torch.device("cuda"))
    with pytest.raises(InputError, match="no precision '16-mixed'"):
        ENGINES[name](backbone, transforms.normalize, "16-mixed", CPU)


def test_a_network_without_an_onnx_form_says_why(transforms: Transforms, images: torch.Tensor) -> None:
    with pytest.raises(ExportError, match=r"Unexportable cannot be exported.*cannot be traced"):
        onnx_model(Unexportable(), transforms.normalize, images)
