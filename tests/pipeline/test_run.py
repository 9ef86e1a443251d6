"""The whole road on a tiny recipe."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import run_recipe, validate_recipe
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages.report import _with_fit_seconds
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe

Write = Callable[..., Path]


def _records(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def _measured(output: Path) -> list[dict]:
    """The records without what may differ from run to run."""
    skip = {"seconds", "base_seconds", "time", "host"}
    return [{key: value for key, value in record.items() if key not in skip} for record in _records(output)]


def _running(path: Path, *overrides: str, force: tuple[str, ...] = ()) -> list[str]:
    """The keys of the stops that would run."""
    recipe = load_recipe(path, overrides)
    return [s.stage.key for s in Stamps(recipe.folder / "state").statuses(Plan(recipe).stages, force) if s.runs]


def test_the_whole_road_leaves_everything_it_promises(walked: Path) -> None:
    out = walked / "out"
    split = ClassSplit.from_json(out / "split" / "label_idx.json")
    store = FeatureStore.open(out / "features" / "sgm" / "train.hdf5")
    assert (len(store), store.dim) == (16 * 8, 12)
    Experiments.from_files(str(out / "split" / "splitfile_{:d}.json")).check(store.labels, store.paths)
    records = _records(out)
    test = [r for r in records if r["setup"] == "test"]
    assert len(test) == 2 * 2 * 2  # representations, numbers of shots, experiments
    assert {r["representation"] for r in test} == {"baseline", "sgm"}
    for record in test:
        assert 0 <= record["novel_top1"] <= record["novel_top5"] <= 1
        assert record["novel_top1"] <= record["novel_only_top1"]
        assert "all_prior_top5" in record
    assert len(split.novel_2) == 4
    for name in ("report.html", "tables.md", "tables.csv"):
        assert (out / "report" / name).stat().st_size > 100
    assert list((out / "report" / "figures").glob("*.pdf"))
    assert "epochs: 2" in (out / "recipe.yaml").read_text()


def test_a_second_run_does_nothing_and_a_change_redoes_only_what_it_touches(finished: Path) -> None:
    path = finished
    assert _running(path) == []
    assert _running(path, "evaluate.calibrate=none") == ["evaluate:baseline/linear", "evaluate:sgm/linear", "report"]
    assert _running(path, "representations.sgm.train.loss_weight=0.5") == [
        "train:sgm",
        "extract:sgm",
        "evaluate:sgm/linear",
        "report",
    ]
    assert _running(path, "report.title=Other") == ["report"]
    assert _running(path, "train.devices=2", "extract.devices=2") == []
    assert "train:baseline" in _running(path, "seed=1")
    assert "train:baseline" in _running(path, "train.epochs=3")
    assert _running(path, force=("evaluate",))[0] == "evaluate:baseline/linear"


def test_the_same_recipe_and_seed_give_the_same_bytes(walked: Path, write_recipe: Write, tmp_path: Path) -> None:
    def digests(output: Path) -> dict[str, str]:
        files = [
            *output.glob("features/*/*.hdf5"),
            *output.glob("split/*.json"),
            *output.glob("representations/*/checkpoints/*"),
        ]
        return {str(f.relative_to(output)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    run_recipe(write_recipe())
    first, second = digests(walked / "out"), digests(tmp_path / "out")
    assert len(first) > 6
    assert first == second
    assert _measured(walked / "out") == _measured(tmp_path / "out")


def test_changed_training_settings_keep_the_old_run_aside(finished: Path, tmp_path: Path) -> None:
    run_recipe(finished, ["train.lr=0.01"], only="train")
    kept = list((tmp_path / "out" / "representations" / "replaced").glob("baseline-*/checkpoints/epoch_002.ckpt"))
    assert len(kept) == 1
    assert (tmp_path / "out" / "representations" / "baseline" / "checkpoints" / "epoch_002.ckpt").exists()


def test_a_longer_training_goes_on_from_the_shorter_one(finished: Path, tmp_path: Path) -> None:
    run_recipe(finished, ["train.epochs=3"], only="train")
    assert not (tmp_path / "out" / "representations" / "replaced").exists()
    log = (tmp_path / "out" / "representations" / "baseline" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3]


def test_a_stop_alone_asks_for_what_it_needs(write_recipe: Write) -> None:
    path = write_recipe()
    with pytest.raises(InputError, match=r"extract:baseline needs train:baseline.*run `lowshot train`"):
        run_recipe(path, only="extract")
    for kind in ("split", "train", "extract", "evaluate", "report"):
        run_recipe(path, only=kind)
    assert _running(path) == []


def test_a_dry_run_changes_nothing(write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(write_recipe(), dry_run=True)
    assert not (tmp_path / "out").exists()
    printed = capsys.readouterr().out
    assert "evaluate:sgm/linear" in printed
    assert "would run" in printed


def test_features_made_elsewhere_take_the_place_of_training(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = {part: str(tmp_path / "out" / "features" / "sgm" / f"{part}.hdf5") for part in ("train", "test")}
    path = write_recipe(representations={"given": {"features": features}}, data={}, train={}, plugins=[], name="given")
    run_recipe(path, output=tmp_path / "given", only="split")
    run_recipe(path, output=tmp_path / "given", only="evaluate")
    ours = [r["all_top5"] for r in _records(tmp_path / "out") if r["representation"] == "sgm" and r["setup"] == "test"]
    theirs = [r["all_top5"] for r in _records(tmp_path / "given") if r["setup"] == "test"]
    assert ours == theirs


def test_a_checkpoint_takes_the_place_of_training(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    checkpoint = tmp_path / "out" / "representations" / "sgm" / "checkpoints" / "epoch_002.ckpt"
    path = write_recipe(representations={"given": {"checkpoint": str(checkpoint)}})
    run_recipe(path, output=tmp_path / "given", only="extract")
    ours = FeatureStore.open(tmp_path / "out" / "features" / "sgm" / "test.hdf5").features
    theirs = FeatureStore.open(tmp_path / "given" / "features" / "given" / "test.hdf5").features
    assert (ours == theirs).all()


def test_experiments_of_other_data_are_refused(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    pattern = str(tmp_path / "out" / "split" / "splitfile_{:d}.json")
    other = {"experiments": 2, "max_shots": 5, "base": [4, 4], "novel": [4, 4], "experiment_files": pattern}
    data = {"dataset": "glyphs", "options": {"classes": 16, "train_per_class": 9, "image_size": 16}, "preset": "small"}
    path = write_recipe(split=other, data=data)
    with pytest.raises(InputError, match=r"experiments were made for other data|images were in another order"):
        run_recipe(path, output=tmp_path / "other")


def test_validate_names_everything_that_is_missing(write_recipe: Write, tmp_path: Path) -> None:
    assert "2 representations × 1 methods" in validate_recipe(write_recipe())
    path = write_recipe(
        representations={"a": {"checkpoint": "no.ckpt"}, "b": {"features": {"train": "no.hdf5", "test": "nor.hdf5"}}},
        split={"base": [4, 4], "novel": [40, 4], "max_shots": 5},
    )
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    for words in ("no.ckpt does not exist", "no.hdf5 does not exist", "nor.hdf5 does not exist", "need 52 classes"):
        assert str(caught.value).count(words) == 1


def test_validate_names_mistakes_of_every_kind_at_once(write_recipe: Write) -> None:
    path = write_recipe(
        trian={},
        data={"dataset": "glyphs", "preset": "smal", "root": "nowhere"},
        split={"base": [4, 4], "novel": [4000, 4], "max_shots": 5},
        train={"epochs": "ten", "backbone": "resnet11", "loss": "sgmm"},
        evaluate={"n_shots": [1], "methods": {"m": {"classifier": "logistic", "params": {"lr": "fast", "lrr": 1}}}},
    )
    with pytest.raises(InputError) as caught:
        validate_recipe(path)
    text = str(caught.value)
    for words in (
        "trian: unknown key",
        "train.epochs: input should be a valid integer",
        "Did you mean 'small'",
        "'resnet10'",
        "'sgm'",
        "has no parameter 'lrr'",
        "parameter 'lr': input should be a valid number, unable to parse string as a number, got 'fast'",
        "data set 'glyphs' has no parameter 'root'",
    ):
        assert words in text, text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.backbone=timm:nothere"], "nothere"),
        (["train.backbone=resnet10", "train.backbone_options.stem=tiny"], "tiny"),
        (["evaluate.methods.linear.params.lr=fast"], "parameter 'lr'"),
        (["split.novel=[4,400]"], "need 412 classes"),
    ],
)
def test_what_validate_calls_sound_does_not_fail_later(write_recipe: Write, changes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate_recipe(write_recipe(), changes)


def test_a_checkpoint_of_another_architecture_is_refused(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    checkpoint = tmp_path / "out" / "representations" / "sgm" / "checkpoints" / "epoch_002.ckpt"
    path = write_recipe(representations={"given": {"checkpoint": str(checkpoint)}}, train={"backbone": "resnet18"})
    message = "'resnet18' in the recipe, but 'pipeline_tiny' in the checkpoint"
    with pytest.raises(InputError, match=message):
        validate_recipe(path)
    with pytest.raises(InputError, match=message):
        run_recipe(path, output=tmp_path / "given")
    assert not (tmp_path / "given" / "features").exists()


def test_experiments_that_cannot_be_made_leave_no_half_of_a_split(write_recipe: Write, tmp_path: Path) -> None:
    path = write_recipe(
        split={"base": [4, 4], "novel": [4, 4], "max_shots": 20}, evaluate={"n_shots": [1, 20], "methods": {"m": {}}}
    )
    with pytest.raises(InputError, match="has 8 images in experiment 1, but 20 shots are asked for"):
        run_recipe(path)
    assert not (tmp_path / "out" / "split").exists()


def test_features_with_nan_are_refused_and_nothing_is_measured(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = {part: str(tmp_path / "out" / "features" / "sgm" / f"{part}.hdf5") for part in ("train", "test")}
    with h5py.File(features["test"], "r+") as file:
        file["all_feats"][5, 3] = np.nan
    path = write_recipe(representations={"given": {"features": features}}, name="given")
    for call in (lambda: validate_recipe(path), lambda: run_recipe(path, output=tmp_path / "given")):
        with pytest.raises(InputError, match=r"test\.hdf5.*row 5"):
            call()
    assert not (tmp_path / "given" / "results").exists()


def test_tables_are_printed_again_when_all_is_up_to_date(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(finished)
    assert "Top-5, novel classes" in capsys.readouterr().out


def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(
    walked: Path, write_recipe: Write, tmp_path: Path
) -> None:
    path = write_recipe()
    command = [sys.executable, "-m", "lowshot", "run", str(path), "--output", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "representations" / "baseline" / "checkpoints" / "epoch_001.ckpt"
    for _ in range(600):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_recipe(path, output=tmp_path / "killed")
    assert _measured(walked / "out") == _measured(tmp_path / "killed")


FITTED = ("generator-baseline-analogies", "classifier-baseline-matching")


def test_generators_and_learned_classifiers_have_stops_of_their_own(
    walked: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = {part: str(walked / "out" / "features" / "baseline" / f"{part}.hdf5") for part in ("train", "test")}
    methods = {
        "linear": {"params": {"n_steps": 20, "batch_size": 50}},
        "hallucinated": {"params": {"n_steps": 20, "batch_size": 50}, "generator": "analogies", "n_per_class": 5},
        "matching": {"classifier": "matching_network", "params": {"n_episodes": 3, "n_way": 4}},
    }
    path = write_recipe(
        representations={"baseline": {"features": features}},
        generators={
            "analogies": {"generator": "analogies", "params": {"n_clusters": 3, "n_steps": 20}},
            "unused": {"generator": "difference"},
        },
        evaluate={"n_shots": [1, 5], "methods": methods},
    )
    run_recipe(path)
    out = tmp_path / "out"
    assert [f.name for f in (out / "generators" / "baseline").glob("*.safetensors")] == ["analogies.safetensors"]
    assert [f.name for f in (out / "classifiers" / "baseline").glob("*.safetensors")] == ["matching.safetensors"]
    assert {r["method"] for r in _records(out)} == set(methods)
    assert _running(path) == []
    plan = Plan(load_recipe(path))
    records = _with_fit_seconds(plan.inputs, plan.results, plan.stages)
    took = {(r["method"], r.get("stage_seconds")) for r in records}
    stamp = {m: json.loads((out / "state" / f"fit-{m}.json").read_text())["seconds"] for m in FITTED}
    assert took == {("linear", None), ("hallucinated", stamp[FITTED[0]]), ("matching", stamp[FITTED[1]])}
    more_steps = "generators.analogies.params.n_steps=30"
    assert _running(path, more_steps) == [
        "fit-generator:baseline/analogies",
        "evaluate:baseline/hallucinated",
        "report",
    ]
    more_episodes = "evaluate.methods.matching.params.n_episodes=4"
    assert _running(path, more_episodes) == ["fit-classifier:baseline/matching", "evaluate:baseline/matching", "report"]

    before = {r["task"] for r in _records(out)}
    run_recipe(path, [more_steps, more_episodes])
    after = {r["task"]: r["method"] for r in _records(out)}
    kept = {task for task in after if task in before}
    assert {after[task] for task in kept} == {"linear"}  # nothing that rests on the old generator or network is reused


def test_methods_that_train_alike_share_one_network(walked: Path, write_recipe: Write) -> None:
    features = {part: str(walked / "out" / "features" / "baseline" / f"{part}.hdf5") for part in ("train", "test")}
    matching = {"classifier": "matching_network", "params": {"n_episodes": 3}}
    more = {"classifier": "matching_network", "params": {"n_episodes": 3, "n_support": 7}}
    path = write_recipe(
        representations={"baseline": {"features": features}},
        generators={"difference": {"generator": "difference"}},
        evaluate={
            "n_shots": [1, 5],
            "methods": {"alone": matching, "more": {**more, "generator": "difference", "n_per_class": 5}},
        },
    )

    def trained(*overrides: str) -> list[str]:
        return [key for key in _running(path, *overrides) if key.startswith("fit-classifier")]

    assert trained() == ["fit-classifier:baseline/alone"]
    phase = Plan(load_recipe(path)).phases["baseline"]
    assert phase.params("more")["pretrained"] == phase.params("alone")["pretrained"]
    longer = "evaluate.methods.more.params.n_episodes=4"
    assert trained(longer) == ["fit-classifier:baseline/alone", "fit-classifier:baseline/more"]


@pytest.mark.parametrize("names", [("WORLD_SIZE", "RANK"), ("SLURM_NTASKS", "SLURM_PROCID")], ids=["torchrun", "slurm"])
def test_the_ranks_of_a_launcher_walk_one_road_together(names: tuple[str, str], write_recipe: Write) -> None:
    path = write_recipe(representations={"baseline": {"train": {"backbone": "witness"}}})
    with open(path.parent / "tiny_backbone.py", "a") as plugin:
        plugin.write(WITNESS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    size, number = names
    shared = {**os.environ, size: "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    if size == "WORLD_SIZE":
        shared |= {"LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "lowshot", "run", str(path)],
            env={**shared, number: str(rank), "LOCAL_RANK": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"},
        )
        for rank in range(2)
    ]
    for rank in ranks:
        rank.wait(300)  # judged by what they leave: gloo may abort a process whose work is done
    out = path.parent / "out"
    assert {f.name for f in path.parent.glob("rank-*")} == {"rank-0-of-2", "rank-1-of-2"}
    assert len(FeatureStore.open(out / "features" / "baseline" / "train.hdf5")) == 16 * 8
    epochs = (out / "representations" / "baseline" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in epochs] == [1, 2]
    assert len([r for r in _records(out) if r["setup"] == "test"]) == 2 * 2
    assert (out / "report" / "report.html").exists()


WITNESS = """

