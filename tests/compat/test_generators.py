"""The generators that ``low_shot`` takes by name, and what they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.compat.generators import load_generator
from lowshot.compat.stored_analogies import StoredAnalogies
from lowshot.errors import InputError
from lowshot.hallucination import CalibrationGenerator
from tests.compat.formats.old_files import generator_content, save
from tests.compat.workspace import GENERATION, LOW_SHOT, PLUGIN, base_examples, generator, run
from tests.reference.generator import Network


def test_the_originals_two_functions_work_as_a_file_and_as_a_module(
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
        made = load_generator(name, "state.txt").generate(np.ones((1, 2), np.float32), [4], 3)
        assert made[0].tolist() == [[1, 1], [1.5, 1.5], [1.5, 1.5]]
    assert found[0] == found[1]


def test_generators_of_lowshot_work_by_name(folder: Path) -> None:
    CalibrationGenerator().fit(*base_examples()).save("calibration.safetensors")
    generator().save("analogies.safetensors")
    for name in ("calibration", "analogies"):
        flags = ["--max_per_label", "3", "--generator_name", name, "--generator_file", f"{name}.safetensors"]
        assert run(*LOW_SHOT, *flags) == 0
    assert run(*LOW_SHOT, *flags, "--generator_name", "calibration") == 2


def test_a_name_without_max_per_label_is_accepted_and_generates_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*LOW_SHOT) == 0
    (path,) = (folder / "results").iterdir()
    assert path.name == "net_lr_0.100_wd_0.001_expid_1_lowshotn_1_maxgen_0.json"
    without = path.read_text()
    for file in ("generator.tar", "no.tar"):
        path.unlink()
        assert run(*LOW_SHOT, "--generator_name", "analogies", "--generator_file", file) == 0
        assert path.read_text() == without
        assert "generates nothing without --max_per_label" in capsys.readouterr().err


def test_generated_features_change_the_result_and_its_name(folder: Path) -> None:
    assert run(*GENERATION, "--maxiters", "50") == 0
    assert run(*LOW_SHOT, "--maxiters", "50") == 0
    with_them, without = (
        json.loads((folder / f"results/net_lr_0.100_wd_0.001_expid_1_lowshotn_1_maxgen_{n}.json").read_text())
        for n in (3, 0)
    )
    assert with_them["accs"] != without["accs"]


def stored(n_classes: int = 3, n_clusters: int = 4, dim: int = 5) -> tuple[StoredAnalogies, Network]:
    content = generator_content(dim, 6, n_classes, n_clusters)
    network = Network(dim, 6)
    network.load_state_dict(content["model_state"])
    weights = {name: value.numpy() for name, value in content["model_state"].items()}
    counts = np.full(n_classes, n_clusters)
    return StoredAnalogies(content["concatenated_centroids"].numpy(), counts, weights), network


def test_a_class_is_filled_up_by_g_of_a_shot_and_two_centroids_of_a_class() -> None:
    """Every generated feature is G(seed, c, d) of a shot of its class, and of c and d out of one base class."""
    analogies, network = stored()
    rng = np.random.default_rng(1)
    shots, labels = rng.random((5, 5), np.float32), np.array([8, 8, 8, 9, 9])
    made, made_labels = analogies.generate(shots, labels, 20, random_state=0)
    assert np.array_equal(made[:5], shots)
    assert made_labels.tolist() == [8, 8, 8, 9, 9, *[8] * 17, *[9] * 18]
    centroids = torch.from_numpy(analogies.centroids)
    pairs = [(c, d) for k in range(3) for c in range(4 * k, 4 * k + 4) for d in range(4 * k, 4 * k + 4)]
    for feature, label in zip(made[5:], made_labels[5:]):
        seeds = torch.from_numpy(shots[labels == label])
        with torch.no_grad():
            possible = [network(seeds, *(centroids[i].expand(len(seeds), -1) for i in pair)) for pair in pairs]
        assert (np.abs(torch.cat(possible).numpy() - feature).max(axis=1) < 1e-6).any()


def test_seed_class_c_and_d_are_drawn_uniformly_and_c_may_be_d() -> None:
    """The counts of all (class, c, d) agree with a uniform distribution by chi-square, c = d included."""
    analogies, _ = stored(n_classes=3, n_clusters=4)
    c, d = analogies._draw_centroids(48_000, np.random.default_rng(0))
    assert np.array_equal(c // 4, d // 4)
    counts = np.bincount(4 * c + d % 4, minlength=48)
    assert ((counts - 1000) ** 2 / 1000).sum() < 82.7  # the 99.9 % point for 47 degrees of freedom
    assert abs((c == d).mean() - 1 / 4) < 0.01


def test_repeated_centroids_of_a_file_are_drawn_as_often_as_the_file_has_them(tmp_path: Path) -> None:
    content = generator_content(4, 5, 2, 3)
    content["concatenated_centroids"][2] = content["concatenated_centroids"][0]
    save(tmp_path / "generator.tar", content)
    found = load_generator("analogies", str(tmp_path / "generator.tar"))
    assert isinstance(found, StoredAnalogies)
    assert found.counts.tolist() == [3, 3]


def test_shots_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match="the shots have 4 dimensions where 5 are expected by the generator"):
        stored()[0].generate(np.ones((1, 4), np.float32), np.array([1]), 2, random_state=0)
