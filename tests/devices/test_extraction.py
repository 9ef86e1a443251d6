"""Extraction of features on a GPU: the normalisation, the folded batch norms and the forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lowshot.features import FeatureStore, extract_features
from lowshot.representation import build_backbone
from lowshot.representation.backbones import Backbone
from tests.devices.conftest import GPU
from tests.representation.tiny import CLASSES, TinyImages, transforms


def backbone() -> Backbone:
    """A backbone whose batch norm does something."""
    torch.manual_seed(0)
    network = build_backbone("devices_tiny", CLASSES)
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