from pathlib import Path
import torch


@BACKBONES.register("witness", "pipeline_tiny that leaves a file per process that trains it, for tests")
def witness(num_classes: int) -> Backbone:
    place, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    (Path(__file__).parent / f"rank-{place}-of-{ranks}").touch()
    return tiny(num_classes)
"""


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"generator": "analogies", "n_per_class": 5}, "'analogies' is not in the generators section"),
        ({"n_per_class": 5}, "generator and n_per_class go together"),
    ],
)
def test_a_method_whose_generation_is_not_whole_is_refused(write_recipe: Write, method: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(write_recipe(evaluate={"n_shots": [1], "methods": {"m": method}}))


def test_a_changed_plugin_file_makes_everything_stale_that_it_may_have_touched(finished: Path) -> None:
    plugin = finished.parent / "tiny_backbone.py"
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    assert {"train:baseline", "extract:sgm", "evaluate:sgm/linear", "report"} <= set(_running(finished))


@pytest.mark.parametrize("case", ["nothing to generate", "one held-out image", "features from elsewhere"])
def test_the_report_copes_with_little_to_show_of_a_generator(
    walked: Path, write_recipe: Write, tmp_path: Path, case: str
) -> None:
    features = {part: str(walked / "out" / "features" / "baseline" / f"{part}.hdf5") for part in ("train", "test")}
    method = {"params": {"n_steps": 5}, "generator": "difference", "n_per_class": 4}
    sections: dict = {
        "generators": {"difference": {"generator": "difference"}},
        "evaluate": {"n_shots": [1, 2], "calibrate": "none", "methods": {"m": method}},
        "representations": {"given": {"features": features}},
    }
    if case != "features from elsewhere":
        sections["representations"] = {"baseline": {}}
        sections["train"] = {"backbone": "pipeline_tiny", "epochs": 1, "batch_size": 16, "lr": 0.05}
    if case == "nothing to generate":
        method["n_per_class"] = 1
    if case == "one held-out image":
        options = {"classes": 16, "train_per_class": 8, "test_per_class": 1, "image_size": 16}
        transform = {"image_size": 16, "flip": False}
        sections["data"] = {"dataset": "glyphs", "options": options, "preset": "small", "transform": transform}
    run_recipe(write_recipe(**sections))
    assert "Generator difference on" in (tmp_path / "out" / "report" / "report.html").read_text()
    figures = {f.name for f in (tmp_path / "out" / "report" / "figures").glob("generator_*.png")}
    assert any("projection" in name for name in figures)
    assert any("neighbours" in name for name in figures) == (case == "one held-out image")


def test_a_finished_training_leaves_the_checkpoints_of_other_methods(
    walked: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = {part: str(walked / "out" / "features" / "baseline" / f"{part}.hdf5") for part in ("train", "test")}
    other = tmp_path / "out" / "classifiers" / "given" / "mn-plain-0123456789abcdef.ckpt"
    other.parent.mkdir(parents=True)
    other.write_text("unfinished")
    method = {"classifier": "matching_network", "params": {"n_episodes": 1, "n_way": 3}}
    path = write_recipe(
        representations={"given": {"features": features}}, evaluate={"n_shots": [1], "methods": {"mn": method}}
    )
    run_recipe(path, only="fit-classifier")
    assert other.read_text() == "unfinished"
    assert [f.name for f in other.parent.iterdir() if f.name.startswith("mn.")] == ["mn.safetensors"]
