"""The import of matplotlib, which settings of other programs can neither prevent nor change.

Figures are drawn on matplotlib's object interface under its own defaults, so no backend is needed. But matplotlib reads
``MPLBACKEND`` when it is imported, and fails where a notebook has set a backend that is not installed here.
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any


def import_matplotlib() -> Any:
    """Import matplotlib without ``MPLBACKEND``, and without its remarks on the user's settings; return the module."""
    log = logging.getLogger("matplotlib")
    level, backend = log.level, os.environ.pop("MPLBACKEND", None)
    log.setLevel(logging.CRITICAL)
    try:
        return importlib.import_module("matplotlib")
    finally:
        log.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
