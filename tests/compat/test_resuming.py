"""``main`` resumed: from its own run bit for bit, from a ``.tar`` of the original by weights and epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lowshot.compat import training
from lowshot.compat.formats.checkpoint import write_checkpoint
from lowshot.compat.precision import PRECISION
from lowshot.errors import LowshotError
from lowshot.representation import build_backbone
from tests.compat.formats.old_files import save, state
from tests.compat.workspace import TRAIN, run, stamps

pytestmark = pytest.mark.usefixtures("folder")
STILL = ["--lr", "1e-30", "--weight_decay", "0", "--momentum", "0"]
"""Training with these leaves all weights as they are, but for running statistics."""


def train(*flags: str) -> int:
    return run(*TRAIN, "--model", "ResNet10", "--num_classes", "30", "--aux_loss_wt", "0", *flags)


def weights(path: str | Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state"]


def same(first: str | Path, second: str | Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def tars(folder: str = "checkpoints") -> list[str]:
    return sorted(path.name for path in Path(folder).glob("*.tar"))


def epochs(folder: str = "checkpoints") -> list[int]:
    """The numbers of the trained epochs in the log, from 1."""
    return [json.loads(line)["epoch"] for line in Path(folder, "log.jsonl").read_text().splitlines()]


def originals(folder: str, *numbers: int) -> dict[str, bytes]:
    """Checkpoints that the original left in a folder, by name."""
    Path(folder).mkdir(exist_ok=True)
    files = [
        save(Path(folder, f"{number}.tar"), {"epoch": number, "state": state("ResNet10", 30, seed=number)})
        for number in numbers
    ]
    return {file.name: file.read_bytes() for file in files}


def test_resuming_beside_the_full_checkpoint_ends_as_if_nothing_had_happened() -> None:
    """Checkpoints are saved where the original saves them: epochs whose number save_freq divides, and the last."""
    assert train("--stop_epoch", "4", "--save_freq", "2", "--checkpoint_dir", "whole") == 0
    assert tars("whole") == ["0.tar", "2.tar", "3.tar"]
    assert train("--stop_epoch", "3", "--save_freq", "2") == 0
    resumed = ["--stop_epoch", "4", "--save_freq", "2", "--allow_resume", "1"]
    assert train(*resumed, "--resume_file", "checkpoints/2.tar") == 0
    assert same("checkpoints/3.tar", "whole/3.tar")
    for number in ("0", "2", "3"):
        Path(f"checkpoints/{number}.tar").unlink()
    assert train("--stop_epoch", "3", "--save_freq", "2") == 0
    assert train(*resumed) == 0
    assert same("checkpoints/3.tar", "whole/3.tar")


def test_a_checkpoint_alone_gives_its_weights_and_its_epoch() -> None:
    write_checkpoint("old/1.tar", build_backbone("resnet10", 30), 1)
    flags = ["--stop_epoch", "3", "--allow_resume", "1", "--resume_file", "old/1.tar", *STILL]
    assert train(*flags) == 0
    assert tars() == ["2.tar"]
    before, after = weights("old/1.tar"), weights("checkpoints/2.tar")
    assert all(torch.allclose(before[name], after[name]) for name in before if "running" not in name)
    assert epochs() == [3]
    assert train("--stop_epoch", "1") == 0  # without leave to resume the run starts anew
    assert Path("checkpoints/0.tar").is_file()


def test_without_resume_file_it_resumes_from_the_tar_of_the_highest_number() -> None:
    """On the original's 0.tar, 2.tar and 10.tar it trains epoch 11 from 10.tar, and leaves all three as they are."""
    before = originals("checkpoints", 0, 2, 10)
    assert train("--stop_epoch", "12", "--allow_resume", "1", *STILL) == 0
    assert tars() == ["0.tar", "10.tar", "11.tar", "2.tar"]
    assert epochs() == [12]
    assert all(Path("checkpoints", name).read_bytes() == content for name, content in before.items())
    start, end = weights("checkpoints/10.tar"), weights("checkpoints/11.tar")
    assert all(torch.allclose(start[name], end[name]) for name in start if "running" not in name)
    assert torch.load("checkpoints/11.tar", weights_only=True)["epoch"] == 11


def test_a_run_that_ended_has_nothing_left_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    before = originals("checkpoints", 0, 2)
    assert train("--stop_epoch", "3", "--allow_resume", "1") == 0
    assert "is epoch 2, and the last is 2: nothing to do" in " ".join(capsys.readouterr().err.split())
    assert {path.name: path.read_bytes() for path in Path("checkpoints").iterdir()} == before


def test_weights_alone_are_resumed_by_the_number_in_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("checkpoints").mkdir()
    save(Path("checkpoints/1.tar"), state("ResNet10", 30))
    assert train("--stop_epoch", "3", "--allow_resume", "1", *STILL) == 0
    assert epochs() == [3]
    Path("checkpoints/1.tar").rename("weights.tar")
    assert train("--stop_epoch", "3", "--allow_resume", "1", "--resume_file", "weights.tar") == 2
    assert "its name must say after which epoch they were saved" in " ".join(capsys.readouterr().err.split())


