"""The mistakes that would end a plan: missing or unfit files, images, classes, experiments, models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lowshot.benchmark.setup_data import check_inputs
from lowshot.data import ImageDataset
from lowshot.data.inspection import inspect_images
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages.split import make_experiments
from lowshot.recipe import registry_complaints


def mistakes(plan: Plan) -> list[str]:
    """One line for each mistake that shows before anything is run."""
    found: list[str] = []

    def check(action: Callable[[], object]) -> None:
        try:
            action()
        except InputError as error:
            found.extend(line for line in str(error).splitlines() if line not in found)

    inputs = plan.inputs
    for representation in plan.representations.values():
        section = representation.section
        if section.features is not None:
            for path in section.features.values():
                check(lambda path=path: _check_features(path, inputs))  # type: ignore[misc]
        elif section.checkpoint is not None:
            check(representation.load_backbone)
        elif not registry_complaints(plan.recipe):
            check(representation.check_backbone)
    check(lambda: inputs.transforms)
    check(lambda: inputs.split)
    if inputs.needs_images:
        for images in (lambda: inputs.train_images, lambda: inputs.test_images):
            check(lambda images=images: _check_images(images(), inputs))  # type: ignore[misc]
    if not found:
        check(lambda: _check_experiments(inputs))
    return found


def _check_images(images: ImageDataset, inputs: Inputs) -> None:
    """Refuse images that cannot be read, as far as that shows without decoding all."""
    if inputs.recipe.data.on_bad_image == "error":
        inspect_images(images)


def _check_experiments(inputs: Inputs) -> None:
    """Refuse classes that are too small, and features that do not belong together."""
    experiments = make_experiments(inputs)
    for train, test in zip(inputs.given("train"), inputs.given("test")):
        check_inputs(train, test, inputs.split, experiments)


def _check_features(path: Path, inputs: Inputs) -> None:
    """Refuse a features file from elsewhere with NaN in it or with labels outside the split."""
    store = FeatureStore.open(path)
    store.check_finite()
    split = inputs.split
    try:
        split.check_labels(store.labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
