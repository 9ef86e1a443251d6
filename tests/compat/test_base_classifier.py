"""The judge of generated features where there is no network: SGD on all base features, as the original trains it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.compat import base_classifier as judged
from lowshot.compat.linear_sgd import Batches

OUTPUTS = 7  # label 2 and label 6 never occur


def examples(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 3, 4, 5], n)
    return (rng.random((n, 4)) + np.eye(7)[labels][:, :4]).astype(np.float32), labels


def by_torch(X: np.ndarray, y: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The same on the same batches, each a pass through torch's own layer, loss and optimiser: weight and bias."""
    layer = torch.nn.Linear(X.shape[1], OUTPUTS)
    bound = X.shape[1] ** -0.5
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter.uniform_(-bound, bound, generator=generator)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, dampening=0, weight_decay=1e-4)
    batches = Batches(len(y), 0, judged.BATCH_SIZE, 0, seed=0)
    for _ in range(n_steps):
        rows, drawn, _ = batches.draw()
        assert len(rows) == judged.BATCH_SIZE == len(set(rows.tolist()))
        assert not len(drawn)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(torch.from_numpy(X[rows])), torch.from_numpy(y[rows])).backward()
        optimizer.step()
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def test_it_is_sgd_on_all_base_features_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bias, momentum 0.9 without dampening and a decay of 1e-4, in float32."""
    assert judged.BATCH_SIZE == 1000
    monkeypatch.setattr(judged, "BATCH_SIZE", 50)
    X, y = examples()
    for found, expected in zip(judged.base_classifier(X, y, OUTPUTS, 150, tmp_path), by_torch(X, y, 150), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found).max() > 0.1


def test_it_is_kept_for_the_same_features_and_steps(tmp_path: Path) -> None:
    X, y = examples()
    first = judged.base_classifier(X, y, OUTPUTS, 3, tmp_path)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again = judged.base_classifier(X, y, OUTPUTS, 3, tmp_path)
    assert all(np.array_equal(*pair) for pair in zip(again, first, strict=True))
    assert path.stat().st_mtime_ns == written
    for other in ((X + 1, y, OUTPUTS, 3), (X, y, OUTPUTS + 1, 3), (X, y, OUTPUTS, 4)):
        judged.base_classifier(*other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
