"""The program's accuracies are those of the procedure it claims to follow."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from lowshot.compat import classification, low_shot
from lowshot.compat.evaluation import read_run_data
from lowshot.compat.linear_sgd import Batches
from lowshot.compat.precision import only_float32
from lowshot.compat.program import Flags
from tests.compat import features
from tests.reference.low_shot_sgd import low_shot_accuracies

SEEDS = 40
N_SHOTS = 2
OUTPUTS = 20  # more than there are classes, as the original has it
RATES = {"lr": 0.3, "weight_decay": 0.003, "batch_size": 30}
# After many steps the outputs of no class lie far below the others; after few they are still among them.
MANY_STEPS, SOME_STEPS, FEW_STEPS = 60, 12, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return features.make(tmp_path_factory.mktemp("numbers"))


def program(folder: Path, n_steps: int, *flags: str) -> np.ndarray:
    """(SEEDS, 6) accuracies of the program on setup 1 with the same shots; only its seed, the experiment, differs."""
    found = []
    with contextlib.chdir(folder):
        for seed in range(SEEDS):
            shared = [flag.replace("{:d}", "1") for flag in features.LOW_SHOT]
            run = f"--experimentid {seed} --lowshotn {N_SHOTS} --testsetup 1 --numclasses {OUTPUTS} --lr {RATES['lr']}"
            how = f"--wd {RATES['weight_decay']} --maxiters {n_steps} --batchsize {RATES['batch_size']}"
            assert low_shot.main([*shared, *run.split(), *how.split(), *flags]) == 0
            name = f"net_lr_0.300_wd_0.003_expid_{seed}_lowshotn_{N_SHOTS}_maxgen_0.json"
            found.append(json.loads((folder / "results" / name).read_text())["accs"])
    return np.array(found)


@pytest.fixture(scope="module")
def ours(folder: Path) -> dict[int, np.ndarray]:
    """Accuracies of the program by number of steps."""
    return {n_steps: program(folder, n_steps) for n_steps in (MANY_STEPS, FEW_STEPS)}


def reference(folder: Path, n_steps: int, **how: float) -> np.ndarray:
    """The same of the plain procedure."""

    def read(part: str) -> tuple[np.ndarray, np.ndarray]:
        with h5py.File(folder / f"features/net/{part}.hdf5") as file:
            count = file["count"][0]
            return file["all_feats"][:count].astype(np.float64), file["all_labels"][:count]

    def of(classes: list[int], examples: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        rows = np.isin(examples[1], classes)
        return examples[0][rows], examples[1][rows]

    train, val = read("train"), read("val")
    base, novel = features.BASE[1], features.NOVEL[1]
    draw = json.loads((folder / "splitfile_1.json").read_text())
    rows = [row for c in novel for row in draw[c][:N_SHOTS]]
    shots, queries = (train[0][rows], train[1][rows]), of(base + novel, val)
    runs = [
        low_shot_accuracies(
            of(base, train),
            shots,
            queries,
            OUTPUTS,
            n_steps=n_steps,
            rng=np.random.default_rng(100 + seed),
            **RATES,
            **how,
        )
        for seed in range(SEEDS)
    ]
    return np.array(runs)


def standard_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the difference of two means of runs; at least what one query more or less in one run makes of it."""
    least = 1 / (72 * SEEDS)
    return np.sqrt(a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b) + least**2)


