"""The cache and the runs that the tests of the pipeline share."""

from __future__ import annotations

import functools
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image

from lowshot.files import locked
from lowshot.report.figures.style import Plot
from tests.pipeline.recipes import run_recipe, write_image_recipe


@pytest.fixture(scope="session", autouse=True)
def glyph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def quick_render(plot: Plot, theme: Any = None, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """In place of a figure, a small image that depends on its name."""
    image = io.BytesIO()
    Image.new("RGB", (4, 4), (len(plot.name), 0, 0)).save(image, "png")
    return dict.fromkeys(formats, image.getvalue())


@pytest.fixture(scope="module")
def quick_figures() -> Iterator[None]:
    """Drawing takes longer than all the rest, and other tests look at figures."""
    with mock.patch("lowshot.report.writing.render", quick_render):
        yield


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write the image recipe, with changed sections, and return its path; results go beside it."""
    return functools.partial(write_image_recipe, tmp_path)


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the image recipe and everything that a run of it leaves; for reading.

    The processes of pytest-xdist share it: whoever needs it first makes it, the others wait.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "whole-run"
    with locked(root / "whole-run.lock", on_wait=lambda: None):
        if not (folder / "out" / "state" / "report.json").exists():
            folder.mkdir(exist_ok=True)
            run_recipe(write_image_recipe(folder))
    return folder


@pytest.fixture
def finished(whole_run: Path, tmp_path: Path) -> Path:
    """The path of an image recipe that has run; the test may change what it left."""
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    return write_image_recipe(tmp_path)
