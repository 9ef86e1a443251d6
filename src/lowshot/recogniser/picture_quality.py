"""Photos that teach little: too small, dark, overexposed, blurred or nearly empty."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

from lowshot.data import BadImageError
from lowshot.errors import InputError
from lowshot.recogniser.photos import Photo

SMALLEST_SIDE = 64
"""The least length in pixels of the shorter side of a photo that shows anything."""

_KINDS = {"dark": "dark", "light": "overexposed", "blurry": "blurred", "low_information": "nearly empty"}


def poor_pictures(files: Sequence[Path], sharpness: bool = True) -> dict[Path, list[str]]:
    """Find poor photos with cleanvision, which judges brightness, sharpness and entropy.

    Args:
        files (sequence of Path): The photos, all of them readable.
        sharpness (bool): False does not look for blurred ones, for pictures that were made smaller.

    Returns:
        File → what is wrong with it, in words; only files with findings.

    Raises:
        InputError: cleanvision is not installed.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            from cleanvision import Imagelab
        except ImportError:
            raise InputError(
                "the check of brightness and sharpness needs cleanvision: pip install 'lowshot[check]'"
            ) from None
        lab = Imagelab(filepaths=[os.fspath(file) for file in files])
        wanted: dict[str, dict[str, object]] = {kind: {} for kind in _KINDS if sharpness or kind != "blurry"}
        lab.find_issues(wanted, n_jobs=1, verbose=False)
    found: dict[Path, list[str]] = {}
    for path, row in lab.issues.iterrows():
        words = [word for kind, word in _KINDS.items() if row.get(f"is_{kind}_issue", False)]
        if words:
            found[Path(path)] = words
    return found


def too_small(photos: Sequence[Photo]) -> dict[str, str]:
    """Name → size in words, of the photos whose shorter side has fewer than :data:`SMALLEST_SIDE` pixels."""
    found = {}
    for photo in photos:
        with contextlib.suppress(BadImageError):
            width, height = photo.open().image.size
            if min(width, height) < SMALLEST_SIDE:
                found[photo.name] = f"{width} x {height} pixels"
    return found
