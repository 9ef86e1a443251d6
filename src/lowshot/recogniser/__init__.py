"""Recognisers: classes taught from a few photos, kept in a folder.

``Recogniser`` is the class; everything else serves it. Modules of statistics (leave-one-out, choice, calibration,
unknown, check, suggest) take arrays and know nothing of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.recogniser.answers import Answer
    from lowshot.recogniser.changes import Taught
    from lowshot.recogniser.recogniser import Recogniser

__all__ = ["Answer", "Recogniser", "Taught"]

__getattr__, __dir__ = on_first_use(
    __name__, {"answers": ("Answer",), "changes": ("Taught",), "recogniser": ("Recogniser",)}
)
