"""Recognisers by path: a folder, or an exported ``.onnx`` file, which needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lowshot.files import Pathlike

if TYPE_CHECKING:
    from lowshot.recogniser.onnx_model import OnnxRecogniser
    from lowshot.recogniser.recogniser import Recogniser


def open_recogniser(path: Pathlike) -> Recogniser | OnnxRecogniser:
    """Open a recogniser to ask it.

    Args:
        path (path-like): Its folder, or an exported file.

    Raises:
        InputError: There is no recogniser, or it is damaged.
    """
    if Path(path).suffix.lower() == ".onnx" and not Path(path).is_dir():
        from lowshot.recogniser.onnx_model import OnnxRecogniser

        return OnnxRecogniser(path)
    from lowshot.recogniser.recogniser import Recogniser

    return Recogniser.load(path)
