from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from lowshot.errors import InputError
from lowshot.representation import build_backbone, load_pretrained, load_state
from tests.hub import fill_cache


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the hub, which cannot be reached."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


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


def test_the_config_does_not_ask_for_weights_again(hub_cache):
    weights = fill_cache(hub_cache, "test_resnet.r160_in1k")
    model = build_backbone("timm:test_resnet", 3, pretrained=True, drop_rate=0.5)
    torch.testing.assert_close(model.trunk.conv1[0].weight, weights["conv1.0.weight"])
    assert model.config == {"name": "timm:test_resnet", "num_classes": 3, "kwargs": {"drop_rate": 0.5}}


@pytest.mark.parametrize(
    "name",
    [
        *("test_resnet.r160_in1k", "test_vit.r160_in1k", "test_convnext.r160_in1k", "test_efficientnet.r160_in1k"),
        *("mobilenetv3_small_050.lamb_in1k", "inception_v3.tf_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"),
        "vit_small_patch14_reg4_dinov2.lvd142m",
    ],
)
def test_pretrained_features_and_scores_are_those_of_timms_whole_model(hub_cache, name):
    timm = pytest.importorskip("timm")
    config = timm.get_pretrained_cfg(name)
    whole = timm.create_model(name, pretrained=False).eval()
    weights = fill_cache(hub_cache, name)
    whole.load_state_dict(weights)
    if config.label_offset:  # published with a class for the background, in the first place
        padded = {key: torch.cat([value[:1], value]) for key, value in weights.items() if key.startswith("fc.")}
        (file,) = hub_cache.rglob("model.safetensors")
        save_file({**weights, **padded}, file)
    found = load_pretrained(f"timm:{name}")
    images = torch.randn(2, 3, *found.preprocessing.size)
    with torch.no_grad():
        features = found.backbone(images)[1]
        maps = whole.forward_head(whole.forward_features(images), pre_logits=True)
        torch.testing.assert_close(features, maps.mean((2, 3)) if maps.ndim == 4 else maps, atol=1e-5, rtol=1e-5)
        scores = whole(images).numpy()
    if config.num_classes == 0 or "distilled" in name:  # no classifier, or two
        assert found.head is None
    else:
        ours = features.numpy() @ found.head.weight.T + found.head.bias
        np.testing.assert_allclose(ours, scores, atol=1e-4 * max(1, abs(scores).max()))
        assert found.head.class_names[0] == "tench"


def test_pretrained_torchvision_models_have_the_head_and_preprocessing_of_their_weights(tmp_path, monkeypatch):
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    for name, weights in (
        ("resnet18", "IMAGENET1K_V1"),
        ("mnasnet0_5", "IMAGENET1K_V1"),
        ("densenet121", "IMAGENET1K_V1"),
        ("googlenet", "IMAGENET1K_V1"),
    ):
        own = torchvision.models.get_model_weights(name)[weights]
        options = {"transform_input": True, "aux_logits": True, "init_weights": False} if name == "googlenet" else {}
        whole = torchvision.models.get_model(name, weights=None, **options).eval()
        state = whole.state_dict()
        if name == "densenet121":  # as it was published
            for key in list(state):
                old = re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key)
                state[old] = state.pop(key)
        torch.save(state, folder / own.url.rpartition("/")[2])
        found = load_pretrained(f"torchvision:{name}", weights=weights)
        assert found.source == "hub"
        assert found.preprocessing.resize == (own.transforms().resize_size[0],) * 2
        images = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            scores = found.backbone(images)[1].numpy() @ found.head.weight.T + found.head.bias
            np.testing.assert_allclose(scores, whole(images).numpy(), atol=1e-4, err_msg=name)
        assert found.head.class_names == own.meta["categories"]
        again = build_backbone(
            **{"name": found.backbone.config["name"], "num_classes": 1}, **found.backbone.config["kwargs"]
        )
        load_state(again, found.backbone.state_dict(), "again")
        with torch.no_grad():
            torch.testing.assert_close(again.eval()(images)[1], found.backbone(images)[1])


def test_a_model_that_timm_has_no_weights_of_names_some_that_have(hub_cache):
    with pytest.raises(
        InputError, match=r"published no weights of 'efficientnet_b6'.*efficientnet_lite0.*Did you mean"
    ):
        load_pretrained("timm:efficientnet_b6")
    with pytest.raises(InputError, match=r"'resnet18' has the weights .*resnet18\.a1_in1k"):
        load_pretrained("timm:resnet18.a9")
    with pytest.raises(InputError, match="Repositories of the hub that timm does not list are not read"):
        load_pretrained("timm:hf-hub:somebody/something")


def test_pretrained_models_take_three_channels_and_say_so(hub_cache):
    fill_cache(hub_cache, "test_resnet.r160_in1k")
    with pytest.raises(InputError, match="images have three channels; leave in_chans out"):
        load_pretrained("timm:test_resnet", in_chans=1)


@pytest.mark.parametrize("options", [{"dynamic_img_size": True}, {"img_size": 192}])
def test_a_fixed_size_can_be_changed_by_timms_own_options(hub_cache, options):
    fill_cache(hub_cache, "test_vit.r160_in1k")
    found = load_pretrained("timm:test_vit", **options)
    assert found.preprocessing.size == ((options.get("img_size", 160),) * 2)
    with torch.no_grad():
        assert found.backbone(torch.randn(1, 3, 192, 192))[1].shape == (1, found.backbone.feature_dim)
