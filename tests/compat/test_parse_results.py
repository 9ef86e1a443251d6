"""``parse_results``: means over the experiments in per cent, printed as the original prints them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.compat import parse_results
from lowshot.compat.formats.results import Run, write_run


def test_all_results_give_a_row_for_each_number_of_shots_and_their_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    accuracies = {n: rng.random((5, 6)) for n in (1, 2, 5, 10, 20)}
    for n, table in accuracies.items():
        for e, row in enumerate(table, 1):
            write_run(tmp_path, Run("net", e, n, tuple(row), lr=1.0, weight_decay=0.001))
    assert parse_results.main(["--resultsdir", str(tmp_path), "--repr", "net", "--lr", "1"]) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()[1:]]
    assert not printed.err
    assert [row[0] for row in rows] == ["1", "2", "5", "10", "20", "mean"]
    for row, table in zip(rows, accuracies.values()):
        assert [float(cell) for cell in row[1:13:2]] == pytest.approx(100 * table.mean(axis=0), abs=0.006)
        half_width = 2.7764451 * table.std(axis=0, ddof=1) / 5**0.5
        assert [float(cell[1:]) for cell in row[2:14:2]] == pytest.approx(100 * half_width, abs=0.006)
        assert row[13] == "5"
    mean = np.mean([table.mean(axis=0) for table in accuracies.values()], axis=0)
    assert [float(cell) for cell in rows[-1][1:]] == pytest.approx(100 * mean, abs=0.006)


def test_missing_results_are_counted_and_matching_networks_have_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, Run("net", 1, 2, (0.25,) * 6))
    flags = ["--resultsdir", str(tmp_path), "--repr", "net"]
    assert parse_results.main(flags) == 2
    assert parse_results.main([*flags, "--matchingnetwork", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["2", *["25.00"] * 6, "1"]
    assert "24 of 25 results are missing, the first is MN_net_expid_1_lowshotn_1.json" in printed.err
    (tmp_path / "MN_net_expid_2_lowshotn_2.json").write_text("{}")
    assert parse_results.main([*flags, "--matchingnetwork", "1"]) == 2


def printed_means(folder: Path, accuracies: list[float], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The cells of the row of one shot and of the mean row, of runs whose six accuracies are alike."""
    for experiment, accuracy in enumerate(accuracies, 1):
        write_run(folder, Run("net", experiment, 1, (accuracy,) * 6, lr=0.1, weight_decay=0.001))
    assert parse_results.main(["--resultsdir", str(folder), "--repr", "net"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    return [rows[0][1], rows[1][1]]


def test_fractions_are_averaged_before_they_become_per_cent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mean of 0.12885 is printed as 12.88: 12.885 in binary is a little less. The mean of per cents gives 12.89."""
    rng = np.random.default_rng(0)
    differ = 0
    for _ in range(60):
        counts = rng.integers(0, 20_000, size=5)
        counts[0] -= (counts.sum() - 5) % 10  # the mean in per cent then ends in a 5 in its third decimal
        accuracies = [abs(int(count)) / 20_000 for count in counts]
        expected = f"{100 * np.mean(accuracies):.2f}"
        assert printed_means(tmp_path, accuracies, capsys) == [expected, expected]
        differ += expected != f"{np.mean([100 * accuracy for accuracy in accuracies]):.2f}"
    assert printed_means(tmp_path, [0.12885] * 5, capsys) == ["12.88", "12.88"]
    assert differ


def test_the_intervals_are_those_of_the_library() -> None:
    for count in range(2, 6):
        values = np.random.default_rng(count).random(count).tolist()
        cell = parse_results._row("1", [[value] for value in values], "")[1]
        mean, half_width = mean_and_half_width(values)
        assert cell == f"{100 * mean:.2f} ±{100 * half_width:.2f}"
        assert parse_results.T_QUANTILES[count - 1] == pytest.approx(student.ppf(0.975, count - 1), rel=1e-12)


def test_it_starts_without_numpy() -> None:
    code = (
        "import sys; import lowshot.compat.parse_results; print(sorted({'numpy', 'torch', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.sub(r"\s", "", done.stdout) == "[]"
