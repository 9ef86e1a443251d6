"""A fitted classifier as a torch module gives the scores of the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lowshot.classifiers import LowShotClassifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS

KINDS: list[tuple[str, dict[str, Any]]] = [
    *(("nearest_mean", {"metric": m, "feature_transform": t}) for m in ("cosine", "euclidean") for t in ("none", "l2")),
    ("nearest_mean", {}),
    ("nearest_mean", {"metric": "euclidean"}),
    ("ridge", {}),
    ("gaussian", {}),
    ("gaussian", {"predictive": True, "feature_transform": "none"}),
    ("gaussian_kernel", {}),
    ("gaussian_kernel", {"gamma": 3.0, "feature_transform": "none"}),
    ("gaussian_text", {}),
    ("gaussian_cosine", {}),
    ("gaussian_cosine", {"predictive": True, "density_weight": 0.5, "feature_transform": "l2"}),
    ("ranpac", {"n_projected": 50}),
    ("ranpac", {"n_projected": 50, "feature_transform": "none"}),
    ("teen", {}),
    ("teen", {"feature_transform": "none"}),
    ("cosine", {"n_steps": 5, "fine_tune_steps": 3}),
    ("logistic", {}),
    ("prototypical", {"n_episodes": 3, "hidden": 4}),
    ("prototypical_hallucination", {"n_episodes": 3}),
    ("prototype_matching", {"n_episodes": 2}),
    ("prototype_matching", {"n_episodes": 2, "contextual": False}),
    ("weight_generator", {"n_episodes": 3, "n_steps": 5}),
    ("wdae_gnn", {"n_episodes": 3, "n_steps": 5}),
    ("matching_network", {"n_episodes": 2, "n_support": 3}),
    ("matching_network", {"n_episodes": 2, "n_support": 3, "contextual": False}),
]


def examples(classes: range, counts: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array(classes), counts)
    means = np.random.default_rng(5).normal(size=(20, 12))
    return (means[labels] + rng.normal(size=(len(labels), 12))).astype(np.float32), labels


def same_scores(fitted: LowShotClassifier) -> None:
    queries, _ = examples(range(7), [5] * 7, 9)
    with torch.no_grad():
        found = fitted.as_torch()(torch.from_numpy(queries)).double().numpy()
    expected = fitted.scores(queries).astype(np.float64)
    expected, found = (scores - scores.mean(axis=1, keepdims=True) for scores in (expected, found))
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("name", "params"), KINDS, ids=str)
def test_scores_with_and_without_base_classes(name: str, params: dict[str, Any]) -> None:
    fitted = CLASSIFIERS.build(name, **params).fit(*examples(range(4), [1, 2, 5, 3], 1))
    same_scores(fitted)
    known = CLASSIFIERS.build(name, **params).fit_base(*examples(range(4), [30] * 4, 2))
    same_scores(known)
    known.fit_novel(*examples(range(4, 7), [5, 1, 2], 3))
    same_scores(known)
    same_scores(known.with_calibration_bias(0.7))


def test_every_classifier_of_lowshot_has_a_form_in_torch() -> None:
    own = [entry.name for entry in CLASSIFIERS if entry.module.startswith("lowshot.")]
    assert sorted(own) == sorted({name for name, _ in KINDS})


def test_zeros_and_huge_features_have_finite_scores() -> None:
    fitted = CLASSIFIERS.build("nearest_mean").fit(*examples(range(3), [2] * 3, 1))
    extreme = torch.tensor([[0.0] * 12, [1e30] * 12, [1e-30] * 12])
    assert fitted.as_torch()(extreme).isfinite().all()


def test_a_classifier_without_a_form_in_torch_says_so() -> None:
    class Constant(LowShotClassifier):
        def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None: ...

    with pytest.raises(InputError, match="Constant has no form in torch"):
        Constant().fit(*examples(range(2), [2, 2], 0)).as_torch()
