"""docs/original.md: its commands are commands, its examples run."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.compat import low_shot, main
from lowshot.compat.generators import load_generator
from lowshot.recipe import load_recipe
from lowshot.registry import LOSSES
from tests.compat import features, fixture
from tests.test_published_recipes import PUBLISHED, RECIPES

PAGE = (Path(__file__).parents[2] / "docs" / "original.md").read_text()
LOSS, GENERATION = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_command_of_the_page_is_one() -> None:
    commands = re.findall(r"^    python -m lowshot\.compat\.(\w+) (.*)$", PAGE.replace("\\\n", " "), re.MULTILINE)
    assert {name for name, _ in commands} == {
        "main",
        "save_features",
        "train_analogy_generator",
        "low_shot",
        "parse_results",
        "matching_network",
    }
    for name, arguments in commands:
        importlib.import_module(f"lowshot.compat.{name}").flags().parse_args(shlex.split(arguments))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_flags_of_a_published_recipe_are_those_of_its_file(name: str) -> None:
    (line,) = re.findall(rf"^\| `{name}` \|(.*)\|$", PAGE, re.MULTILINE)
    train, plain, generator, generation = (cell.strip().strip("`") for cell in line.split("|"))
    needed = ["--traincfg", "t", "--valcfg", "v", "--checkpoint_dir", "c"]
    flags = main.flags().parse_args([*train.split(), *needed])
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    (representation,) = recipe.representations
    settings = recipe.train_settings(representation)
    assert flags.model.lower() == settings.backbone
    assert flags.aux_loss_wt == settings.loss_weight
    assert (main.LOSS_NAMES[flags.aux_loss_type] if flags.aux_loss_wt else None) == settings.loss
    assert flags.warmup_epochs == settings.warmup_epochs
    found = {}
    for cell in (plain, generation):
        if cell != "–":
            rates = dict(re.findall(r"--(\w+) (\S+)", cell))
            found[int(rates.get("max_per_label", 0))] = float(rates["lr"]), float(rates["wd"])
    methods = recipe.evaluate.methods.values()
    assert found == {m.n_per_class: (m.params["lr"], m.params["weight_decay"]) for m in methods}
    rates_of = [section.params["lr"] for section in recipe.generators.values()]
    assert [float(rate) for rate in re.findall(r"--initlr (\S+)", generator)] == rates_of


def test_the_loss_uses_scores_features_and_weights_and_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fixture.make(tmp_path))
    Path("towards.py").write_text(LOSS)
    tensors = [torch.randn(4, 6), torch.randn(4, 5), torch.randn(5, 6)]
    phi, scores, weight = (tensor.requires_grad_() for tensor in tensors)
    LOSSES.build("file:towards.py")(phi, scores, torch.tensor([0, 1, 2, 0]), weight).backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in (phi, scores, weight))
    how = "--aux_loss_type towards.py --aux_loss_wt 0.1 --model ResNet10 --stop_epoch 1 --num_classes 30"
    files = "--traincfg base_classes_train_template.yaml --valcfg base_classes_val_template.yaml --checkpoint_dir ck"
    assert main.main([*how.split(), *files.split()]) == 0
    assert Path("ck/0.tar").is_file()
    (record,) = [json.loads(line) for line in Path("ck/log.jsonl").read_text().splitlines()]
    assert record["loss"] == pytest.approx(record["cross_entropy"] + 0.1 * record["auxiliary"], rel=1e-4)
    assert record["auxiliary"] > 0


def test_the_generation_strategy_fills_classes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(features.make(tmp_path))
    Path("noise.py").write_text(GENERATION)
    np.save("spread.npy", np.full(8, 0.1, np.float32))
    strategy = ["--max_per_label", "5", "--generator_name", "noise.py", "--generator_file", "spread.npy"]
    assert low_shot.main([*features.LOW_SHOT, "--lowshotn", "1", "--maxiters", "5", *strategy]) == 0
    assert [path.name for path in Path("results").iterdir()] == [
        "net_lr_0.100_wd_0.001_expid_1_lowshotn_1_maxgen_5.json"
    ]
    shots = np.ones((3, 8), np.float32)
    made, labels = load_generator("noise.py", "spread.npy").generate(shots, [4, 4, 9], 5, random_state=0)
    assert sorted(labels.tolist()) == [4] * 5 + [9] * 5
    assert (made[:3] == 1).all()
    assert 0.05 < made[3:].std() < 0.2
