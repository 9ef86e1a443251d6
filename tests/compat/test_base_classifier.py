"""The judge of generated features where there is no network: SGD on all base features, as the original trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowshot.classifiers.balanced_batches import BalancedBatches, Pool
from lowshot.compat import base_classifier as judged
from lowshot.compat import train_analogy_generator
from lowshot.devices import matmul_precision
from lowshot.hallucination import AnalogyGenerator
from tests.compat import features

OUTPUTS = 7  # label 2 and label 6 never occur


def examples(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 3, 4, 5], n)
    return (rng.random((n, 4)) + np.eye(7)[labels][:, :4]).astype(np.float32), labels


def by_torch(X: np.ndarray, y: np.ndarray, n_steps: int) -> np.ndarray:
    """The same on the same batches, each a pass through torch's own layer, loss and optimiser; then its weight."""
    pool = Pool(torch.from_numpy(X), torch.from_numpy(y))
    layer = torch.nn.Linear(X.shape[1], OUTPUTS, bias=False)
    bound = X.shape[1] ** -0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, dampening=0.9, weight_decay=0.001)
    batches = BalancedBatches(pool, [Pool(pool.features[:1], pool.columns[:1])], 5, 0, judged.BATCH_SIZE, 0, [0])
    for rows, _ in batches.steps(n_steps):
        assert len(rows) == judged.BATCH_SIZE == len(set(rows.tolist()))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(pool.features[rows]), pool.columns[rows]).backward()
        optimizer.step()
    return layer.weight.detach().numpy()


def test_it_is_sgd_on_all_base_features_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged.BATCH_SIZE == 1000
    monkeypatch.setattr(judged, "BATCH_SIZE", 50)
    monkeypatch.setattr(judged, "matmul_precision", lambda precision: matmul_precision("float32"))
    X, y = examples()
    found = judged.base_classifier(X, y, OUTPUTS, 150, tmp_path)
    np.testing.assert_allclose(found, by_torch(X, y, 150), atol=1e-5)


def test_it_is_kept_for_the_same_features_and_steps(tmp_path: Path) -> None:
    X, y = examples()
    first = judged.base_classifier(X, y, OUTPUTS, 3, tmp_path)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    assert np.array_equal(judged.base_classifier(X, y, OUTPUTS, 3, tmp_path), first)
    assert path.stat().st_mtime_ns == written
    for other in ((X + 1, y, OUTPUTS, 3), (X, y, OUTPUTS + 1, 3), (X, y, OUTPUTS, 4)):
        judged.base_classifier(*other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_the_program_judges_by_it_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 000 steps on the base features alone; a row of the classifier is a label, as in a network's."""
    monkeypatch.chdir(features.make(tmp_path))
    monkeypatch.delenv("LOWSHOT_COMPAT_STEPS", raising=False)
    asked, judges = [], []

    def record(X: np.ndarray, y: np.ndarray, num_classes: int, n_steps: int, cache: Path) -> np.ndarray:
        asked.append((len(X), sorted(set(y.tolist())), num_classes, n_steps, str(cache)))
        return np.ones((num_classes, X.shape[1]), np.float32)

    def fit(self: AnalogyGenerator, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Any:
        judges.append((weight, self.n_steps))
        raise KeyboardInterrupt  # all that is asked has been seen

    monkeypatch.setattr(train_analogy_generator, "base_classifier", record)
    monkeypatch.setattr(AnalogyGenerator, "fit", fit)
    flags = "--lowshotmeta label_idx.json --trainfile features/net/train.hdf5 --numclasses 12 --outdir out"
    assert train_analogy_generator.main(flags.split()) == 130
    assert asked == [(6 * 20, [0, 1, 2, 3, 4, 5], 12, 10_000, "out/net/cache")]
    ((weight, n_steps),) = judges
    assert (weight.shape, n_steps) == ((12, 8), 120_000)
