"""``lowshot convert``: every kind both ways, what is said about it, and what is never overwritten or half-written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lowshot.benchmark.results import ResultStore, write_records
from lowshot.classifiers import NearestMean
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.cli import run
from lowshot.compat.formats.results import Run, read_runs, to_records, write_run
from lowshot.hallucination import Generator
from lowshot.representation import build_backbone, load_backbone
from lowshot.representation.backbones import attach_head
from lowshot.torch_files import save_torch
from tests.compat.formats.old_files import generator_content, matching_state, save, state
from tests.compat.formats.test_features_and_splits import DRAWS, LABELS, NAMES, PATHS, bare, original, ours


@pytest.fixture
def convert(capsys):
    """Run the command: its exit code and all that it printed, on one line."""

    def command(*arguments):
        code = run(["convert", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    return command


def test_a_checkpoint_goes_both_ways(tmp_path, convert):
    weights = state("ResNet10", 3)
    save(tmp_path / "89.tar", {"epoch": 89, "state": {**weights, "module.classifier.bias": torch.zeros(3)}})
    code, said = convert(tmp_path / "89.tar", tmp_path / "a.ckpt", "--model", "ResNet10")
    assert code == 0
    assert "checkpoint of ResNet10 with 3 classes after 90 epochs" in said
    assert "classifier.bias was left out" in said
    assert "cannot train on" in said
    backbone = load_backbone(tmp_path / "a.ckpt")
    assert torch.equal(backbone.classifier.weight, weights["module.classifier.weight"])

    code, said = convert(tmp_path / "a.ckpt", tmp_path / "b.tar")
    assert code == 0
    written = torch.load(tmp_path / "b.tar", weights_only=True)
    assert written["epoch"] == 89
    assert list(written["state"]) == list(weights)
    assert all(torch.equal(written["state"][name], value) for name, value in weights.items())


def test_what_only_lowshots_checkpoint_holds_is_named(tmp_path, convert):
    backbone = build_backbone("resnet10", 2)
    content = {"epoch": 3, "state": backbone.state_dict(), "backbone": backbone.config, "optimizer": {"lr": 1.0}}
    save_torch(tmp_path / "a.ckpt", {**content, "class_names": ["x", "y"], "random": None})
    code, said = convert(tmp_path / "a.ckpt", tmp_path / "2.tar")
    assert code == 0
    assert "left out, for the original has no place for it: class_names, optimizer" in said
    assert torch.load(tmp_path / "2.tar", weights_only=True)["epoch"] == 2


def test_a_generator_goes_both_ways(tmp_path, convert):
    content = generator_content()
    save(tmp_path / "generator.tar", content)
    code, said = convert(tmp_path / "generator.tar", tmp_path / "a.safetensors")
    assert code == 0
    assert "generator of 3 base classes on 4-wide features" in said
    assert Generator.load(tmp_path / "a.safetensors").n_clusters == 2
    assert convert(tmp_path / "a.safetensors", tmp_path / "b.tar")[0] == 0
    written = torch.load(tmp_path / "b.tar", weights_only=True)
    assert list(written["model_state"]) == list(content["model_state"])
    assert torch.equal(written["concatenated_centroids"], content["concatenated_centroids"])
    assert all(torch.equal(written["model_state"][name], value) for name, value in content["model_state"].items())


def test_a_matching_network_goes_both_ways(tmp_path, convert):
    save(tmp_path / "mn.tar", weights := matching_state())
    code, said = convert(tmp_path / "mn.tar", tmp_path / "a.safetensors", "--query-steps", 3)
    assert code == 0
    assert "it will 3 times" in said
    assert load_classifier(tmp_path / "a.safetensors").query_steps == 3
    assert convert(tmp_path / "a.safetensors", tmp_path / "b.tar")[0] == 0
    written = torch.load(tmp_path / "b.tar", weights_only=True)
    assert set(written) == set(weights)
    assert all(torch.equal(written[name], value) for name, value in weights.items())
    assert convert(tmp_path / "a.safetensors", tmp_path / "c.tar", "--names", "one", "two")[0] == 0
    assert {name.partition(".")[0] for name in torch.load(tmp_path / "c.tar", weights_only=True)} == {"one", "two"}


def test_features_are_laid_out_anew(tmp_path, convert):
    original(tmp_path / "old.hdf5", dtype="f2", chunks=(2, 4))
    code, said = convert(tmp_path / "old.hdf5", tmp_path / "new.hdf5")
    assert code == 0
    assert "features, 9 rows of 4" in said
    assert "3 rows of padding were left out" in said
    assert "float16 became float32" in said
    ours(tmp_path / "ours.hdf5")
    code, said = convert(tmp_path / "ours.hdf5", tmp_path / "theirs.hdf5")
    assert code == 0
    assert "no place for it: image paths, class names" in said
    with h5py.File(tmp_path / "theirs.hdf5") as file:
        assert set(file) == {"all_feats", "all_labels", "count"}
    # Whose format is asked for decides where both could be meant.
    assert convert(tmp_path / "ours.hdf5", tmp_path / "again.hdf5", "--to", "lowshot")[0] == 0
    assert (tmp_path / "again.hdf5").read_bytes() == (tmp_path / "ours.hdf5").read_bytes()


def test_experiments_gain_and_lose_their_image_paths(tmp_path, convert):
    ours(tmp_path / "train.hdf5")
    pattern = bare(tmp_path, DRAWS)
    code, said = convert(pattern, tmp_path / "new" / "{:d}.json", "--features", tmp_path / "train.hdf5")
    assert code == 0
    assert "2 experiments of 3 classes" in said
    assert "note" not in said
    found = json.loads((tmp_path / "new" / "2.json").read_text())
    assert (found["class_names"], found["shots"]) == (NAMES, DRAWS[1])
    assert found["paths"] == [[PATHS[row] for row in rows] for rows in DRAWS[1]]
    code, said = convert(tmp_path / "new" / "{:d}.json", tmp_path / "bare_{:d}.json")
    assert code == 0
    assert "rows in another order will no longer be noticed" in said
    assert [json.loads((tmp_path / f"bare_{number}.json").read_text()) for number in (1, 2)] == DRAWS
    code, said = convert(tmp_path / "splitfile_1.json", tmp_path / "one.json")
    assert code == 0
    assert "no image paths were known: give --features" in said
    assert "not checked against labels" in said
    original(tmp_path / "theirs.hdf5", labels=LABELS)
    code, said = convert(tmp_path / "splitfile_1.json", tmp_path / "two.json", "--features", tmp_path / "theirs.hdf5")
    assert code == 0
    assert "theirs.hdf5 has no image paths, so none were added" in said
    assert "give --features" not in said
    assert "not checked against labels" not in said


def test_results_go_both_ways(tmp_path, convert):
    some = [Run("R", e, n, (e / 10,) * 6, 0.1, 0.01, 5) for e in (1, 2) for n in (1, 5)]
    some += [Run("R", 1, 1, (0.5,) * 6)]
    for one in some:
        write_run(tmp_path / "results", one)
    code, said = convert(tmp_path / "results", tmp_path / "results.jsonl", "--setup", "val")
    assert code == 0
    assert "5 results of setup 'val'" in said
    assert {record["setup"] for record in ResultStore(tmp_path / "results.jsonl").records} == {"val"}
    code, said = convert(tmp_path / "results.jsonl", tmp_path / "back", "--setup", "val")
    assert code == 0
    assert sorted(read_runs(tmp_path / "back"), key=str) == sorted(some, key=str)
    for file in (tmp_path / "results").iterdir():
        assert (tmp_path / "back" / file.name).read_bytes() == file.read_bytes()


def test_a_class_split_is_checked_and_written_anew(tmp_path, convert):
    groups = {f"{kind}_classes_{half}": [i] for i, (kind, half) in enumerate([("base", 1), ("base", 2)])}
    value = {**groups, "novel_classes_1": [2], "novel_classes_2": [3], "base_classes": [0, 1]}
    (tmp_path / "label_idx.json").write_text(json.dumps({**value, "label_names": list("abcd")}))
    code, said = convert(tmp_path / "label_idx.json", tmp_path / "new.json")
    assert code == 0
    assert "class split of 2 base and 2 novel of 4 classes" in said
    assert json.loads((tmp_path / "new.json").read_text()) == {**value, "label_names": list("abcd")}


def test_the_commands_of_the_page_run_as_they_stand(tmp_path, convert, monkeypatch):
    """docs/convert.md in an empty folder with the sources it speaks of."""
    page = (Path(__file__).parents[2] / "docs" / "convert.md").read_text()
    commands = [shlex.split(line)[2:] for line in page.splitlines() if line.startswith("    lowshot convert ")]
    assert len(commands) == 8
    monkeypatch.chdir(tmp_path)
    for folder in ("checkpoints/ResNet10_sgm", "generation/ResNet10_sgm", "features/ResNet10_sgm", "experiment_cfgs"):
        Path(folder).mkdir(parents=True)
    save(Path("checkpoints/ResNet10_sgm/89.tar"), {"epoch": 89, "state": state("ResNet10", 2)})
    save(Path("generation/ResNet10_sgm/generator.tar"), generator_content())
    save(Path("matching.tar"), matching_state())
    original(Path("features/ResNet10_sgm/train.hdf5"))
    bare(Path("experiment_cfgs"), DRAWS)
    write_run("results", Run("R", 1, 1, (0.5,) * 6, 0.1, 0.01, 0))
    for arguments in commands:
        code, said = convert(*arguments)
        assert code == 0, said
    assert [path.name for path in Path("results").iterdir()] == [path.name for path in Path("results_again").iterdir()]


# --------------------------------------------------------------------- refusals


def refused(tmp_path, convert, *arguments):
    """Return the message of a refused conversion, which must leave everything as it was."""
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    code, said = convert(*arguments)
    assert code == 2, said
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    return said


def test_nothing_is_replaced_without_force(tmp_path, convert):
    save(tmp_path / "generator.tar", generator_content())
    for target in ("a.safetensors", "1.json", "b/R_lr_0.100_wd_0.010_expid_1_lowshotn_1_maxgen_0.json"):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        (tmp_path / target).write_text("precious")
    bare(tmp_path, DRAWS)
    write_records(tmp_path / "r.jsonl", to_records([Run("R", 1, 1, (0.5,) * 6, 0.1, 0.01, 0)]))
    for source, target in (
        ("generator.tar", "a.safetensors"),
        ("splitfile_{:d}.json", "{:d}.json"),
        ("splitfile_1.json", "1.json"),
        ("r.jsonl", "b"),
    ):
        assert "exists: give --force to replace it" in refused(tmp_path, convert, tmp_path / source, tmp_path / target)
        assert convert(tmp_path / source, tmp_path / target, "--force")[0] == 0
    assert "b is a folder: expected a file to write" in refused(
        tmp_path, convert, tmp_path / "generator.tar", tmp_path / "b", "--force"
    )


def test_sources_of_no_known_kind_are_refused(tmp_path, convert):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "x.json").write_text('{"a": 1}')
    (tmp_path / "one.json").write_text('{"accs": [1]}')
    save(tmp_path / "x.tar", {"weights": torch.zeros(1)})
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "x.safetensors")
    save_classifier(NearestMean().fit(np.eye(2, dtype=np.float32), [0, 1]), tmp_path / "means.safetensors")
    for name, message in {
        "nothing.tar": "nothing.tar does not exist",
        "splitfile_{:d}.json": "splitfile_1.json does not exist",
        "empty": "holds no results",
        "x.txt": "x.txt is truncated or not a file that torch wrote",
        "x.json": "x.json is nothing that lowshot converts: it is JSON of another kind. It converts checkpoints",
        "one.json": "one result of the original: give the folder",
        "x.tar": "nothing that lowshot converts: torch wrote it, but it holds weights",
        "x.safetensors": "a safetensors file that lowshot did not write",
        "means.safetensors": "holds a NearestMean, which the original does not have",
    }.items():
        assert message in refused(tmp_path, convert, tmp_path / name, tmp_path / "out")


def test_wrong_weights_and_wrong_rows_are_refused(tmp_path, convert):
    save(tmp_path / "0.tar", {"epoch": 0, "state": state("ResNet10", 2)})
    assert "give --model ResNet10" in refused(
        tmp_path, convert, tmp_path / "0.tar", tmp_path / "out", "--model", "ResNet18"
    )
    bare(tmp_path, [[[1], [0], [2]]])
    original(tmp_path / "train.hdf5", labels=LABELS)
    said = refused(
        tmp_path, convert, tmp_path / "splitfile_1.json", tmp_path / "o", "--features", tmp_path / "train.hdf5"
    )
    assert "lists row 1 as a shot of class 0, but the data have label 1" in said
    assert "already: there is nothing to convert" in refused(
        tmp_path, convert, tmp_path / "0.tar", tmp_path / "out", "--to", "original"
    )


def test_a_target_that_cannot_be_written_is_named(tmp_path, convert):
    save(tmp_path / "generator.tar", generator_content())
    (tmp_path / "file").write_text("in the way")
    said = refused(tmp_path, convert, tmp_path / "generator.tar", tmp_path / "file" / "a.safetensors")
    assert "file/a.safetensors cannot be written: " in said


def test_a_small_stem_has_no_place_in_the_original(tmp_path, convert):
    backbone = build_backbone("resnet10", 2, stem="small")
    save_torch(tmp_path / "a.ckpt", {"epoch": 3, "state": backbone.state_dict(), "backbone": backbone.config})
    said = refused(tmp_path, convert, tmp_path / "a.ckpt", tmp_path / "2.tar")
    assert "the original program has no network 'resnet10', stem=small" in said


def test_a_cosine_head_has_no_place_in_the_original(tmp_path, convert):
    backbone = attach_head(build_backbone("resnet10", 2), [{"cosine_head": {}}])
    save_torch(tmp_path / "a.ckpt", {"epoch": 3, "state": backbone.state_dict(), "backbone": backbone.config})
    said = refused(tmp_path, convert, tmp_path / "a.ckpt", tmp_path / "2.tar")
    assert "the original program has no cosine_head, only a linear one" in said
