"""The command sequence of the original's README, as it stands there, on a tiny data set of ImageNet's shape.

Only the path of the programs is changed. What is added keeps it short: training starts at epoch 88, the low-shot phase
takes few steps, and the numbers of steps that have no flag come from the environment. docs/original.md says so too.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.compat import fixture

REPRESENTATION = r"""
mkdir -p checkpoints/ResNet10_sgm
python ./main.py --model ResNet10 \
  --traincfg base_classes_train_template.yaml \
  --valcfg base_classes_val_template.yaml \
  --print_freq 10 --save_freq 10 \
  --aux_loss_wt 0.02 --aux_loss_type sgm \
  --checkpoint_dir checkpoints/ResNet10_sgm
mkdir -p features/ResNet10_sgm
python ./save_features.py \
  --cfg train_save_data.yaml \
  --outfile features/ResNet10_sgm/train.hdf5 \
  --modelfile checkpoints/ResNet10_sgm/89.tar \
  --model ResNet10
python ./save_features.py \
  --cfg val_save_data.yaml \
  --outfile features/ResNet10_sgm/val.hdf5 \
  --modelfile checkpoints/ResNet10_sgm/89.tar \
  --model ResNet10
"""
GENERATOR = r"""
mkdir generation
python ./train_analogy_generator.py \
  --lowshotmeta label_idx.json \
  --trainfile features/ResNet10_sgm/train.hdf5 \
  --outdir generation \
  --networkfile checkpoints/ResNet10_sgm/89.tar \
  --initlr 1
"""
LOW_SHOT = r"""
python ./low_shot.py --lowshotmeta label_idx.json \
  --experimentpath experiment_cfgs/splitfile_{:d}.json \
  --experimentid  1 --lowshotn 2 \
  --trainfile features/ResNet10_sgm/train.hdf5 \
  --testfile features/ResNet10_sgm/val.hdf5 \
  --outdir results \
  --lr 1 --wd 0.001 \
  --testsetup 1
"""
GENERATION = r"""
python ./low_shot.py --lowshotmeta label_idx.json \
  --experimentpath experiment_cfgs/splitfile_{:d}.json \
  --experimentid  1 --lowshotn 2 \
  --trainfile features/ResNet10_sgm/train.hdf5 \
  --testfile features/ResNet10_sgm/val.hdf5 \
  --outdir results \
  --lr 1 --wd 0.001 \
  --testsetup 1 \
  --max_per_label 5 \
  --generator_name analogies \
  --generator_file generation/ResNet10_sgm/generator.tar
"""
RESULTS = r"""
python ./parse_results.py --resultsdir results \
  --repr ResNet10_sgm \
  --lr 1 --wd 0.001 \
  --max_per_label 5
"""
MATCHING_NETWORKS = r"""
python matching_network.py --test 0 \
  --trainfile features/ResNet10_sgm/train.hdf5 \
  --lowshotmeta label_idx.json \
  --modelfile matching_network_sgm.tar
python matching_network.py --test 1 \
  --trainfile features/ResNet10_sgm/train.hdf5 \
  --testfile features/ResNet10_sgm/val.hdf5 \
  --lowshotmeta label_idx.json \
  --modelfile matching_network_sgm.tar \
  --lowshotn 1 --experimentid 1 \
  --experimentpath experiment_cfgs/splitfile_{:d}.json \
  --outdir results