def test_the_run_in_the_folder_goes_before_tars_that_an_earlier_run_left() -> None:
    """A second run stopped after epoch 1; 2.tar is of the first. The second goes on, and ends as if uninterrupted."""
    assert train("--stop_epoch", "3", "--lr", "0.01", "--checkpoint_dir", "whole", "--save_freq", "1") == 0
    assert train("--stop_epoch", "3", "--lr", "0.02", "--save_freq", "1") == 0
    assert train("--stop_epoch", "2", "--lr", "0.01", "--save_freq", "1") == 0
    assert train("--stop_epoch", "3", "--lr", "0.01", "--save_freq", "1", "--allow_resume", "1") == 0
    assert same("checkpoints/2.tar", "whole/2.tar")


def test_a_damaged_tar_of_the_highest_number_is_named_and_nothing_is_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    originals("checkpoints", 0, 2)
    file = Path("checkpoints/2.tar")
    file.write_bytes(file.read_bytes()[:1000])
    assert train("--stop_epoch", "4", "--allow_resume", "1") == 2
    assert "checkpoints/2.tar" in capsys.readouterr().err
    assert tars() == ["0.tar", "2.tar"]


def cut_off_after(epoch: int, *flags: str) -> None:
    """Train as ``flags`` say, and stop after the full checkpoint of an epoch, numbered from 0, and its ``.tar``."""

    def save(saver: training.SaveAsOriginal, path: Path) -> None:
        saved(saver, path)
        if int(path.stem.rpartition("_")[2]) == epoch + 1:
            raise LowshotError("cut off")

    saved = training.SaveAsOriginal.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.SaveAsOriginal, "__call__", save)
        assert train(*flags) == 1


def full_checkpoints(folder: str = "checkpoints") -> list[str]:
    return sorted(path.name for path in Path(folder, "checkpoints").glob("*.ckpt"))


def test_a_run_that_began_with_the_originals_tar_is_resumed_again_and_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From 0.tar to 2.tar of the original to epoch 6, cut off before, at, and after an own .tar, or not at all."""
    how = ["--stop_epoch", "7", "--save_freq", "2", "--allow_resume", "1", "--lr", "0.01"]
    originals("whole", 0, 1, 2)
    assert train(*how, "--checkpoint_dir", "whole") == 0
    assert epochs("whole") == [4, 5, 6, 7]
    before = originals("checkpoints", 0, 1, 2)
    for epoch in (3, 4, 5):
        cut_off_after(epoch, *how)
    capsys.readouterr()
    assert train(*how) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "continuing from checkpoints/checkpoints/epoch_006.ckpt" in said
    assert "belongs to" not in said
    assert epochs() == [4, 5, 6, 7]
    assert tars() == tars("whole") == ["0.tar", "1.tar", "2.tar", "4.tar", "6.tar"]
    assert same("checkpoints/4.tar", "whole/4.tar")
    assert same("checkpoints/6.tar", "whole/6.tar")
    assert all(Path("checkpoints", name).read_bytes() == content for name, content in before.items())


def test_resuming_with_another_flag_keeps_a_full_checkpoint_that_is_newer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ["--stop_epoch", "6", "--allow_resume", "1"]
    cut_off_after(3, *how, "--lr", "0.01")
    assert (tars(), full_checkpoints()) == (["0.tar"], ["epoch_003.ckpt", "epoch_004.ckpt"])
    before = stamps(Path("checkpoints"))
    for flags, difference in {
        ("--lr", "0.02"): "belongs to another training: --lr was 0.01, is now 0.02. It is newer than checkpoints/0.tar",
        (
            "--lr",
            "0.01",
            "--stop_epoch",
            "2",
        ): "trained for 4 epochs already, more than the 2 asked for by --stop_epoch",
    }.items():
        assert train(*how, *flags) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert difference in said
        assert "--resume_file checkpoints/0.tar" in said
        assert "resume=False" not in said
        assert stamps(Path("checkpoints")) == before
    assert train(*how, "--lr", "0.02", "--stop_epoch", "2", "--resume_file", "checkpoints/0.tar") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "going on from checkpoints/0.tar, with epoch 1" in said
    assert "--lr was 0.01, is now 0.02: its full checkpoints are replaced" in said
    assert full_checkpoints() == ["epoch_002.ckpt"]
    cut_off_after(2, "--stop_epoch", "6", "--lr", "0.01")
    for name in tars():
        Path("checkpoints", name).unlink()
    assert train(*how, "--lr", "0.02") == 2
    assert "--allow_resume 0 starts anew" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("LOWSHOT_COMPAT_OVERWRITE", "1")
    assert train("--stop_epoch", "1", "--lr", "0.02", "--allow_resume", "1") == 0
    assert (tars(), full_checkpoints()) == (["0.tar"], ["epoch_001.ckpt"])


@pytest.mark.parametrize(("weight", "loss"), [("0", None), (None, "feature_l2"), ("0.5", "batch_sgm")])
def test_the_auxiliary_loss_is_on_unless_its_weight_is_0(
    weight: str | None, loss: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(training, "train_representation", lambda settings, *_, **how: asked.append((settings, how)))
    flags = [] if weight is None else ["--aux_loss_wt", weight]
    flags += ["--aux_loss_type", "batchsgm"] if weight == "0.5" else []
    assert run(*TRAIN, *flags) == 0
    ((settings, how),) = asked
    assert (settings.loss, settings.loss_weight) == (loss, 0.1 if weight is None else float(weight))
    assert (settings.backbone, settings.epochs, settings.batch_size) == ("resnet18", 90, 24)
    assert (settings.warmup_epochs, settings.warmup_lr) == (0, 0.01)
    assert (settings.precision, PRECISION) == ("32-true", "32-true")
    assert how["resume"] is False
