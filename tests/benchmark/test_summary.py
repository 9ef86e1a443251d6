from __future__ import annotations

import pytest

from lowshot.benchmark import Summary, summarise
from lowshot.errors import InputError


def record(n_shots: int, experiment: int, value: float | None, method: str = "logistic") -> dict:
    return {
        "representation": "sgm",
        "method": method,
        "setup": "test",
        "n_shots": n_shots,
        "experiment": experiment,
        "all_top5": value,
    }


def test_the_interval_is_students_t() -> None:
    # t(0.975, 4) = 2.776445; the standard deviation of 1..5 is sqrt(2.5).
    found = summarise([record(1, e, e / 10) for e in range(1, 6)], "all_top5")
    assert found == [
        Summary("sgm", "logistic", "test", 1, "all_top5", pytest.approx(0.3), pytest.approx(0.1963243, abs=1e-6), 5)
    ]


def test_methods_and_shots_are_kept_apart_in_order() -> None:
    records = [record(5, 1, 0.5), record(1, 1, 0.1), record(5, 2, 0.7), record(5, 1, 0.9, "ridge")]
    found = summarise(records, "all_top5")
    assert [(s.method, s.n_shots, s.n_experiments) for s in found] == [
        ("logistic", 5, 2),
        ("logistic", 1, 1),
        ("ridge", 5, 1),
    ]
    assert found[0].mean == pytest.approx(0.6)
    assert found[1].half_width is None


def test_the_mean_over_shots_is_taken_within_each_experiment() -> None:
    records = [record(n, e, value) for n, e, value in [(1, 1, 0.1), (5, 1, 0.5), (1, 2, 0.3), (5, 2, 0.7)]]
    (found,) = summarise(records, "all_top5", over_shots=True)
    assert (found.n_shots, found.n_experiments, found.mean) == (None, 2, pytest.approx(0.4))
    # The means 0.3 and 0.5 have the standard error 0.1; t(0.975, 1) = 12.7062.
    assert found.half_width == pytest.approx(1.27062, abs=1e-5)


def test_missing_values_are_left_out() -> None:
    (found,) = summarise([record(1, 1, 0.2), record(1, 2, None)], "all_top5")
    assert (found.mean, found.n_experiments) == (0.2, 1)
    with pytest.raises(InputError, match="no result has the metric 'all_prior_top5'"):
        summarise([record(1, 1, 0.2)], "all_prior_top5")