"""
# Two epochs at the end of the schedule, which sinks faster: two epochs leave a network that longer steps lead astray,
# and the generator's --initlr 1 is meant for the features of one that they do not.
SHORTER = {"main": ["--start_epoch", "88", "--step_size", "15"], "low_shot": ["--maxiters", "8"]}
METHODS = {"maxgen_0": LOW_SHOT, "maxgen_5": GENERATION}


class ReadmeRun:
    """All commands of the README, run in a folder for one network.

    Args:
        folder (Path): The folder with the fixture's files.
        model (str): ``ResNet10`` as in the README, or ``ResNet50``.
        own_processes (bool): True to run every program in a process of its own the first time; else all run in this
            one.
    """

    def __init__(self, folder: Path, model: str, own_processes: bool) -> None:
        self.folder = folder
        self.model = model
        self.runs = [(1, 2)] if not own_processes else [(e, n) for n in fixture.N_SHOTS for e in (1, 2)]
        self.printed = ""
        self._to_start = own_processes
        self._started: set[str] = set()

    def run_all(self) -> None:
        self._run(REPRESENTATION)
        self._run(GENERATOR)
        for experiment, n_shots in self.runs:
            for commands in METHODS.values():
                commands = commands.replace("--experimentid  1", f"--experimentid {experiment}")
                self._run(commands.replace("--lowshotn 2", f"--lowshotn {n_shots}"))
        self.printed = self._run(RESULTS)
        self._run(MATCHING_NETWORKS)

    def json(self, name: str) -> dict:
        return json.loads((self.folder / "results" / name).read_text())

    def _run(self, commands: str) -> str:
        """Run the commands and return the output of the last one."""
        printed = ""
        for line in commands.replace("\\\n", " ").replace("ResNet10", self.model).strip().splitlines():
            words = shlex.split(line)
            if words[0] == "mkdir":
                (self.folder / words[-1]).mkdir(parents=True)
                continue
            program = Path(words[1]).stem
            printed = self._program(program, [*words[2:], *SHORTER.get(program, [])])
        return printed

    def _program(self, program: str, arguments: list[str]) -> str:
        module = f"lowshot.compat.{program}"
        if self._to_start and program not in self._started:
            self._started.add(program)
            command = [sys.executable, "-m", module, *arguments]
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.chdir(self.folder):
            assert importlib.import_module(module).main(arguments) == 0
        return out.getvalue()


@pytest.fixture(scope="module", params=["ResNet10", "ResNet50"])
def readme(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadmeRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("LOWSHOT_COMPAT_STEPS", "2" if request.param == "ResNet10" else "1")
        folder = fixture.make(tmp_path_factory.mktemp(request.param))
        # Small batches: twenty steps, so that the running statistics of the batch norms are those of the data.
        train = ("base_classes_train_template.yaml", "base_classes_train_meta.json", fixture.TRAIN_TRANSFORM)
        fixture.write_config(folder / train[0], *train[1:], batch_size=6)
        done = ReadmeRun(folder, request.param, own_processes=request.param == "ResNet10")
        done.run_all()
        yield done


def test_checkpoints_are_the_originals(readme: ReadmeRun) -> None:
    folder = readme.folder / "checkpoints" / f"{readme.model}_sgm"
    assert sorted(path.name for path in folder.glob("*.tar")) == ["89.tar"]
    content = torch.load(folder / "89.tar", weights_only=True)
    assert set(content) == {"epoch", "state"}
    assert content["epoch"] == 89
    assert all(name.startswith("module.") for name in content["state"])
    width = {"ResNet10": 512, "ResNet50": 2048}[readme.model]
    assert content["state"]["module.classifier.weight"].shape == (1000, width)


def test_features_are_the_originals_in_the_order_of_the_list(readme: ReadmeRun) -> None:
    for part in ("train", "val"):
        listed = json.loads((readme.folder / f"{part}.json").read_text())
        with h5py.File(readme.folder / "features" / f"{readme.model}_sgm" / f"{part}.hdf5") as file:
            assert file["all_labels"][:].tolist() == listed["image_labels"]
            assert file["image_paths"].asstr()[:].tolist() == listed["image_names"]
            assert file["count"][:].tolist() == [len(listed["image_labels"])]
            assert file["all_feats"].dtype == np.float32
            assert np.isfinite(file["all_feats"][:]).all()
            assert file["all_feats"].shape[1] == {"ResNet10": 512, "ResNet50": 2048}[readme.model]


def test_the_generator_is_the_originals_with_a_cache_beside_it(readme: ReadmeRun) -> None:
    folder = readme.folder / "generation" / f"{readme.model}_sgm"
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "generator.tar"]
    content = torch.load(folder / "generator.tar", weights_only=True)
    classes = sum(map(len, fixture.BASE))
    assert content["num_base_classes"] == classes
    assert len(content["concatenated_centroids"]) == classes * content["num_clusters_per_class"]
    assert [name for name in content["model_state"] if name.endswith("weight")] == [
        "fc1.weight",
        "fc2.weight",
        "fc3.weight",
    ]


def test_each_run_leaves_its_result_under_the_originals_name(readme: ReadmeRun) -> None:
    expected = {
        f"{readme.model}_sgm_lr_1.000_wd_0.001_expid_{e}_lowshotn_{n}_{method}.json"
        for e, n in readme.runs
        for method in METHODS
    } | {f"MN_{readme.model}_sgm_expid_1_lowshotn_1.json"}
    assert set(os.listdir(readme.folder / "results")) == expected
    for name in expected:
        result = readme.json(name)
        assert set(result) == {"expid", "lowshotn", "accs"} | (set() if name.startswith("MN") else {"lr", "wd"})
        assert len(result["accs"]) == 6
        assert all(0 <= accuracy <= 1 for accuracy in result["accs"])


def test_the_printed_rows_are_the_means_of_the_results(readme: ReadmeRun) -> None:
    head, *rows = (line.split("  ") for line in readme.printed.splitlines())
    assert "novel top-1" in "  ".join(head)
    shots = sorted({n for _, n in readme.runs})
    means = []
    for n, row in zip(shots, rows):
        name = f"{readme.model}_sgm_lr_1.000_wd_0.001_expid_{{}}_lowshotn_{n}_maxgen_5.json"
        results = [readme.json(name.format(e))["accs"] for e in sorted({e for e, _ in readme.runs})]
        means.append([100 * statistics.fmean(values) for values in zip(*results)])
        cells = [cell.split()[0] for cell in row if cell]
        assert cells[0] == str(n)
        assert [float(cell) for cell in cells[1:7]] == pytest.approx(means[-1], abs=0.006)
    last = [cell.split()[0] for cell in rows[len(shots)] if cell.strip()]
    assert last[0] == "mean"
    assert [float(cell) for cell in last[1:]] == pytest.approx([statistics.fmean(v) for v in zip(*means)], abs=0.006)


def test_nothing_unfinished_is_left_behind(readme: ReadmeRun) -> None:
    left = [path.name for path in readme.folder.rglob("*") if path.name.startswith(".") or "unfinished" in path.name]
    assert not left
