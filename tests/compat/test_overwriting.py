"""No program replaces a file that it did not write, unless it is asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lowshot.compat import analogies, classification, matching, precision
from lowshot.compat.formats.checkpoint import read_checkpoint
from lowshot.compat.formats.container import is_written_by, save_legacy
from lowshot.data import build_transforms
from lowshot.data.sets.image_folder import image_folder
from lowshot.representation import TrainSettings, train_representation
from tests.compat import features
from tests.compat.formats.old_files import generator_content, matching_state, save, state
from tests.compat.workspace import ANALOGIES, GENERATION, LOW_SHOT, MATCHING, SAVE, TRAIN, run, stamps

RESULT = "results/net_lr_0.100_wd_0.001_expid_1_lowshotn_1_maxgen_0.json"
MATCHED = "results/MN_net_expid_1_lowshotn_1.json"
GENERATOR = "generation/net/generator.tar"
BASE = [*TRAIN, "--model", "ResNet10", "--num_classes", "30", "--aux_loss_wt", "0", "--stop_epoch", "1"]
SAVE30 = [*SAVE, "--modelfile", "net30.tar", "--num_classes", "30"]


def checkpoints(*names: str) -> Callable[[], None]:
    def work() -> None:
        for name in names:
            Path(name).parent.mkdir(exist_ok=True)
            save(Path(name), {"epoch": int(Path(name).stem), "state": state("ResNet10", 30)})

    return work


def result(name: str) -> Callable[[], None]:
    """A result as the original leaves it."""

    def work() -> None:
        Path("results").mkdir()
        value = {"lr": 0.1, "wd": 0.001} if "lr_" in name else {}
        Path(name).write_text(json.dumps({**value, "expid": 1, "lowshotn": 1, "accs": [0.1] * 6}))

    return work


def other_features() -> None:
    Path("out").mkdir()
    features.write_features(Path("out/val.hdf5"), np.ones((3, 4)), np.array([0, 1, 2]))


def other_generator() -> None:
    Path(GENERATOR).parent.mkdir(parents=True)
    save(Path(GENERATOR), generator_content())


def other_file(name: str, content: bytes) -> Callable[[], None]:
    def work() -> None:
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(content)

    return work


def nothing() -> None: ...


FOREIGN = {
    "main": (checkpoints("checkpoints/0.tar"), BASE),
    "main, files of epochs that it would not write": (checkpoints("checkpoints/7.tar"), BASE),
    "main, resumed from elsewhere": (
        checkpoints("old/0.tar", "checkpoints/1.tar"),
        [*BASE, "--stop_epoch", "2", "--allow_resume", "1", "--resume_file", "old/0.tar"],
    ),
    "main, resumed before the end": (
        checkpoints("checkpoints/0.tar", "checkpoints/1.tar"),
        [*BASE, "--stop_epoch", "2", "--allow_resume", "1", "--resume_file", "checkpoints/0.tar"],
    ),
    "main, a log": (other_file("checkpoints/log.jsonl", b"a line of notes\n"), BASE),
    "main, a log of something else": (other_file("checkpoints/log.jsonl", b'{"step": 1, "loss": 0.5}\n'), BASE),
    "save_features": (other_features, SAVE30),
    "save_features, on a checkpoint": (nothing, [*SAVE30, "--outfile", "net.tar"]),
    "train_analogy_generator": (other_generator, [*ANALOGIES, "--trainfile", "features/net/train.hdf5"]),
    "low_shot": (result(RESULT), LOW_SHOT),
    "matching_network": (lambda: save(Path("mn.tar"), matching_state(8)), [*MATCHING, "0"]),
    "matching_network, on a checkpoint": (nothing, [*MATCHING, "0", "--modelfile", "net.tar"]),
    "matching_network, a result": (result(MATCHED), [*MATCHING, "1"]),
}


@pytest.fixture(autouse=True)
def network(folder: Path) -> None:
    save(folder / "net30.tar", {"epoch": 3, "state": state("ResNet10", 30)})


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_something_else_is_refused_before_any_work(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, arguments = FOREIGN[name]
    spoil()
    before = stamps(folder)
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "was not written by this program and would be replaced" in said
    assert "LOWSHOT_COMPAT_OVERWRITE=1" in said
    assert stamps(folder) == before


@pytest.mark.parametrize("name", [name for name in FOREIGN if "," not in name])
def test_it_is_replaced_when_asked_for_and_then_again_without_asking(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, arguments = FOREIGN[name]
    spoil()
    with monkeypatch.context() as patch:
        patch.setenv("LOWSHOT_COMPAT_OVERWRITE", "1")
        assert run(*arguments) == 0
    assert run(*arguments) == 0


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("save_features", precision),
        ("train_analogy_generator", analogies),
        ("low_shot", classification),
        ("matching_network", matching),
        ("matching_network, a result", matching),
    ],
)
def test_a_file_that_something_else_wrote_during_the_work_stays(
    name: str, module: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file appears between the checks at the start and the work."""
    spoil, arguments = FOREIGN[name]
    if name == "matching_network":
        Path("mn.tar").unlink()
    written: dict[Path, bytes] = {}

    def write() -> None:
        before = set(folder.rglob("*"))
        spoil()
        written.update({path: path.read_bytes() for path in set(folder.rglob("*")) - before if path.is_file()})

    monkeypatch.setattr(module, "only_float32", write)
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "2")
    assert run(*arguments) == 2
    assert "was not written by this program and would be replaced" in " ".join(capsys.readouterr().err.split())
    assert len(written) == 1
    assert all(path.read_bytes() == content for path, content in written.items())


