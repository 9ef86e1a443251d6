from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.errors import InputError
from lowshot.representation import build_backbone, load_pretrained, trunk_fingerprint


def test_one_network_built_twice_has_one_fingerprint_though_its_classifiers_differ() -> None:
    first, second = load_pretrained("efficientnet_lite0"), load_pretrained("EfficientNet_Lite0")
    assert not torch.equal(first.backbone.classifier.weight, second.backbone.classifier.weight)
    assert trunk_fingerprint(first.backbone) == trunk_fingerprint(second.backbone)


def test_the_fingerprint_follows_weights_and_architecture() -> None:
    torch.manual_seed(0)
    one = build_backbone("resnet10", 5, stem="small")
    more_classes = build_backbone("resnet10", 9, stem="small")
    more_classes.trunk.load_state_dict(one.trunk.state_dict())
    other_stride = build_backbone("resnet10", 5, stem="small", stem_stride=1)
    other_stride.trunk.load_state_dict(one.trunk.state_dict())
    assert trunk_fingerprint(more_classes) == trunk_fingerprint(one) != trunk_fingerprint(other_stride)
    with torch.no_grad():
        next(one.trunk.parameters())[0, 0, 0, 0] += 1
    assert trunk_fingerprint(more_classes) != trunk_fingerprint(one)


def test_the_head_gives_the_scores_of_the_published_classifier() -> None:
    found = load_pretrained("efficientnet_lite0")
    assert found.head is not None
    assert found.head.weight.shape == (1000, found.backbone.feature_dim)
    assert found.head.class_names is not None
    assert found.head.class_names[388] == "giant panda"
    assert found.head.weight.dtype == found.head.bias.dtype == np.float32


def test_a_backbone_without_published_weights_names_those_that_have_some() -> None:
    with pytest.raises(InputError, match=r"'resnet10' has no published weights.*efficientnet_lite0"):
        load_pretrained("resnet10")
