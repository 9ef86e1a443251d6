"""Open a recogniser, or make it with the first photos that it is taught."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import exists
from lowshot.recogniser.folder import check_vacant, is_recogniser
from lowshot.recogniser.recogniser import Recogniser


@contextmanager
def open_or_create(folder: Path, options: Mapping[str, Any]) -> Iterator[Recogniser]:
    """Open a recogniser; where there is none, make one, which goes again if the block raises before it learns anything.

    Args:
        folder (Path): The folder.
        options (mapping): Keyword arguments of :meth:`Recogniser.create`; None for the default. ``start`` is a function
            that makes it.

    Raises:
        InputError: The recogniser exists and an option says otherwise than it was made.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if is_recogniser(folder):
        opened = Recogniser.load(folder)
        _check_same(opened, given)
        yield opened
        return
    existed = exists(folder)
    if "start" in given:
        check_vacant(folder)  # before the work of the start
        given["start"] = given["start"]()
    opened = Recogniser.create(folder, **given)
    try:
        yield opened
    except BaseException:
        if not opened.classes:
            _remove(folder, existed)
        raise


def _check_same(opened: Recogniser, given: Mapping[str, Any]) -> None:
    state = opened.state
    has = {
        "backbone": state.backbone.name,
        "views": state.backbone.views,
        "classifier": state.classifier.name,
        "thumbnails": state.thumbnails,
    }
    for name, value in given.items():
        if name == "classifier":
            opened.set_classifier(value)
        elif name == "start":
            raise InputError(f"recogniser {opened.folder} exists: --from is for a new one")
        elif has[name] != value:
            raise InputError(
                f"recogniser {opened.folder} was made with {name} {has[name]}, which cannot change: leave the option "
                "out, or teach a new recogniser"
            )


def _remove(folder: Path, existed: bool) -> None:
    """Remove a recogniser that learned nothing; a folder that was there stays, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    if existed:
        folder.mkdir(exist_ok=True)
