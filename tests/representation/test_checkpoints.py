from __future__ import annotations

import pytest
import torch

from lowshot.errors import InputError
from lowshot.representation import build_backbone, load_backbone, load_state
from lowshot.representation.checkpoints import latest_checkpoint
from lowshot.torch_files import save_torch
from tests.representation.tiny import train, weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run of two epochs, with both checkpoints."""
    return train(tmp_path_factory.mktemp("run")).parents[1]


@pytest.fixture
def copy(run, tmp_path):
    """Its checkpoints, to be damaged."""
    (tmp_path / "checkpoints").mkdir()
    for path in (run / "checkpoints").iterdir():
        (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def state(run):
    return torch.load(run / "checkpoints" / "epoch_002.ckpt", weights_only=True)["state"]


def small(**options):
    return build_backbone("resnet10", 4, **{"stem": "small", **options})


def test_the_newest_checkpoint_is_found_by_its_name(copy):
    (copy / "checkpoints" / "epoch_best.ckpt").write_text("no checkpoint")
    path, checkpoint = latest_checkpoint(copy)
    assert path.name == "epoch_002.ckpt"
    assert checkpoint["epoch"] == 2
    assert latest_checkpoint(copy / "elsewhere") is None


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_checkpoint_costs_an_epoch_and_a_warning(copy, run, damage, capsys):
    newest = copy / "checkpoints" / "epoch_002.ckpt"
    content = newest.read_bytes()
    newest.write_bytes({"truncated": content[:5000], "garbage": b"\x80\x02garbage" * 9, "empty": b""}[damage])
    path, checkpoint = latest_checkpoint(copy)
    assert path.name == "epoch_001.ckpt"
    assert checkpoint["epoch"] == 1
    assert "epoch_002.ckpt" in capsys.readouterr().err


def test_a_file_of_another_kind_in_its_place_is_an_error_and_stays(copy):
    newest = copy / "checkpoints" / "epoch_002.ckpt"
    save_torch(newest, {"epoch": 2})
    with pytest.raises(InputError, match=r"epoch_002\.ckpt is not a checkpoint that this version could continue"):
        train(copy)
    assert newest.is_file()


def test_training_continues_from_the_checkpoint_before_a_damaged_one(copy, run):
    newest = copy / "checkpoints" / "epoch_002.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed, uninterrupted = weights(train(copy)), weights(run / "checkpoints" / "epoch_002.ckpt")
    assert all(torch.equal(resumed[key], uninterrupted[key]) for key in uninterrupted)


def test_training_starts_anew_when_no_checkpoint_can_be_read(copy, run):
    for path in (copy / "checkpoints").iterdir():
        path.write_bytes(b"")
    (copy / "checkpoints" / ".epoch_001.ckpt.abc.part").write_bytes(b"cut off")
    resumed, uninterrupted = weights(train(copy)), weights(run / "checkpoints" / "epoch_002.ckpt")
    assert all(torch.equal(resumed[key], uninterrupted[key]) for key in uninterrupted)
    assert sorted(p.name for p in (copy / "checkpoints").iterdir()) == ["epoch_001.ckpt", "epoch_002.ckpt"]


def test_a_checkpoint_says_what_it_is_from(run):
    checkpoint = torch.load(run / "checkpoints" / "epoch_002.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2
    assert checkpoint["backbone"] == {"name": "resnet10", "num_classes": 4, "kwargs": {"stem": "small"}}
    assert checkpoint["settings"]["loss"] == "sgm"
    assert checkpoint["schedule"] == {"epoch": 2, "step": 4}
    assert checkpoint["random"] == {"seed": 3, "epoch": 2}
    assert checkpoint["class_names"] == [f"class {c}" for c in range(4)]
    assert len(checkpoint["fingerprint"]) == 16


def test_weights_of_the_original_program_load(state):
    old = {f"module.{key}": value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    old["module.classifier.bias"] = torch.zeros(4)
    model = small()
    load_state(model, old, "old.tar")
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key])


def test_weights_of_another_architecture_are_refused_with_the_names(state):
    with pytest.raises(InputError, match=r"a\.ckpt does not fit resnet18: .*Missing: trunk\.8\.C1\.weight"):
        load_state(build_backbone("resnet18", 4, stem="small"), state, "a.ckpt")
    with pytest.raises(InputError, match=r"trunk\.0\.weight is 64×3×3×3, not 64×3×7×7"):
        load_state(small(stem="imagenet"), state, "a.ckpt")
    with pytest.raises(InputError, match=r"Unexpected: extra\.weight\."):
        load_state(small(), {**state, "extra.weight": torch.zeros(1)}, "a.ckpt")
    with pytest.raises(InputError, match="must map names to tensors"):
        load_state(small(), {"a": 1}, "a.ckpt")


@pytest.mark.parametrize("change", [lambda weight: weight.to_sparse(), lambda weight: weight.to(torch.complex64)])
def test_weights_that_are_sparse_or_complex_are_refused_by_name(state, change):
    changed = {**state, "classifier.weight": change(state["classifier.weight"])}
    with pytest.raises(InputError, match=r"dense and real\. Not so: classifier\.weight\."):
        load_state(small(), changed, "a.ckpt")


def test_a_refused_state_leaves_the_model_as_it_was(state):
    model = small()
    before = model.trunk[0].weight.clone()
    with pytest.raises(InputError):
        load_state(model, {**state, "extra": torch.zeros(1)}, "a.ckpt")
    assert torch.equal(model.trunk[0].weight, before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "state": {}}, "holds epoch, state; lowshot's own have 'backbone'"),
        ([1, 2], "is not a dictionary"),
        ({"state": {}, "backbone": {"name": "resnet10"}}, "must have name, num_classes and kwargs"),
        (
            {"state": {}, "backbone": {"name": "resnet11", "num_classes": 2, "kwargs": {}}},
            "unknown backbone 'resnet11'",
        ),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content, message):
    save_torch(tmp_path / "a.ckpt", content)
    with pytest.raises(InputError, match=message):
        load_backbone(tmp_path / "a.ckpt")


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.ckpt does not exist"):
        load_backbone(tmp_path / "nothing.ckpt")
