"""The programs and notebooks of examples/ run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="notebooks are executed by nbclient, of the group dev")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PRINTED = {
    "own_classifier.py": "NearestMedian  top-1 over all classes",
    "own_features.py": "ridge",
    "own_loss.py": "entropy",
    "teach_and_ask.py": "after undo: ['lao', 'psi', 'two']",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A subprocess finds this checkout first, and leaves its files in a folder of the test."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(tmp_path)}


def test_every_program_is_tested_and_listed() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == PRINTED.keys()
    page = (EXAMPLES / "README.md").read_text("utf-8")
    assert all(f"[{file.name}]({file.name})" in page for file in EXAMPLES.iterdir() if file.suffix in (".py", ".ipynb"))


@pytest.mark.parametrize("name", PRINTED)
def test_the_programs_run(name: str, tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda file: file.stem)
def test_the_notebooks_run(
    file: Path, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(file, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", []))
    assert {"practitioner": "unknown, most like", "researcher": "ridge - nearest mean"}[file.stem] in printed
