"""Check that every class has the images that a recipe asks of it, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lowshot.errors import InputError
from lowshot.pipeline.inputs import Inputs
from lowshot.recipe import shots_per_setup
from lowshot.recipe.complaints import fitting_shots


def check_class_sizes(inputs: Inputs) -> None:
    """Refuse classes with too few images for the shots, and classes without the images that accuracies need.

    Raises:
        InputError: A line for each key to change, with a value that works.
    """
    if lines := [*_missing_images(inputs), *_too_many_shots(inputs)]:
        raise InputError("\n".join(dict.fromkeys(lines)))


def _missing_images(inputs: Inputs) -> Iterator[str]:
    """A line for the first class of each part that has no image where one is needed."""
    split, sizes = inputs.split, _sizes(inputs)
    for name in dict.fromkeys(setup for setup, *_ in shots_per_setup(inputs.recipe)):
        setup = split.setup(name)
        for part, labels in (("test", [*setup.base, *setup.novel]), ("train", setup.base.tolist())):
            if empty := [label for label in labels if not sizes[part][label]]:
                more = f" (nor have {len(empty) - 1} more classes)" if len(empty) > 1 else ""
                yield (
                    f"class {split.describe(int(empty[0]))} has no {part} image, which setup {name!r} needs{more}: "
                    "give it one, or name the classes that have some in split.base and split.novel"
                )


def _too_many_shots(inputs: Inputs) -> Iterator[str]:
    """A line for each key that asks for more shots than the smallest novel class of its setups has images."""
    split, sizes, held_out = inputs.split, _sizes(inputs)["train"], _sizes(inputs)["test"]
    smallest: dict[str, tuple[int, int, str, tuple[int, ...]]] = {}
    for name, key, n_shots in shots_per_setup(inputs.recipe):
        novel = split.setup(name).novel
        least = int(novel[np.argmin(sizes[novel])])
        found = (int(sizes[least]), least, name, n_shots)
        smallest[key] = min(smallest.get(key, found), found)
    for key, (size, label, name, n_shots) in smallest.items():
        if size < max(n_shots):
            advice = f"set {key}={fitting_shots(n_shots, size)}, or " if size else ""
            if inputs.holds_out and (left := size + int(held_out[label]) - max(n_shots)) > 0:
                advice += f"hold out fewer images with data.options.test_per_class={left}, or "
            yield (
                f"class {split.describe(label)}, a novel class of setup {name!r}, has {size} training images, but "
                f"{key} asks for {max(n_shots)}: {advice}name other classes in split.novel"
            )


def _sizes(inputs: Inputs) -> dict[str, np.ndarray]:
    """The number of images of each class in each part."""
    count = inputs.split.num_classes
    return {part: np.bincount(labels, minlength=count) for part, labels in inputs.part_labels.items()}
