from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowshot.errors import InputError
from lowshot.hallucination import wrap_functions


def init_generator(filename: str) -> dict[str, Any]:
    return {"shift": float(Path(filename).read_text()), "calls": 0}


def do_generate(feats: np.ndarray, labels: np.ndarray, generator: dict[str, Any], max_per_label: int) -> Any:
    """Add features to each class until there are enough, and put the real ones last, which the original allows."""
    generator["calls"] += 1
    new, new_labels = [], []
    for label in set(labels):
        for _ in range(max_per_label - (labels == label).sum()):
            noise = np.random.rand() + random.random() + torch.rand(1).item()  # noqa: NPY002 (as old programs do)
            new.append(feats[labels == label][0] + generator["shift"] + noise)
            new_labels.append(label)
    return np.concatenate([*(row[None] for row in new), feats]), np.concatenate([new_labels, labels])


@pytest.fixture
def filename(tmp_path: Path) -> str:
    (tmp_path / "theirs.txt").write_text("100")
    return str(tmp_path / "theirs.txt")


def test_the_original_pair_of_functions_becomes_a_generator(filename: str) -> None:
    generator = wrap_functions(init_generator, do_generate, filename)
    shots, labels = np.array([[1, 2], [3, 4], [3, 4]], np.float32), np.array([5, 6, 6])
    features, all_labels = generator.generate(shots, labels, 3)
    np.testing.assert_array_equal(features[:3], shots)
    assert sorted(all_labels[3:]) == [5, 5, 6]
    assert (features[3:] > 100).all()
    assert features.dtype == np.float32
    generator.generate(shots, labels, 3)
    assert generator._state["calls"] == 2


def test_global_draws_follow_the_seed_and_leave_no_trace(filename: str) -> None:
    generator = wrap_functions(init_generator, do_generate, filename)
    shots = np.ones((1, 2), np.float32)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index] # noqa: NPY002
    made = [generator.generate(shots, [0], 4, seed)[0] for seed in (0, 0, 1)]
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index] # noqa: NPY002
    assert before == after
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_what_a_function_raises_is_named_with_its_line(filename: str) -> None:
    shots = np.ones((2, 2), np.float32)
    with pytest.raises(
        InputError, match=r"init_generator failed \(.*test_functions\.py, line \d+\): FileNotFoundError: .*no\.txt"
    ):
        wrap_functions(init_generator, do_generate, "no.txt").prepare()
    with pytest.raises(InputError, match="init_generator failed"):
        wrap_functions(init_generator, do_generate, "no.txt").generate(shots, [0, 1], 3)

    def odd(feats: Any, labels: Any, generator: Any, max_per_label: int) -> Any:
        return {}["key"]

    generator = wrap_functions(init_generator, odd, filename)
    assert generator.prepare() is generator.prepare()
    with pytest.raises(InputError, match=r"do_generate failed \(.*test_functions\.py, line \d+\): KeyError: 'key'"):
        generator.generate(shots, [0, 1], 3)


def test_functions_that_lose_shots_or_return_nan_are_refused(filename: str) -> None:
    shots = np.ones((2, 2), np.float32)
    lost = wrap_functions(init_generator, lambda feats, labels, *_: (feats[:1], labels[:1]), filename)
    with pytest.raises(InputError, match="shot 1 is gone"):
        lost.generate(shots, [0, 0], 4)
    nan = wrap_functions(init_generator, lambda feats, labels, *_: (feats * np.nan, labels), filename)
    with pytest.raises(InputError, match="what do_generate returned: row 0 holds NaN"):
        nan.generate(shots, [0, 0], 4)


THEIR_PACKAGE = '''
import numpy as np
from lowshot.hallucination import Generator, function_generator
from lowshot.registry import GENERATORS


class Twice(Generator):
    """Doubles a shot."""

    def _fit(self, features, labels, classifier_weight):
        self.factor_ = 2.0

    def _hallucinate(self, seeds, rng):
        return seeds * self.factor_


def init_generator(filename):
    return filename


def do_generate(feats, labels, generator, max_per_label):
    return np.concatenate([feats, feats * 3]), np.concatenate([labels, labels])


GENERATORS.register("their-functions", "triples a shot")(function_generator(init_generator, do_generate))
'''

THEIR_ENTRY_POINTS = """
[lowshot.generators]
twice = theirs:Twice
functions = theirs
"""

USE_THEM = """
import sys
import numpy as np
from lowshot.hallucination import Generator
from lowshot.registry import GENERATORS

print(GENERATORS.names(), "torch" in sys.modules)
X, y = np.eye(2, dtype="float32"), [0, 1]
for name, params in (("twice", {}), ("their-functions", {"filename": "some.file"})):
    GENERATORS.build(name, **params).fit(X, y).save(name)
    print(GENERATORS.entry(name).description, Generator.load(name).generate(X, y, 2)[0].sum())
"""


def test_an_installed_package_adds_a_class_and_a_pair_of_functions(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(THEIR_PACKAGE)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(THEIR_ENTRY_POINTS)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", USE_THEM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['analogies', 'calibration', 'delta_encoder', 'difference', 'their-functions', 'twice'] False",
        "Doubles a shot. 6.0",
        "triples a shot 8.0",
    ]
