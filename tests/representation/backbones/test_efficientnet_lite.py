"""EfficientNet-Lite0 against the network of the package that its weights were converted for."""

from __future__ import annotations

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_sample_images

from lowshot.representation import build_backbone, load_pretrained
from lowshot.representation.backbones.efficientnet_lite import timm_names, weights_file
from lowshot.torch_files import load_torch


def photos(size: int = 224) -> torch.Tensor:
    """Eight crops of the two photographs that come with scikit-learn, (8, 3, size, size) uint8."""
    crops = [
        picture[top : top + size, left : left + size]
        for picture in load_sample_images().images
        for top, left in ((0, 0), (0, 400), (200, 0), (200, 400))
    ]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def test_features_and_scores_are_those_of_the_package_on_photographs() -> None:
    found = load_pretrained("efficientnet_lite0")
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights_file())).eval()
    images = found.preprocessing.transforms().normalize(photos())
    assert images.min() < -0.9  # mean 0.5 and deviation 0.5
    assert images.max() > 0.9
    with torch.no_grad():
        features = found.backbone(images)[1]
        torch.testing.assert_close(features, theirs.extract_features(images).mean((2, 3)), atol=1e-4, rtol=1e-4)
        scores = theirs(images).numpy()
    assert found.head is not None
    np.testing.assert_allclose(features.numpy() @ found.head.weight.T + found.head.bias, scores, atol=1e-4)
    assert len(set(scores.argmax(axis=1))) > 1


def test_every_weight_of_the_package_has_a_name_of_its_own_in_timm() -> None:
    state = load_torch(weights_file())
    renamed = timm_names(state)
    assert len(renamed) == len(state)
    assert not any(name.startswith("_") for name in renamed)
    assert timm_names(renamed) == renamed


def test_without_pretrained_its_weights_are_random() -> None:
    torch.manual_seed(0)
    first, second = build_backbone("efficientnet_lite0", 4), build_backbone("efficientnet_lite0", 4)
    assert not torch.equal(first.trunk.conv_stem.weight, second.trunk.conv_stem.weight)
    assert first.head is first.source is None
    assert first.config == {"name": "efficientnet_lite0", "num_classes": 4, "kwargs": {}}
