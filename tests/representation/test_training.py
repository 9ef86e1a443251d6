from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from lowshot.data import BadImageError, ImageDataset
from lowshot.errors import InputError, LowshotError
from lowshot.representation import load_backbone, loop, training
from tests.representation.tiny import CLASSES, TinyImages, settings, train, transforms, weights

# 10 images in batches of 4: an epoch loads 8 images to train on and 10 to validate on.
LOADS_PER_EPOCH = 18


class Interrupted(Exception):
    """Ends a run, as something outside might."""


class InterruptedImages(TinyImages):
    """The same images, until one too many has been loaded."""

    def __init__(self, loads: int) -> None:
        super().__init__()
        self.loads_left = loads

    def _open(self, row):
        self.loads_left -= 1
        if self.loads_left < 0:
            raise Interrupted
        return super()._open(row)


def same(a, b) -> bool:
    """Bit for bit."""
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run of two epochs."""
    return train(tmp_path_factory.mktemp("finished"))


def test_a_run_leaves_a_backbone_ready_for_evaluation(finished):
    model = load_backbone(finished)
    assert not model.training
    assert model.num_classes == CLASSES
    pixels = torch.stack([transforms().eval(TinyImages().load(row)) for row in range(3)])
    with torch.no_grad():
        scores, features = model(transforms().normalize(pixels))
    assert scores.shape == (3, CLASSES)
    assert features.shape == (3, 512)
    assert bool(torch.isfinite(scores).all())


def test_the_log_has_a_record_for_each_epoch(finished):
    records = [json.loads(line) for line in (finished.parents[1] / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    for record in records:
        assert record["loss"] == pytest.approx(record["cross_entropy"] + 0.01 * record["auxiliary"], rel=1e-5)
        assert 0 <= record["train_top1"] <= 1
        assert 0 <= record["val_top1"] <= record["val_top5"] == 1
        assert record["seconds"] > 0
        assert record["images_per_second"] > 0
        assert record["lr"] == 0.01


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, tmp_path):
    assert same(train(tmp_path / "again"), finished)
    assert not same(train(tmp_path / "other", seed=4), finished)


def test_a_longer_run_on_the_step_schedule_continues_the_shorter_one(finished, tmp_path):
    train(tmp_path, epochs=1)
    assert same(train(tmp_path, epochs=2), finished)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16-mixed", "schedule": "cosine", "loss": "batch_sgm"},
        {"backbone": "timm:resnet10t", "backbone_options": {"drop_rate": 0.5}, "loss": None, "loss_weight": 0},
        {"channels_last": False, "warmup_epochs": 1, "dampening": 0.5, "save_every": 2, "epochs": 3},
    ],
    ids=["bf16 cosine", "dropout", "contiguous"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(changes, tmp_path):
    uninterrupted = train(tmp_path / "uninterrupted", **changes)
    done = changes.get("save_every", 1)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", InterruptedImages(done * LOADS_PER_EPOCH + 5), **changes)
    assert [p.name for p in (tmp_path / "cut" / "checkpoints").iterdir()] == [f"epoch_{done:03d}.ckpt"]
    assert same(train(tmp_path / "cut", **changes), uninterrupted)


def test_a_run_killed_in_the_middle_of_an_epoch_is_continued_exactly(finished, tmp_path):
    code = (
        "import os, sys, torch; from pathlib import Path\n"
        "from tests.representation.test_training import InterruptedImages\n"
        "from tests.representation.tiny import train\n"
        "class Killed(InterruptedImages):\n"
        "    def _open(self, row):\n"
        "        if not self.loads_left: os.kill(os.getpid(), 9)\n"
        "        return super()._open(row)\n"
        f"torch.set_num_threads(1); train(Path(sys.argv[1]), Killed({LOADS_PER_EPOCH + 6}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert run.returncode == -signal.SIGKILL
    assert same(train(tmp_path), finished)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]


def test_records_of_epochs_after_the_checkpoint_are_dropped(tmp_path, finished):
    with pytest.raises(Interrupted):
        train(tmp_path, InterruptedImages(LOADS_PER_EPOCH))
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"epoch": 2, "loss": 0}\n{"epo')
    train(tmp_path)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[1]["loss"] > 0


def test_a_finished_run_is_not_done_again(finished, monkeypatch):
    monkeypatch.setattr(training, "launch", lambda *args: pytest.fail("trained again"))
    assert train(finished.parents[1]) == finished
    assert train(finished.parents[1], keep=7, devices=2, validate_every=0) == finished


def test_resuming_takes_the_weights_from_the_checkpoint_alone(tmp_path, monkeypatch):
    """A pretrained backbone is not fetched again."""
    train(tmp_path, epochs=1)
    monkeypatch.setattr(loop, "build_backbone", lambda *args, **kwargs: pytest.fail("built from the settings"))
    train(tmp_path, epochs=2)


def test_a_mistake_leaves_the_earlier_run_alone(finished):
    with pytest.raises(InputError, match="unknown loss 'sgn'"):
        train(finished.parents[1], resume=False, loss="sgn")
    assert finished.is_file()


def test_starting_anew_forgets_the_earlier_run(finished, tmp_path):
    train(tmp_path, seed=9, epochs=3, keep=None)
    path = train(tmp_path, resume=False)
    assert same(path, finished)
    assert sorted(p.name for p in path.parent.iterdir()) == ["epoch_001.ckpt", "epoch_002.ckpt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.02}, "lr was 0.01, is now 0.02"),
        ({"loss_weight": 0.5, "epochs": 5}, "loss_weight was 0.01, is now 0.5"),
        ({"backbone": "resnet18"}, "backbone was 'resnet10', is now 'resnet18'"),
        ({"seed": 8}, "seed was 3, is now 8"),
        ({"images": TinyImages(noise_seed=8)}, "training images was"),
        ({"schedule": "cosine"}, "schedule was 'step', is now 'cosine'"),
        ({"epochs": 1}, "trained for 2 epochs already, more than the 1"),
    ],
)
def test_a_run_of_other_settings_is_not_continued(finished, changes, message):
    with pytest.raises(InputError, match=message):
        train(finished.parents[1], **changes)


def test_the_number_of_epochs_is_part_of_a_cosine_run():
    assert settings(schedule="cosine").fingerprinted() != settings(schedule="cosine", epochs=3).fingerprinted()
    assert settings().fingerprinted() == settings(epochs=3).fingerprinted()


def test_a_diverging_loss_says_when_and_what_to_do(tmp_path):
    with pytest.raises(LowshotError, match=r"epoch 1, step 2.*train\.lr") as error:
        train(tmp_path, lr=1e30, epochs=3)
    assert not isinstance(error.value, InputError)
    assert not list(tmp_path.glob("checkpoints/*"))


def test_only_the_newest_checkpoints_stay(tmp_path):
    path = train(tmp_path, epochs=5, save_every=2, keep=2, validate_every=0)
    assert sorted(p.name for p in path.parent.iterdir()) == ["epoch_004.ckpt", "epoch_005.ckpt"]


def test_validation_takes_place_when_it_is_due_and_at_the_end(tmp_path):
    train(tmp_path, epochs=3, validate_every=2)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["val_top1"] is not None for record in records] == [False, True, True]


def test_the_global_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(tmp_path, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_tensorboard_events_are_written_on_request(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, epochs=1, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss", "cross_entropy", "auxiliary", "val_top1", "lr"} <= set(events.Tags()["scalars"])


def test_without_tensorboard_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'lowshot\[tensorboard\]'"):
        train(tmp_path, tensorboard=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": TinyImages().of_classes([CLASSES - 1])}, "no images to train or validate on"),
        ({"batch_size": 1}, "batch norm needs at least 2"),
        ({"images": TinyImages(1)}, "1 training images in batches of 4"),
        ({"loss": "sgn"}, "unknown loss 'sgn'. Did you mean 'sgm'"),
    ],
)
def test_unusable_data_and_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(tmp_path, **changes)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_labels_beyond_the_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match="label is 2, but there are 2 classes"):
        training.train_representation(settings(), TinyImages(), None, tmp_path, transforms(), 2, seed=0)


def test_a_bad_image_ends_the_run_with_its_name(tmp_path):
    class Damaged(TinyImages):
        def load(self, row):
            raise BadImageError(f"image {self.paths[row]} is damaged")

    with pytest.raises(InputError, match=r"image \d\.png is damaged"):
        train(tmp_path, Damaged())


def test_only_base_classes_need_images(tmp_path):
    base: ImageDataset = TinyImages().of_classes([0, 2])
    path = training.train_representation(settings(epochs=1), base, None, tmp_path, transforms())
    model = load_backbone(path)
    assert model.classifier.weight.shape == (CLASSES, 512)


def test_weights_and_an_epoch_to_start_at_continue_a_run_that_has_no_momentum(tmp_path):
    """Without momentum the weights are all there is to a run, so a run that starts from them continues the other."""
    uninterrupted = train(tmp_path / "uninterrupted", momentum=0.0, keep=None)
    first = torch.load(uninterrupted.with_name("epoch_001.ckpt"), weights_only=True)["state"]
    images = TinyImages()

    def start(out, **how):
        return training.train_representation(
            settings(momentum=0.0), images, images, out, transforms(), CLASSES, 3, 0, **how
        )

    original_names = {f"module.{name}": value for name, value in first.items()}
    continued = start(tmp_path / "continued", initial_state=original_names, first_epoch=1)
    assert continued.name == uninterrupted.name
    assert same(continued, uninterrupted)
    assert not same(start(tmp_path / "fresh", first_epoch=1), uninterrupted)
    with pytest.raises(InputError, match="first epoch was 1, is now None; initial weights was"):
        start(tmp_path / "continued")
    before = continued.read_bytes()
    assert start(tmp_path / "continued", any_start=True) == continued
    assert continued.read_bytes() == before
    with pytest.raises(InputError, match="first_epoch is 2, but a run of 2 epochs"):
        start(tmp_path / "late", first_epoch=2)
    assert not (tmp_path / "late").exists()


def test_each_checkpoint_is_announced_once_it_is_there(tmp_path):
    seen = []

    def look(path):
        seen.append((path.name, load_backbone(path).num_classes))

    def run(epochs):
        changes = settings(epochs=epochs, validate_every=0)
        training.train_representation(changes, TinyImages(), None, tmp_path, transforms(), CLASSES, 3, 0, on_save=look)

    run(2)
    assert seen == [("epoch_001.ckpt", CLASSES), ("epoch_002.ckpt", CLASSES)]
    run(2)
    assert [name for name, _ in seen[2:]] == ["epoch_002.ckpt"]
    run(3)
    assert [name for name, _ in seen[3:]] == ["epoch_002.ckpt", "epoch_003.ckpt"]
