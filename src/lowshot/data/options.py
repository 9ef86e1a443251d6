"""The options of data sets that are paths or texts, so that a recipe can read them as such."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowshot.registry import DATASETS


def text_options() -> set[str]:
    """The options that are a text or a path in some registered data set, such as ``train_folder``."""
    return _options_of("str", "Path")


def with_home(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a data set, with ``~`` in paths replaced by the user's home, as in a shell."""
    paths = _options_of("Path")
    return {
        name: Path(value).expanduser() if name in paths and isinstance(value, str | os.PathLike) else value
        for name, value in options.items()
    }


def _options_of(*types: str) -> set[str]:
    return {
        name
        for entry in DATASETS
        for name, parameter in DATASETS.parameters(entry.name).items()
        if name != "root" and any(kind in str(parameter.annotation) for kind in types)
    }
