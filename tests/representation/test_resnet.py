from __future__ import annotations

import pytest
import torch
from torch import nn

from lowshot.errors import InputError
from lowshot.registry import BACKBONES
from lowshot.representation import build_backbone
from lowshot.representation.backbones.conv import Conv3x3
from tests.reference import resnet as reference


def randomised(model: nn.Module) -> nn.Module:
    """Running statistics and scales as a trained network has them, so that no batch norm is the identity."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.1, generator=generator)
    return model.eval()


@pytest.mark.parametrize("name", reference.NETWORKS)
def test_names_shapes_and_number_of_parameters_are_the_originals(name):
    with torch.device("meta"):
        model = build_backbone(name, 1000)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == reference.state_shapes(name, 1000)
    assert sum(p.numel() for p in model.parameters()) == reference.PARAMETERS_AT_1000_CLASSES[name]
    assert model.feature_dim == reference.NETWORKS[name][2][-1]


@pytest.mark.parametrize(("name", "size"), [("ResNet10", 64), ("ResNet18", 97), ("ResNet50", 64), ("ResNet50", 97)])
def test_forward_equals_the_reference(name, size):
    model = randomised(build_backbone(name, 7))
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        scores, features = model(images)
        expected_scores, expected_features = reference.forward(name, model.state_dict(), images)
    scale = expected_features.abs().max()
    torch.testing.assert_close(features / scale, expected_features / scale, atol=1e-5, rtol=1e-5)
    scale = expected_scores.abs().max()
    torch.testing.assert_close(scores / scale, expected_scores / scale, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_small_stem_equals_the_reference_and_keeps_the_names(stride):
    model = randomised(build_backbone("resnet10", 5, stem="small", stem_stride=stride))
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == reference.state_shapes("ResNet10", 5, stem_kernel=3)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        scores, features = model(images)
        expected = reference.forward("ResNet10", model.state_dict(), images, small_stem_stride=stride)
    torch.testing.assert_close(features, expected[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scores, expected[0], atol=1e-5, rtol=1e-5)


def test_convolutions_start_with_the_spread_of_their_outputs():
    torch.manual_seed(0)
    model = build_backbone("resnet50", 3)
    for module in model.trunk.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000:
            k, width = module.kernel_size[0], module.out_channels
            expected = (2 / (k * k * width)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all())
            assert bool((module.bias == 0).all())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_of_a_tiny_map_equals_torchs(size, stride, bias):
    torch.manual_seed(size)
    conv = Conv3x3(6, 8, stride, bias).double()
    plain = nn.Conv2d(6, 8, 3, stride, 1, bias=bias).double()
    plain.load_state_dict(conv.state_dict())
    inputs = [torch.randn(4, 6, size, size + 1, dtype=torch.double).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    out, expected = conv(inputs[0]), plain(inputs[1])
    torch.testing.assert_close(out, expected)
    for value in (out, expected):
        value.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(conv.weight.grad, plain.weight.grad)


def test_under_autocast_features_and_scores_stay_float32():
    model = build_backbone("resnet10", 5, stem="small").to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 32, 32)
    _, exact = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        scores, features = model(images)
    assert scores.dtype == features.dtype == torch.float32
    torch.testing.assert_close(scores, features @ model.classifier.weight.T)
    assert (features - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "tiny"}, "'stem': input should be 'imagenet' or 'small', got 'tiny'"),
        ({"stem": "small", "stem_stride": 3}, "stem_stride=3 is not one of its choices. Known: 1, 2"),
        ({"stem_stride": 1}, "stem_stride belongs to stem 'small'"),
        ({"stam": "small"}, "has no parameter 'stam'. Did you mean 'stem'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        build_backbone("resnet10", 5, **options)


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(InputError, match=r"unknown backbone 'resnet1O'. Did you mean .*'resnet10'"):
        build_backbone("resnet1O", 5)


def test_the_config_builds_the_same_architecture_again():
    with torch.device("meta"):
        model = build_backbone("ResNet10", 5, stem="small")
        assert model.config == {"name": "resnet10", "num_classes": 5, "kwargs": {"stem": "small"}}
        again = build_backbone(model.config["name"], model.config["num_classes"], **model.config["kwargs"])
    shapes = [{key: value.shape for key, value in m.state_dict().items()} for m in (model, again)]
    assert shapes[0] == shapes[1]


def test_every_backbone_has_a_description():
    assert {"resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "timm", "torchvision"} <= set(
        BACKBONES.names()
    )
    assert all(len(entry.description) > 20 for entry in BACKBONES)