@pytest.mark.parametrize("flags", [[], ["--allow_resume", "1"]])
def test_a_folder_named_as_a_checkpoint_is_refused_before_any_work(
    flags: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("checkpoints/0.tar").mkdir(parents=True)
    before = stamps(folder)
    for value in ("0", "1"):
        monkeypatch.setenv("LOWSHOT_COMPAT_OVERWRITE", value)
        assert run(*BASE, *flags) == 2
        assert "checkpoints/0.tar is a folder, but a file of this name" in " ".join(capsys.readouterr().err.split())
    assert stamps(folder) == before


def test_every_file_of_an_epochs_number_is_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*BASE) == 0
    for name, other in (("0", "00"), ("00", "0")):
        Path("checkpoints", f"{name}.tar").rename("own.tar")
        checkpoints(f"checkpoints/{other}.tar")()
        Path("own.tar").rename(f"checkpoints/{name}.tar")
        before = stamps(folder)
        assert run(*BASE) == 2
        assert f"checkpoints/{other}.tar was not written by this program" in " ".join(capsys.readouterr().err.split())
        assert stamps(folder) == before
        Path("checkpoints", f"{other}.tar").unlink()
        if name == "0":
            Path("checkpoints/0.tar").rename("checkpoints/00.tar")


@pytest.mark.parametrize("flags", [[], ["--allow_resume", "1"]])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an own one"])
def test_full_checkpoints_that_cannot_be_read_are_not_replaced(
    flags: list[str], beside: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if beside:
        assert run(*BASE) == 0
    foreign = Path("checkpoints/checkpoints/epoch_009.ckpt")
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_bytes(b"not of lowshot")
    before = stamps(folder)
    capsys.readouterr()
    assert run(*BASE, *flags) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "epoch_009.ckpt was refused" in said
    assert "nothing says that this program wrote it, and it would be replaced" in said
    assert "LOWSHOT_COMPAT_OVERWRITE=1" in said
    assert stamps(folder) == before
    monkeypatch.setenv("LOWSHOT_COMPAT_OVERWRITE", "1")
    assert run(*BASE, *flags) == 0
    assert Path("checkpoints/0.tar").is_file()


def test_a_full_checkpoint_of_another_kind_is_refused_or_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("checkpoints/checkpoints").mkdir(parents=True)
    torch.save({"epoch": 3}, "checkpoints/checkpoints/epoch_003.ckpt")
    before = stamps(folder)
    for flags in ([], ["--allow_resume", "1"]):
        assert run(*BASE, *flags) == 2
        assert "was not written by this program and would be replaced" in " ".join(capsys.readouterr().err.split())
    assert stamps(folder) == before
    monkeypatch.setenv("LOWSHOT_COMPAT_OVERWRITE", "1")
    assert run(*BASE, "--allow_resume", "1") == 0
    assert [path.name for path in Path("checkpoints/checkpoints").iterdir()] == ["epoch_001.ckpt"]


def test_new_runs_of_the_original_are_pointed_to_resuming(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints("checkpoints/0.tar")()
    assert run(*BASE) == 2
    assert "--allow_resume 1 goes on from the one of the highest number" in " ".join(capsys.readouterr().err.split())


def test_a_training_of_lowshot_train_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = image_folder(folder / "images/imagenet/train", "train")
    settings = TrainSettings(epochs=1, batch_size=60, precision="32-true")
    path = train_representation(settings, images, None, "checkpoints", build_transforms("small", image_size=32))
    before = stamps(folder)
    for flags in ([], ["--allow_resume", "1"]):
        assert run(*BASE, *flags) == 2
        assert f"holds a training of `lowshot train` ({path})" in " ".join(capsys.readouterr().err.split())
    assert stamps(folder) == before


def test_generated_results_stand_beside_others(folder: Path) -> None:
    """A result of another name is none of the files that a run writes."""
    result(RESULT)()
    assert run(*GENERATION) == 0
    assert len(list(Path("results").iterdir())) == 2


def test_the_variable_takes_0_and_1_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result(RESULT)()
    monkeypatch.setenv("LOWSHOT_COMPAT_OVERWRITE", "yes")
    assert run(*LOW_SHOT) == 2
    assert "LOWSHOT_COMPAT_OVERWRITE is 'yes': expected 1" in " ".join(capsys.readouterr().err.split())


def test_the_mark_of_a_program_changes_nothing_that_is_read(tmp_path: Path) -> None:
    content = {"epoch": 3, "state": state("ResNet10", 4)}
    save_legacy(tmp_path / "plain.tar", content)
    save_legacy(tmp_path / "marked.tar", content, "main")
    plain, marked = (torch.load(tmp_path / f"{name}.tar", weights_only=True) for name in ("plain", "marked"))
    assert plain.keys() == marked.keys()
    assert all(torch.equal(value, marked["state"][name]) for name, value in plain["state"].items())
    assert read_checkpoint(tmp_path / "marked.tar").epoch == 3
    assert is_written_by(tmp_path / "marked.tar", "main")
    assert not is_written_by(tmp_path / "marked.tar", "matching_network")
    assert not is_written_by(tmp_path / "plain.tar", "main")
