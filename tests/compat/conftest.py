from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.compat import workspace


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of :mod:`tests.compat.workspace`; not to be changed."""
    return workspace.make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them to spoil, as the working directory; trainings without a flag for their length take two steps."""
    root = tmp_path / "work"
    shutil.copytree(made, root, symlinks=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "2")
    return root
