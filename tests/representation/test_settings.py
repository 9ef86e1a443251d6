from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from lowshot.representation.settings import TrainSettings


def test_the_defaults_are_the_papers_and_a_true_baseline():
    s = TrainSettings()
    assert (s.lr, s.momentum, s.dampening, s.weight_decay) == (0.1, 0.9, 0, 1e-4)
    assert (s.epochs, s.step_size, s.lr_decay, s.warmup_lr) == (90, 30, 0.1, 0.01)
    assert s.loss is None
    assert s.loss_weight == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": "sgm"}, "loss 'sgm' has loss_weight 0"),
        ({"loss_weight": 0.1}, "need a loss"),
        ({"loss_options": {"a": 1}}, "need a loss"),
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"lr": float("nan")}, "lr"),
        ({"precision": "16-mixed"}, "precision"),
        ({"schedule": "poly"}, "schedule"),
        ({"backbone_options": {"num_classes": 5}}, "taken from the data set"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        TrainSettings.model_validate(wrong)


def test_every_setting_is_described():
    assert all(field.description for field in TrainSettings.model_fields.values())


def test_settings_are_read_without_torch():
    code = (
        "import sys; from lowshot.representation import TrainSettings, checkpoint_path; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_step_schedule_counts_warm_up_epochs_and_divides_every_thirty():
    s = TrainSettings(warmup_epochs=2)
    rates = [s.lr_at(epoch) for epoch in range(90)]
    assert rates[:2] == [0.01, 0.01]
    assert rates[2:30] == [0.1] * 28
    assert rates[30:60] == pytest.approx([0.01] * 30)
    assert rates[60:] == pytest.approx([0.001] * 30)


def test_the_step_schedule_changes_only_between_epochs():
    s = TrainSettings(step_size=1)
    assert s.lr_at(0.99) == 0.1
    assert s.lr_at(1.0) == pytest.approx(0.01)


def test_the_cosine_schedule_falls_from_lr_after_warm_up_to_zero_at_the_end():
    s = TrainSettings(schedule="cosine", epochs=10, warmup_epochs=2)
    assert s.lr_at(1.9) == 0.01
    assert s.lr_at(2) == pytest.approx(0.1)
    assert s.lr_at(6) == pytest.approx(0.05)
    assert s.lr_at(10) == pytest.approx(0)
    rates = [s.lr_at(2 + step / 10) for step in range(81)]
    assert rates == sorted(rates, reverse=True)


def test_warm_up_may_last_the_whole_run():
    assert TrainSettings(schedule="cosine", epochs=1, warmup_epochs=1).lr_at(0.5) == 0.01
