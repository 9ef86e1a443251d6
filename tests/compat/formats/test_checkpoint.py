"""Original checkpoints: the right networks from every kind of file, and a clear refusal of everything else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from lowshot.compat.formats.checkpoint import MODELS, Checkpoint, read_checkpoint, recognised, write_checkpoint
from lowshot.errors import InputError
from lowshot.representation import Backbone, build_backbone
from tests.compat.formats.old_files import CONTAINERS, save, state
from tests.reference import resnet

CLASSES = 4


@pytest.fixture(scope="module")
def resnet10():
    return state("ResNet10", CLASSES)


@pytest.fixture(scope="module")
def tar(tmp_path_factory, resnet10):
    return save(tmp_path_factory.mktemp("original") / "89.tar", {"epoch": 89, "state": resnet10})


def agree(backbone, original, model, size=64):
    """Scores and features of the backbone equal those that the reference computes from the original's weights."""
    weights = {name.removeprefix("module."): value for name, value in original.items()}
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for found, expected in zip(backbone(images), resnet.forward(model, weights, images), strict=True):
            scale = expected.abs().max()
            torch.testing.assert_close(found / scale, expected / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", MODELS)
def test_each_network_is_recognised_by_its_table_of_names(model):
    assert recognised(resnet.state_shapes(model, 1000)) == model
    assert set(MODELS) == set(resnet.NETWORKS)


@pytest.mark.parametrize("model", ["ResNet10", "ResNet18", "ResNet50"])
def test_a_forward_pass_equals_the_reference_on_the_files_weights(tmp_path, model):
    weights = state(model, CLASSES, seed=3)
    path = save(tmp_path / "7.tar", {"epoch": 7, "state": weights})
    read = read_checkpoint(path)
    assert (read.model, read.epoch, read.backbone.num_classes, read.backbone.training) == (model, 7, CLASSES, False)
    agree(read.backbone, weights, model)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_container_and_device_gives_the_same_weights(tmp_path, resnet10, container, device):
    path = save(tmp_path / "0.tar", {"epoch": 0, "state": resnet10}, container, device)
    if device == "cuda" and not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(path, weights_only=True)
    found = read_checkpoint(path, "ResNet10", CLASSES).state
    for name, value in resnet10.items():
        assert torch.equal(found[name.removeprefix("module.")], value)
        assert found[name.removeprefix("module.")].device.type == "cpu"


def test_a_classifier_bias_is_dropped_and_said(tmp_path, resnet10):
    weights = {**resnet10, "module.classifier.bias": torch.ones(CLASSES)}
    read = read_checkpoint(save(tmp_path / "0.tar", {"epoch": 0, "state": weights}))
    assert "classifier.bias" not in read.state
    assert ["classifier.bias" in note for note in read.notes] == [True]
    agree(read.backbone, resnet10, "ResNet10")


def test_the_bias_is_kept_for_the_generator(tmp_path, resnet10):
    weights = {**resnet10, "module.classifier.bias": torch.arange(4.0)}
    read = read_checkpoint(save(tmp_path / "0.tar", {"epoch": 0, "state": weights}))
    assert torch.equal(read.classifier_bias, torch.arange(4.0))
    assert read_checkpoint(save(tmp_path / "0.tar", {"epoch": 0, "state": resnet10})).classifier_bias is None
    for bias in (torch.ones(CLASSES + 1), torch.full((CLASSES,), torch.nan)):
        path = save(tmp_path / "0.tar", {"epoch": 0, "state": {**weights, "module.classifier.bias": bias}})
        with pytest.raises(InputError, match=r"classifier\.bias must be 4 finite numbers"):
            read_checkpoint(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", ["state", "checkpoint"])
def test_older_files_are_bare_pickles_or_weights_alone(tmp_path, resnet10, protocol, form):
    """A pickle that torch did not write, of protocol 2 or later, with numpy numbers; or the state by itself."""
    content = resnet10 if form == "state" else {"epoch": np.int64(7), "state": resnet10}
    (tmp_path / "7.tar").write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_checkpoint(tmp_path / "7.tar", "ResNet10", CLASSES)
    assert read.epoch == (None if form == "state" else 7)
    assert ["how many epochs" in note for note in read.notes] == [True] * (form == "state")
    assert all(torch.equal(read.state[name.removeprefix("module.")], value) for name, value in resnet10.items())


def test_names_without_module_and_numpy_numbers_are_read(tmp_path, resnet10):
    plain = {name.removeprefix("module."): value for name, value in resnet10.items()}
    read = read_checkpoint(save(tmp_path / "0.tar", {"epoch": np.int64(5), "state": plain}))
    assert isinstance(read, Checkpoint)
    assert read.epoch == 5


@pytest.mark.parametrize("container", CONTAINERS)
def test_weights_may_be_numpy_arrays(tmp_path, resnet10, container):
    arrays = {name: value.numpy() for name, value in resnet10.items()}
    read = read_checkpoint(save(tmp_path / "7.tar", {"epoch": 7, "state": arrays}, container), "ResNet10", CLASSES)
    assert all(torch.equal(read.state[name.removeprefix("module.")], value) for name, value in resnet10.items())
    arrays |= {"module.classifier.weight": arrays["module.classifier.weight"].astype(">f4")}
    for protocol in (2, 4):
        (tmp_path / "8.tar").write_bytes(pickle.dumps({"epoch": 8, "state": arrays}, protocol=protocol))
        assert torch.equal(
            read_checkpoint(tmp_path / "8.tar").state["trunk.0.weight"], resnet10["module.trunk.0.weight"]
        )


@pytest.mark.parametrize("epoch", [3, 3.0, torch.tensor(3), torch.tensor([3.0]), np.float64(3), np.array([3])])
def test_the_epoch_may_be_any_whole_number(tmp_path, resnet10, epoch):
    assert read_checkpoint(save(tmp_path / "3.tar", {"epoch": epoch, "state": resnet10})).epoch == 3


@pytest.mark.parametrize("protocol", [0, 1])
def test_the_first_protocols_of_pickle_are_refused_by_their_number(tmp_path, protocol):
    (tmp_path / "3.tar").write_bytes(
        pickle.dumps({"epoch": 3, "state": {"trunk.0.weight": torch.ones(2)}}, protocol=protocol)
    )
    with pytest.raises(InputError, match=rf"3\.tar was refused: its pickle is of protocol {protocol}, and those of"):
        read_checkpoint(tmp_path / "3.tar")


def test_what_is_written_is_what_the_original_wrote(tmp_path, tar, resnet10):
    read = read_checkpoint(tar)
    write_checkpoint(tmp_path / "89.tar", read.backbone, read.epoch)
    written = torch.load(tmp_path / "89.tar", weights_only=True)
    assert written["epoch"] == 89
    assert list(written["state"]) == list(resnet10)
    assert all(torch.equal(written["state"][name], value) for name, value in resnet10.items())
    assert not hasattr(written["state"], "_metadata")


def test_a_network_that_the_original_does_not_have_is_not_written(tmp_path):
    with pytest.raises(InputError, match="the original program has no network 'resnet10', stem=small"):
        write_checkpoint(tmp_path / "0.tar", build_backbone("resnet10", 2, stem="small"), 0)
    other = Backbone(torch.nn.Flatten(), 3, 2)
    other.config = {"name": "timm:vit", "num_classes": 2, "kwargs": {}}
    with pytest.raises(InputError, match="the original program has no network 'timm:vit'; it knows ResNet10"):
        write_checkpoint(tmp_path / "0.tar", other, 0)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model": "ResNet18"}, r"89\.tar holds a ResNet10, but ResNet18 was asked for: give --model ResNet10"),
        ({"model": "resnet12"}, "unknown model 'resnet12'. Did you mean .*'ResNet1"),
        ({"num_classes": 5}, "has a classifier of 4 classes, but 5 were asked for: .*--num_classes 4"),
        ({"num_classes": 3}, "has a classifier of 4 classes, but 3 were asked for"),
    ],
)
def test_another_network_than_asked_for_is_named(tar, asked, message):
    with pytest.raises(InputError, match=message):
        read_checkpoint(tar, **asked)


