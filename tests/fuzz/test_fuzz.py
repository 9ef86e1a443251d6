"""Damaged files of every format are answered in a line: no traceback, no hang, no other effect.

``make fuzz`` runs 10 000 inputs a format; see ``tests/fuzz/run.py`` for what counts as a fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

INPUTS = int(os.environ.get("LOWSHOT_FUZZ_INPUTS", "300"))
SEED = int(os.environ.get("LOWSHOT_FUZZ_SEED", "0"))


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_answered_in_a_line(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(INPUTS), str(SEED), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert not summary["faults"], "\n".join(summary["faults"][:5])
    assert summary["refused"] > INPUTS // 4
