from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmark.problems import Problem, make_problem


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return make_problem(tmp_path / "features")
