"""The programs beyond their main road: bad input, resuming, generators of other kinds, incomplete results."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from lowshot.classifiers import MatchingNetwork
from lowshot.compat import low_shot, main, matching_network, parse_results, train_analogy_generator
from lowshot.compat.formats.checkpoint import write_checkpoint
from lowshot.compat.formats.generator import write_generator
from lowshot.compat.formats.matching_network import write_matching_network
from lowshot.compat.formats.results import Run, write_run
from lowshot.compat.steps import steps
from lowshot.errors import InputError
from lowshot.hallucination import AnalogyGenerator, CalibrationGenerator
from lowshot.representation import build_backbone
from tests.compat import features, fixture

DIM = 8


def run(program: str, *arguments: str | Path) -> int:
    return importlib.import_module(f"lowshot.compat.{program}").main([str(word) for word in arguments])


def base_examples(dim: int = DIM) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((60, dim), np.float32), np.repeat(np.arange(6), 10)


def generator(dim: int = DIM) -> AnalogyGenerator:
    return AnalogyGenerator(n_clusters=3, n_steps=3, hidden=8).fit(*base_examples(dim))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features, images, a checkpoint, a generator and a matching network that fit each other."""
    root = features.make(tmp_path_factory.mktemp("made"))
    features.make(root / "wide", dim=512)
    fixture.make(root / "images")
    write_checkpoint(root / "net.tar", build_backbone("resnet10", 12), 3)
    write_generator(root / "generator.tar", generator())
    write_matching_network(root / "mn.tar", MatchingNetwork(n_episodes=1, n_support=1).fit_base(*base_examples()))
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to spoil, as the working directory."""
    root = tmp_path / "work"
    shutil.copytree(made, root, symlinks=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "2")
    return root


class Malice:
    """Unpickling this makes a folder."""

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("ran",)


def truncate(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])


def infect(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(pickle.dumps(Malice(), protocol=2))


def infect_zip(path: str) -> Callable[[], object]:
    return lambda: torch.save({"epoch": 3, "state": Malice()}, path)


def drop(path: str, *keys: str) -> Callable[[], object]:
    """Leave some parameters out of a checkpoint, or keys out of a generator."""

    def work() -> None:
        content = torch.load(path, weights_only=True)
        inner = content.get("state", content)
        for key in keys:
            del inner[key]
        torch.save(content, path)

    return work


def relabel(path: str, label: int) -> Callable[[], object]:
    def work() -> None:
        with h5py.File(path, "r+") as file:
            file["all_labels"][5] = label

    return work


def shuffle_experiment() -> None:
    draw = json.loads(Path("splitfile_1.json").read_text())
    Path("splitfile_1.json").write_text(json.dumps(draw[1:] + draw[:1]))


LOW_SHOT = ["low_shot", *features.LOW_SHOT, "--lowshotn", "1", "--maxiters", "2"]
GENERATION = [*LOW_SHOT, "--max_per_label", "3", "--generator_name", "analogies", "--generator_file", "generator.tar"]
SAVE = ["save_features", "--cfg", "images/val_save_data.yaml", "--outfile", "out/val.hdf5", "--modelfile", "net.tar"]
SAVE12 = [*SAVE, "--num_classes", "12"]
ANALOGIES = ["train_analogy_generator", "--lowshotmeta", "label_idx.json", "--outdir", "generation"]
WITH_NETWORK = [*ANALOGIES, "--numclasses", "12", "--networkfile", "net.tar", "--trainfile"]
MATCHING = ["matching_network", *features.LOW_SHOT, "--modelfile", "mn.tar", "--test"]
TRAIN = ["main", "--traincfg", "images/base_classes_train_template.yaml"]
TRAIN = [*TRAIN, "--valcfg", "images/base_classes_val_template.yaml", "--checkpoint_dir", "checkpoints"]


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        # wrong architecture
        (nothing, [*SAVE12, "--model", "ResNet18"], "net.tar holds a ResNet10, but ResNet18 was asked for"),
        (nothing, [*SAVE12, "--model", "ResNet11"], "unknown model 'ResNet11'. Did you mean"),
        (nothing, [*TRAIN, "--model", "ResNet9"], "unknown model 'ResNet9'"),
        (nothing, SAVE, "a classifier of 12 classes, but 1000 were asked for"),
        # missing keys
        (drop("net.tar", "module.trunk.1.weight"), SAVE12, "Missing: trunk.1.weight"),
        (drop("generator.tar", "num_base_classes"), GENERATION, "generator.tar lacks num_base_classes"),
        (drop("mn.tar", "lstmcell.bias_hh"), [*MATCHING, "1"], "must hold one 'bias_hh'"),
        (lambda: Path("label_idx.json").write_text("{}"), LOW_SHOT, "needs the key 'base_classes_1'"),
        # other width
        (nothing, [*WITH_NETWORK, "features/net/train.hdf5"], "has 512 features, but the features file has 8"),
        (nothing, [*LOW_SHOT, "--testfile", "wide/features/net/val.hdf5"], "come from different backbones"),
        (lambda: write_generator("generator.tar", generator(4)), GENERATION, "8 dimensions where 4 are expected"),
        (
            nothing,
            [*MATCHING, "1", "--trainfile", "wide/features/net/train.hdf5"],
            "mn.tar was trained on 8 features per image, but",
        ),
        # truncated files
        (truncate("net.tar"), SAVE12, "net.tar"),
        (truncate("net.tar"), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "net.tar"),
        (
            truncate("net.tar"),
            [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "net.tar"],
            "net",
        ),
        (truncate("generator.tar"), GENERATION, "generator.tar"),
        (truncate("mn.tar"), [*MATCHING, "1"], "mn.tar"),
        (truncate("features/net/train.hdf5"), LOW_SHOT, "train.hdf5 is truncated or damaged"),
        (truncate("splitfile_1.json"), LOW_SHOT, "splitfile_1.json is not valid JSON"),
        # malicious pickles
        (infect("net.tar"), SAVE12, "net.tar was refused"),
        (infect_zip("net.tar"), SAVE12, "net.tar was refused"),
        (
            infect("net.tar"),
            [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "net.tar"],
            "refused",
        ),
        (infect("net.tar"), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "net.tar was refused"),
        (infect_zip("generator.tar"), GENERATION, "generator.tar was refused"),
        (infect("mn.tar"), [*MATCHING, "1"], "mn.tar was refused"),
        # labels out of range
        (nothing, [*TRAIN, "--num_classes", "9"], "but there are 9 classes: labels run from 0 to 8"),
        (nothing, SAVE12, "but there are 12 classes"),
        (relabel("features/net/train.hdf5", 12), [*LOW_SHOT, "--numclasses", "12"], "row 5 has label 12"),
        (relabel("features/net/val.hdf5", 12), LOW_SHOT, "row 5 has label 12, outside the split"),
        (relabel("wide/features/net/train.hdf5", -1), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "label -1"),
        (relabel("features/net/train.hdf5", 12), [*MATCHING, "0"], "row 5 has label 12"),
        # experiments of other rows
        (shuffle_experiment, LOW_SHOT, "splitfile_1.json do not fit"),
        (shuffle_experiment, [*MATCHING, "1"], "splitfile_1.json do not fit"),
        # flags
        (nothing, [*LOW_SHOT, "--experimentid", "9"], "splitfile_9.json does not exist"),
        (
            nothing,
            [*LOW_SHOT, "--experimentpath", "splitfile_{0.id}.json"],
            "needs one place for the experiment's number",
        ),
        (
            nothing,
            [*LOW_SHOT, "--experimentpath", "splitfile_{0[id]}.json"],
            "needs one place for the experiment's number",
        ),
        (nothing, [*LOW_SHOT, "--lowshotn", "11"], "11 shots are asked for"),
        (nothing, [*LOW_SHOT, "--max_per_label", "3"], "--generator_name and --max_per_label go together"),
        (nothing, [*GENERATION, "--generator_name", "analogy"], "Did you mean 'analogies'"),
        (nothing, [*GENERATION, "--generator_name", "no.py"], "no.py does not exist"),
        (nothing, [*GENERATION, "--generator_name", "json"], "defines no function 'init_generator'"),
        (nothing, [*GENERATION, "--generator_file", "no.tar"], "no.tar does not exist"),
        (
            lambda: Path("mine.py").write_text(PLUGIN),
            [*GENERATION, "--generator_name", "mine.py", "--generator_file", "no.txt", "--lowshotn", "99"],
            "init_generator failed (",
        ),
        (
            lambda: (
                Path("mine.py").write_text(PLUGIN.replace("return np.vstack", "return np.vsplit")),
                Path("state.txt").write_text("1"),
            ),
            [*GENERATION, "--generator_name", "mine.py", "--generator_file", "state.txt"],
            "do_generate failed (",
        ),
        # places that nothing can be written to: known before the work, which would fail too, on what comes next to it
        (nothing, [*LOW_SHOT, "--outdir", "net.tar", "--lowshotn", "99"], "--outdir net.tar is a file"),
        (nothing, [*LOW_SHOT, "--outdir", "net.tar/x", "--lowshotn", "99"], "--outdir net.tar/x cannot be written"),
        (nothing, [*MATCHING, "1", "--outdir", "net.tar"], "--outdir net.tar is a file: expected a folder"),
        (nothing, [*MATCHING, "0", "--modelfile", "features"], "--modelfile features is a folder: expected a file"),
        (nothing, [*SAVE12, "--outfile", "net.tar/val.hdf5"], "--outfile net.tar/val.hdf5 cannot be written: Not a"),
        (nothing, [*TRAIN, "--checkpoint_dir", "net.tar"], "--checkpoint_dir net.tar is a file"),
        (
            nothing,
            [*WITH_NETWORK, "features/net/train.hdf5", "--outdir", "net.tar"],
            "--outdir net.tar/net cannot be written",
        ),
        (nothing, ["parse_results", "--repr", "net"], "no result of this method"),
        (nothing, [*TRAIN, "--lr", "-1"], "--lr: input should be greater than 0"),
        (nothing, [*TRAIN, "--aux_loss_type", "sgn"], "Did you mean 'sgm'"),
        (nothing, [*TRAIN, "--aux_loss_type", "no.py"], "no.py does not exist"),
        (nothing, [*TRAIN, "--start_epoch", "90"], "--start_epoch is 90"),
        (nothing, [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "no.tar"], "does not exist"),
    ],
)
def test_bad_input_is_named_with_exit_code_2_and_nothing_is_written(
    spoil: Callable[[], object],
    arguments: list[str],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil()
    if arguments[0] in ("main", "save_features"):
        for path in (folder / "images").glob("*.yaml"):  # their paths start from the working directory
            path.write_text(path.read_text().replace("meta: ", "meta: images/").replace("imagenet", "images/imagenet"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


PLUGIN = """
import numpy as np

