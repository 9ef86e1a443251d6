from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from lowshot.errors import InputError
from lowshot.representation import build_backbone, load_state


@pytest.mark.parametrize(
    ("name", "dim"), [("timm:resnet10t", 512), ("timm:mobilenetv3_small_050", 1024), ("torchvision:resnet18", 512)]
)
def test_a_foreign_model_gives_scores_of_its_pooled_features(name, dim):
    torch.manual_seed(0)
    model = build_backbone(name, 6).eval()
    with torch.no_grad():
        scores, features = model(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, dim) == (2, model.feature_dim)
    assert model.classifier.weight.shape == (6, dim)
    assert model.classifier.bias is None
    torch.testing.assert_close(scores, features @ model.classifier.weight.T)


def test_torchvisions_features_are_what_its_own_classifier_reads():
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    ours = build_backbone("torchvision:mobilenet_v3_small", 6).eval()
    theirs = torchvision.models.mobilenet_v3_small(weights=None).eval()
    seen: list[torch.Tensor] = []
    theirs.classifier[-1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    shared = {key.removeprefix("trunk."): value for key, value in ours.state_dict().items() if key.startswith("trunk.")}
    theirs.load_state_dict(shared, strict=False)
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        theirs(images)
        torch.testing.assert_close(ours(images)[1], seen[0])


def test_our_resnet18_is_torchvisions_under_other_names():
    torch.manual_seed(0)
    theirs = build_backbone("torchvision:resnet18", 6).eval()
    ours = build_backbone("resnet18", 6).eval()
    names = {"conv1": "C1", "bn1": "BN1", "conv2": "C2", "bn2": "BN2", "downsample.0": "shortcut"}
    names["downsample.1"] = "BNshortcut"

    def renamed(key: str) -> str:
        parts = key.removeprefix("trunk.").split(".")
        if parts[0] in ("conv1", "bn1"):
            return f"trunk.{0 if parts[0] == 'conv1' else 1}.{parts[1]}"
        stage, block, inner = int(parts[0][-1]), int(parts[1]), ".".join(parts[2:-1])
        return f"trunk.{4 + 2 * (stage - 1) + block}.{names[inner]}.{parts[-1]}"

    state = {k if k.startswith("classifier") else renamed(k): v for k, v in theirs.state_dict().items()}
    load_state(ours, state, "torchvision")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)


def test_side_classifiers_are_left_out():
    model = build_backbone("torchvision:googlenet", 4)
    assert not any(key.startswith("trunk.aux") for key in model.state_dict())
    scores, _ = model.train()(torch.randn(2, 3, 64, 64))
    assert scores.shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("timm:resnet10z", {}, "has no model 'resnet10z'. Did you mean 'resnet10t'"),
        ("torchvision:resnet19", {}, "no classification model 'resnet19'. Did you mean 'resnet1"),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V9"}, "Did you mean 'IMAGENET1K_V1'"),
        ("torchvision:squeezenet1_0", {}, "does not end in a linear layer"),
        ("timm:resnet10t", {"no_such_option": 1}, "cannot be built with options"),
        ("torchvision:resnet18", {"no_such_option": 1}, "cannot be built with options"),
        ("timm", {}, "timm:NAME"),
        ("resnet10:a", {}, "takes no argument"),
    ],
)
def test_unknown_names_and_options_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        build_backbone(name, 3, **options)


def test_without_timm_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"pip install 'lowshot\[timm\]'"):
        build_backbone("timm:resnet18", 3)


def test_the_config_does_not_ask_for_weights_again(monkeypatch):
    import timm

    made: list[bool] = []

    def create_model(name: str, pretrained: bool, num_classes: int, **options: float) -> nn.Module:
        made.append(pretrained)
        model = nn.Linear(2, 2)
        model.num_features = 2
        return model

    monkeypatch.setattr(timm, "create_model", create_model)
    model = build_backbone("timm:resnet18", 3, pretrained=True, drop_rate=0.5)
    assert made[-1] is True
    assert model.config == {"name": "timm:resnet18", "num_classes": 3, "kwargs": {"drop_rate": 0.5}}