def changed(weights, change):
    weights = dict(weights)
    if change == "missing":
        del weights["module.trunk.5.BN1.running_var"]
    elif change == "unexpected":
        weights["module.trunk.5.C9.weight"] = torch.zeros(1)
    elif change == "width":
        weights["module.trunk.6.C1.weight"] = torch.zeros(128, 128, 3, 3)
    elif change == "no classifier":
        del weights["module.classifier.weight"]
    elif change == "diverged":
        weights["module.trunk.5.BN1.bias"] = torch.full((128,), torch.nan)
    elif change == "number":
        weights["module.trunk.1.bias"] = 3
    elif change == "blocks":
        weights = {name: value for name, value in weights.items() if not name.startswith("module.trunk.7.")}
    return weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"does not fit resnet10: .*Missing: trunk\.5\.BN1\.running_var"),
        ("unexpected", r"does not fit resnet10: .*Unexpected: trunk\.5\.C9\.weight"),
        ("width", r"trunk\.6\.C1\.weight is 128×128×3×3, not 256×128×3×3"),
        ("no classifier", r"Missing: classifier\.weight"),
        ("diverged", r"holds NaN or infinity in trunk\.5\.BN1\.bias"),
        ("number", "the state must map names to tensors"),
        ("blocks", "holds none of the original's networks"),
    ],
)
def test_weights_of_no_network_are_refused_with_the_names(tmp_path, resnet10, change, message):
    path = save(tmp_path / "0.tar", {"epoch": 0, "state": changed(resnet10, change)})
    with pytest.raises(InputError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a dictionary; a checkpoint of the original program has 'epoch' and 'state'"),
        ({"weights": {}}, "holds weights; a checkpoint"),
        ({"epoch": -1, "state": {}}, "'epoch' must be the number of an epoch"),
        ({"epoch": 1.5, "state": {}}, "'epoch' must be the number of an epoch"),
        ({"epoch": True, "state": {}}, "'epoch' must be the number of an epoch"),
        ({"epoch": float("inf"), "state": {}}, "'epoch' must be the number of an epoch"),
        ({"epoch": torch.tensor([1, 2]), "state": {}}, "'epoch' must be the number of an epoch"),
        ({"epoch": 1, "state": [1]}, "'state' must map names to tensors"),
        ({"epoch": 1, "state": {1: 2}}, "'state' must map names to tensors"),
        ({"epoch": 1, "state": {}}, "holds none of the original's networks"),
    ],
)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_torch_file_of_another_kind_is_refused(tmp_path, content, message, container):
    with pytest.raises(InputError, match=message):
        read_checkpoint(save(tmp_path / "0.tar", content, container))