def init_generator(filename):
    return float(open(filename).read())

def do_generate(feats, labels, generator, max_per_label):
    more = [(row + generator, label) for row, label in zip(feats, labels) for _ in range(max_per_label - 1)]
    return np.vstack([feats, [row for row, _ in more]]), np.append(labels, [label for _, label in more])
"""


def test_the_originals_two_functions_are_a_generator_as_a_file_and_as_a_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my_generation.py").write_text(PLUGIN)
    (folder / "state.txt").write_text("0.5")
    monkeypatch.syspath_prepend(folder)
    found = []
    for name in ("my_generation.py", "my_generation"):
        flags = ["--max_per_label", "3", "--generator_name", name, "--generator_file", "state.txt"]
        assert run(*LOW_SHOT, *flags) == 0
        (path,) = (folder / "results").iterdir()
        assert path.name == "net_lr_0.100_wd_0.001_expid_1_lowshotn_1_maxgen_3.json"
        found.append(path.read_text())
        made = low_shot.load_generator(name, "state.txt").generate(np.ones((1, 2), np.float32), [4], 3)
        assert made[0].tolist() == [[1, 1], [1.5, 1.5], [1.5, 1.5]]
    assert found[0] == found[1]


def test_generators_of_lowshot_work_by_name(folder: Path) -> None:
    CalibrationGenerator().fit(*base_examples()).save("calibration.safetensors")
    generator().save("analogies.safetensors")
    for name in ("calibration", "analogies"):
        flags = ["--max_per_label", "3", "--generator_name", name, "--generator_file", f"{name}.safetensors"]
        assert run(*LOW_SHOT, *flags) == 0
    assert run(*LOW_SHOT, *flags, "--generator_name", "calibration") == 2


def test_setups_0_and_1_are_validation_and_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(*data: Any, setup: str, n_shots: tuple[int, ...], seed: int, **how: Any) -> list[dict[str, float]]:
        asked.append((setup, n_shots, seed))
        return [dict.fromkeys(("novel_top1", "novel_top5", "base_top1", "base_top5", "all_top1", "all_top5"), 0.5)]

    monkeypatch.setattr("lowshot.compat.low_shot_run.run_benchmark", record)
    for setup in ("0", "1"):
        assert run(*LOW_SHOT, "--testsetup", setup, "--experimentid", "3") == 0
    assert asked == [("val", (1,), 3), ("test", (1,), 3)]


def test_a_generator_needs_no_network(folder: Path) -> None:
    """Without --networkfile a classifier is fitted, and kept with the rest for the next time."""
    assert run(*ANALOGIES, "--trainfile", "features/net/train.hdf5") == 0
    assert (folder / "generation/net/generator.tar").is_file()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "generation/net/cache").iterdir()}
    assert {path.name.split("-")[0] for path in kept} == {"classifier", "centroids", "analogies"}
    assert run(*ANALOGIES, "--trainfile", "features/net/train.hdf5", "--initlr", "1") == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "generation/net/cache").iterdir()} == kept


def test_the_defaults_that_have_no_flag_are_the_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOWSHOT_COMPAT_STEPS", raising=False)
    assert steps(train_analogy_generator.N_STEPS) == 120_000
    assert steps(train_analogy_generator.N_CLASSIFIER_STEPS) == 10_000
    assert steps(matching_network.N_EPISODES) == 60_000
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "5")
    assert steps(120_000) == 5
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "many")
    with pytest.raises(InputError, match="LOWSHOT_COMPAT_STEPS is 'many'"):
        steps(120_000)


def test_training_of_matching_networks_that_was_cut_off_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching_network, "SAVE_EVERY", 1)
    train = [word.replace("mn.tar", "new.tar") for word in [*MATCHING, "0"]]
    assert run(*train) == 0
    whole = (folder / "new.tar").read_bytes()
    (folder / "new.tar").unlink()

    def cut_off(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(matching_network, "write_matching_network", cut_off)
        assert run(*train) == 130
    assert [path.name for path in folder.glob("new.tar*")] == ["new.tar.unfinished"]
    with monkeypatch.context() as patch:
        # No further episode is needed.
        patch.setattr("lowshot.classifiers.training_episodes.EpisodeSampler.draw", cut_off)
        assert run(*train) == 0
    assert [path.name for path in folder.glob("new.tar*")] == ["new.tar"]
    assert (folder / "new.tar").read_bytes() == whole


# ------------------------------------------------------------------------------------------------ parse_results


def test_all_results_give_a_row_for_each_number_of_shots_and_their_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    accuracies = {n: rng.random((5, 6)) for n in (1, 2, 5, 10, 20)}
    for n, table in accuracies.items():
        for e, row in enumerate(table, 1):
            write_run(tmp_path, Run("net", e, n, tuple(row), lr=1.0, weight_decay=0.001))
    assert parse_results.main(["--resultsdir", str(tmp_path), "--repr", "net", "--lr", "1"]) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()[1:]]
    assert not printed.err
    assert [row[0] for row in rows] == ["1", "2", "5", "10", "20", "mean"]
    for row, table in zip(rows, accuracies.values()):
        assert [float(cell) for cell in row[1:13:2]] == pytest.approx(100 * table.mean(axis=0), abs=0.006)
        half_width = 2.7764451 * table.std(axis=0, ddof=1) / 5**0.5
        assert [float(cell[1:]) for cell in row[2:14:2]] == pytest.approx(100 * half_width, abs=0.006)
        assert row[13] == "5"
    mean = np.mean([table.mean(axis=0) for table in accuracies.values()], axis=0)
    assert [float(cell) for cell in rows[-1][1:]] == pytest.approx(100 * mean, abs=0.006)


def test_missing_results_are_counted_and_matching_networks_have_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, Run("net", 1, 2, (0.25,) * 6))
    flags = ["--resultsdir", str(tmp_path), "--repr", "net"]
    assert parse_results.main(flags) == 2
    assert parse_results.main([*flags, "--matchingnetwork", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["2", *["25.00"] * 6, "1"]
    assert "24 of 25 results are missing, the first is MN_net_expid_1_lowshotn_1.json" in printed.err
    (tmp_path / "MN_net_expid_2_lowshotn_2.json").write_text("{}")
    assert parse_results.main([*flags, "--matchingnetwork", "1"]) == 2


# ------------------------------------------------------------------------------------------------- main, resumed


@pytest.fixture
def images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder / "images")
    return folder / "images"


def training(*flags: str) -> int:
    shared = "--model ResNet10 --traincfg base_classes_train_template.yaml --valcfg base_classes_val_template.yaml"
    return main.main([*shared.split(), "--num_classes", "30", "--aux_loss_wt", "0", "--checkpoint_dir", "ck", *flags])


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state"]


def same(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resuming_beside_the_full_checkpoint_ends_as_if_nothing_had_happened(images: Path) -> None:
    """Checkpoints are saved where the original saves them: epochs whose number save_freq divides, and the last."""
    assert training("--stop_epoch", "4", "--save_freq", "2", "--checkpoint_dir", "whole") == 0
    assert sorted(path.name for path in Path("whole").glob("*.tar")) == ["0.tar", "2.tar", "3.tar"]
    assert training("--stop_epoch", "3", "--save_freq", "2") == 0
    resumed = ["--stop_epoch", "4", "--save_freq", "2", "--allow_resume", "1"]
    assert training(*resumed, "--resume_file", "ck/2.tar") == 0
    assert same(Path("ck/3.tar"), Path("whole/3.tar"))


def test_a_checkpoint_alone_gives_its_weights_and_its_epoch(images: Path) -> None:
    write_checkpoint("old/1.tar", build_backbone("resnet10", 30), 1)
    flags = ["--stop_epoch", "3", "--allow_resume", "1", "--resume_file", "old/1.tar", "--lr", "1e-30"]
    assert training(*flags, "--weight_decay", "0", "--momentum", "0") == 0
    assert [path.name for path in Path("ck").glob("*.tar")] == ["2.tar"]
    before, after = weights(Path("old/1.tar")), weights(Path("ck/2.tar"))
    assert all(torch.allclose(before[name], after[name]) for name in before if "running" not in name)
    log = [json.loads(line) for line in Path("ck/log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [3]
    assert training(*flags[:3], "0", "--stop_epoch", "1") == 0  # without leave to resume the run starts anew
    assert Path("ck/0.tar").is_file()


@pytest.mark.parametrize(("weight", "loss"), [("0", None), (None, "feature_l2"), ("0.5", "batch_sgm")])
def test_the_auxiliary_loss_is_on_unless_its_weight_is_0(
    weight: str | None, loss: str | None, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(main, "train_representation", lambda settings, *_, **how: asked.append((settings, how)))
    shared = "--traincfg base_classes_train_template.yaml --valcfg base_classes_val_template.yaml --checkpoint_dir ck"
    flags = [] if weight is None else ["--aux_loss_wt", weight]
    flags += ["--aux_loss_type", "batchsgm"] if weight == "0.5" else []
    assert main.main([*shared.split(), *flags]) == 0
    ((settings, how),) = asked
    assert (settings.loss, settings.loss_weight) == (loss, 0.1 if weight is None else float(weight))
    assert (settings.backbone, settings.epochs, settings.batch_size) == ("resnet18", 90, 24)
    assert (settings.warmup_epochs, settings.warmup_lr) == (0, 0.01)
    assert how["resume"] is False
