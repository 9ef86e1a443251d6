from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.errors import InputError
from lowshot.hallucination import DeltaEncoder
from lowshot.hallucination.delta.network import weighted_error
from tests.reference import delta_encoder as reference

SMALL = {"hidden": 16, "n_latent": 3, "n_steps": 20, "batch_size": 16, "n_codes": 30, "device": "cpu"}


def test_the_loss_weighs_each_error_by_its_share_of_the_squared_error() -> None:
    rng = np.random.default_rng(0)
    made, target = rng.normal(size=(2, 7, 5))
    made[3] = target[3]
    found = weighted_error(torch.tensor(made), torch.tensor(target)).item()
    assert found == pytest.approx(reference.weighted_error(made, target))


def test_no_gradient_flows_through_the_weights() -> None:
    made = torch.tensor([[1.0, 3.0]], requires_grad=True)
    weighted_error(made, torch.zeros(1, 2)).backward()
    np.testing.assert_allclose(made.grad, [[0.1, 0.9]])


def test_what_is_made_is_a_decoded_shot(signed_base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = signed_base
    fitted = DeltaEncoder(**SMALL).fit(features, labels)
    made = fitted.generate(features[:1], [0], 60, 3)[0][1:]
    possible = [reference.decode(code, features[0], fitted.decoder_, fitted.scale_) for code in fitted.codes_]
    apart = np.abs(made[:, None] - np.array(possible)).max(axis=2).min(axis=1)
    assert apart.max() < 1e-4
    assert len(np.unique(made, axis=0)) > 10


def test_differences_of_base_classes_are_applied_to_a_shot() -> None:
    """Examples of a base class differ along axis 0 alone, so generated ones must spread there and hardly elsewhere."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 40)
    features = 2 * rng.normal(size=(30, 4))[labels]
    features[:, 0] += 3 * rng.normal(size=len(labels))
    fitted = DeltaEncoder(hidden=64, n_latent=2, dropout=0.0, lr=3e-3, n_steps=1500, device="cpu").fit(features, labels)
    shot = np.array([[0.0, 1.0, -1.0, 2.0]])
    made = fitted.generate(shot, [0], 300)[0][1:]
    spread = made.std(axis=0)
    assert spread[0] > 1.5
    assert spread[1:].max() < 0.4 * spread[0]
    np.testing.assert_allclose(made.mean(axis=0)[1:], shot[0, 1:], atol=0.7)


def test_training_lowers_the_loss(base: tuple[np.ndarray, np.ndarray]) -> None:
    first, last = (DeltaEncoder(**SMALL | {"n_steps": n, "lr": 3e-3}).fit(*base).loss_ for n in (1, 500))
    assert last < 0.7 * first


def test_settings_and_features_without_meaning_are_refused(base: tuple[np.ndarray, np.ndarray]) -> None:
    for name, value in [("hidden", 0), ("n_latent", 0), ("n_steps", 0), ("lr", 0.0), ("dropout", 1.0), ("n_codes", 0)]:
        with pytest.raises(InputError, match=f"^{name}="):
            DeltaEncoder(**SMALL | {name: value}).fit(*base)
    with pytest.raises(InputError, match="two examples"):
        DeltaEncoder(**SMALL).fit(np.eye(3), [0, 1, 2])
