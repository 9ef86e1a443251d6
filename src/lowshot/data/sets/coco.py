"""Two data sets of the original that give no low-shot table, with the reason as their error."""

from __future__ import annotations

from typing import Any, NoReturn

from lowshot.errors import InputError
from lowshot.registry import DATASETS

_ADVICE = (
    "the low-shot protocol counts one class per image. Cut the annotated boxes out into a folder per category and use "
    "image_folder, or list images with one label each and use json_list"
)


@DATASETS.register("coco_detection", "refused: a COCO image shows objects of several classes, not one")
def coco_detection(**options: Any) -> NoReturn:
    """Raise an :class:`InputError`, because a COCO image has boxes of several classes."""
    raise InputError(f"CocoDetection gives an image several boxes of several classes, but {_ADVICE}")


@DATASETS.register("coco_captions", "refused: a caption is a sentence, not a class")
def coco_captions(**options: Any) -> NoReturn:
    """Raise an :class:`InputError`, because a COCO caption is not a class."""
    raise InputError(f"CocoCaptions gives an image five sentences and no class, but {_ADVICE}")