def deviation(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of the six means, in standard errors."""
    return float((np.abs(a.mean(axis=0) - b.mean(axis=0)) / standard_errors(a, b)).max())


@pytest.mark.parametrize("n_steps", [MANY_STEPS, FEW_STEPS])
def test_accuracies_over_all_outputs_agree_with_the_plain_procedure(
    folder: Path, ours: dict[int, np.ndarray], n_steps: int
) -> None:
    """Forty runs of each on the same shots; all six means differ by less than three standard errors."""
    assert ours[n_steps].var(axis=0).max() > 0
    assert deviation(ours[n_steps], reference(folder, n_steps)) < 3


def test_the_comparison_notices_another_procedure(folder: Path, ours: dict[int, np.ndarray]) -> None:
    """Batches that do not balance base and novel classes give accuracies many standard errors away."""
    assert deviation(ours[MANY_STEPS], reference(folder, MANY_STEPS, balanced=False)) > 6


def test_the_comparison_notices_when_outputs_of_no_class_do_not_compete(
    folder: Path, ours: dict[int, np.ndarray]
) -> None:
    assert deviation(ours[FEW_STEPS], reference(folder, FEW_STEPS, all_outputs=False)) > 6


def test_the_dampening_is_the_momentum_whatever_it_is(folder: Path) -> None:
    """With momentum 0.5 the accuracies are those of dampening 0.5, many standard errors from those of 0.9."""
    found = program(folder, SOME_STEPS, "--momentum", "0.5")
    assert deviation(found, reference(folder, SOME_STEPS, momentum=0.5, dampening=0.5)) < 3
    assert deviation(found, reference(folder, SOME_STEPS, momentum=0.5, dampening=0.9)) > 6


@pytest.fixture
def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Flags:
    monkeypatch.chdir(folder)
    how = "--lowshotn 2 --testsetup 1 --numclasses 20 --lr 1 --maxiters 40 --batchsize 30 --momentum 0.7"
    return low_shot.flags().parse_args([*features.LOW_SHOT, *how.split()])


def test_the_classifier_is_float32_sgd_step_by_step(given: Flags) -> None:
    """On the same batches, written out, torch's layer, loss and optimiser in float32 end in the same weights.

    The batches hold round(30 · 3/6) base examples, none twice, and shots drawn with replacement.
    """
    data = read_run_data(given, 20)
    shots = data.examples(data.shots)
    base = data.examples(data.train.rows_of(data.base))
    only_float32()
    weight, bias = classification._train(given, data, *shots)
    layer = torch.nn.Linear(8, 20)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter.uniform_(-(8**-0.5), 8**-0.5, generator=generator)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1, momentum=0.7, dampening=0.7, weight_decay=0.001)
    batches = Batches(60, 6, 15, 15, seed=1)
    for _ in range(40):
        rows, drawn, times = batches.draw()
        drawn = np.repeat(drawn, times)
        assert (len(rows), len(drawn)) == (15, 15)
        X = torch.from_numpy(np.concatenate([base[0][rows], shots[0][drawn]]))
        y = torch.from_numpy(np.concatenate([base[1][rows], shots[1][drawn]]))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(X), y).backward()
        optimizer.step()
    np.testing.assert_allclose(weight, layer.weight.detach().numpy(), atol=2e-5)
    np.testing.assert_allclose(bias, layer.bias.detach().numpy(), atol=2e-5)


def test_base_examples_come_once_in_a_batch_and_shots_with_replacement() -> None:
    batches = Batches(n_base=40, n_shots=5, from_base=12, from_shots=20, seed=0)
    of_base, of_shots, most = np.zeros(40), np.zeros(5), 0
    for _ in range(3000):
        base, drawn, times = batches.draw()
        assert len(set(base.tolist())) == len(base) == 12
        assert len(set(drawn.tolist())) == len(drawn)
        assert times.sum() == 20
        of_base[base] += 1
        of_shots[drawn] += times
        most = max(most, times.max())
    assert ((of_base - 900) ** 2 / 900).sum() < 72.1 * (1 - 12 / 40)  # without replacement counts vary less
    assert ((of_shots - 12_000) ** 2 / 12_000).sum() < 18.5  # the 99.9 % point for 4 degrees of freedom
    assert most > 10


def test_a_batch_larger_than_the_base_cannot_do_without_repeats() -> None:
    base, _, _ = Batches(3, 2, from_base=10, from_shots=4, seed=0).draw()
    assert len(base) == 10
