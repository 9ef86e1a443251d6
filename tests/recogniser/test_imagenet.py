"""A recogniser that knows ImageNet's classes on its first day, from the weights of the classifier alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lowshot.errors import InputError
from lowshot.recogniser import Recogniser
from lowshot.recogniser.imagenet import imagenet_start, mean_feature
from tests.recogniser.conftest import photo


def test_the_thousand_classes_are_answers_and_a_taught_one_joins(tmp_path: Path) -> None:
    opened = Recogniser.create(tmp_path / "things", start=imagenet_start())
    assert len(opened.classes) == 1000
    assert len(set(opened.classes)) == 1000  # ImageNet has two cranes and two maillots
    weight = opened.network.embedder.backbone.head.weight
    directions = weight - weight.mean(0)
    centre = opened.model.classifier._centre_
    features = 3 * directions[[3, 400, 998]] + centre
    found = opened.model.probabilities(features.astype(np.float32))
    assert found.argmax(1).tolist() == [3, 400, 998]
    opened.teach({"swatch": [photo("red", seed, 200) for seed in range(3)]})
    assert opened.classes[-1] == "swatch"
    assert opened.predict([photo("red", 9, 200)])[0].class_ == "swatch"
    assert Recogniser.load(opened.folder).predict([photo("red", 9, 200)])[0].class_ == "swatch"


def test_the_mean_feature_follows_from_the_last_normalisation() -> None:
    norm = nn.BatchNorm2d(5)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(5) + 0.5)
        norm.bias.copy_(torch.randn(5))
    inputs = torch.randn(64, 5, 24, 24)
    trunk = nn.Sequential(norm, nn.ReLU6()).train()
    expected = trunk(inputs).mean((0, 2, 3))
    assert np.allclose(mean_feature(trunk, 5), expected.detach(), atol=0.02)
    layer = nn.LayerNorm(5)
    with torch.no_grad():
        layer.bias.copy_(torch.randn(5))
    mean = layer(torch.randn(100_000, 5)).mean(0).detach()
    assert np.allclose(mean_feature(nn.Sequential(nn.Linear(3, 5), layer), 5), mean, atol=0.02)
    assert mean_feature(nn.Sequential(nn.Linear(3, 5)), 5) is None
    assert mean_feature(trunk, 6) is None


def test_a_network_whose_mean_is_unknown_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowshot.recogniser.imagenet.mean_feature", lambda trunk, dim: None)
    with pytest.raises(InputError, match="does not follow from its weights"):
        imagenet_start()
