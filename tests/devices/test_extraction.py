"""Extraction of features on a GPU: the normalisation, the folded batch norms and the forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lowshot.data import BadImageError
from lowshot.features import FeatureStore, extract_features
from lowshot.features.engines import TorchEngine
from lowshot.representation.backbones import Backbone
from tests.devices.conftest import GPU
from tests.devices.problems import tiny_backbone
from tests.features.fakes import Pictures
from tests.representation.tiny import CLASSES, TinyImages, transforms


def backbone() -> Backbone:
    """A backbone whose batch norm does something."""
    network = tiny_backbone(CLASSES)
    network.trunk[1].running_mean.uniform_(-1, 1)
    network.trunk[1].running_var.uniform_(0.5, 2)
    return network


def extract(out: Path, precision: str, network: Backbone) -> Path:
    return extract_features(network, TinyImages(7), transforms(), out, batch_size=3, precision=precision, workers=0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_features_are_those_of_a_cpu(gpu: GPU, tmp_path: Path, precision: str) -> None:
    network = backbone()
    with gpu:
        found = extract(tmp_path / "gpu.hdf5", precision, network)
    gpu.check_work()
    assert next(network.parameters()).device.type == "cpu"  # the caller's network stays where it is
    expected = extract(tmp_path / "cpu.hdf5", precision, network)
    there, here = FeatureStore.open(found), FeatureStore.open(expected)
    assert there.attributes == here.attributes
    gpu.check_close(there.features[:], here.features[:], bfloat16=precision != "32-true")


def test_batch_norms_are_folded_on_the_gpu(gpu: GPU) -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    with gpu, TorchEngine(backbone(), transforms().normalize, "32-true", torch.device("cuda")) as forward:
        forward(images)
        kinds = {type(module) for module in forward.model.modules()}
    assert torch.nn.Identity in kinds
    assert torch.nn.BatchNorm2d not in kinds


def test_an_image_that_cannot_be_read_is_reported_as_on_a_cpu(gpu: GPU, tmp_path: Path) -> None:
    images = Pictures(4, fails_at=2)
    with gpu, pytest.raises(BadImageError, match=r"c2/2\.png"):
        extract_features(backbone(), images, transforms(), tmp_path / "gpu.hdf5", batch_size=3, workers=0)
