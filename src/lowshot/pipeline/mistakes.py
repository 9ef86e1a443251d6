"""The mistakes that would end a plan: missing or unfit files, images, classes, experiments, models.

``lowshot validate``, ``run --dry-run`` and ``run`` refuse a recipe by the same two functions, and with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.benchmark.setup_data import check_inputs
from lowshot.data import ImageDataset
from lowshot.data.inspection import inspect_images
from lowshot.errors import InputError
from lowshot.features import FeatureFiles, FeatureStore
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.plugin_checks import plugin_mistakes
from lowshot.pipeline.stages.split import make_experiments
from lowshot.recipe import read_recipe


def read_plan(
    path: str | Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None, *, dry: bool = False
) -> Plan:
    """The plan of a recipe without mistakes in itself.

    Args:
        path (str or Path): A YAML file or the name of an embedded recipe.
        overrides (sequence of str): Dotted changes, ``train.epochs=5``.
        values (mapping): Dotted key → value that is taken as it is, with no YAML in it.
        dry (bool): True where looking at the data must write nothing into the output folder.

    Raises:
        InputError: The recipe has mistakes: a line for each, and for those of the data that it names.
    """
    recipe, wrong = read_recipe(path, overrides, values)
    if recipe is None or wrong:
        found = [] if recipe is None else mistakes(Plan(recipe, dry=True), wrong)
        raise _refusal(path, [*wrong, *(line for line in found if line not in wrong)])
    return Plan(recipe, dry=dry)


def check_plan(path: str | Path, plan: Plan, images: bool = True) -> None:
    """Refuse a plan that would fail by what shows before anything is run.

    Args:
        path (str or Path): The recipe, as messages name it.
        plan (Plan): Its plan.
        images (bool): True to also read the headers of all images.

    Raises:
        InputError: A line for each mistake.
    """
    if wrong := mistakes(plan, images=images):
        raise _refusal(path, wrong)


def _refusal(path: str | Path, lines: Sequence[str]) -> InputError:
    return InputError("\n".join([f"recipe {path} has mistakes:", *lines]))


def mistakes(plan: Plan, known: Sequence[str] = (), images: bool = True) -> list[str]:
    """Collect the mistakes that show before anything is run.

    Args:
        plan (Plan): The plan.
        known (sequence of str): The lines about mistakes in the recipe itself. What a section with a mistake names is
            not looked at: it would be something else than what the user means.
        images (bool): True to also read the headers of all images.

    Returns:
        list of str: One line for each mistake.
    """
    found: list[str] = []
    keys = [line.partition(" ")[0].rstrip(":") for line in known]
    unsure = {key.partition(".")[0] for key in keys}
    apart = {"data.preset", "data.transform", "data.on_bad_image", "data.workers"}  # do not decide which images
    unsure_images = any(key.startswith("data") and ".".join(key.split(".")[:2]) not in apart for key in keys)

    def check(action: Callable[[], object]) -> None:
        try:
            action()
        except InputError as error:
            found.extend(line for line in str(error).splitlines() if line not in found)

    inputs = plan.inputs
    has_images = not (inputs.needs_images and unsure_images)
    for representation in (one for one in plan.representations.values() if one.number == 1):
        section = representation.section
        if section.given:
            for source in section.given.values():
                check(lambda one=source: _check_features(one, None if unsure else inputs))  # type: ignore[misc]
        elif section.checkpoint is not None or (section.backbone is not None and isinstance(section.pretrained, str)):
            check(representation.load_backbone)
        elif not {"data", "train", "representations"} & unsure:
            check(representation.check_backbone)
    if has_images:
        if "preset" in plan.recipe.data.model_fields_set or not all(
            map(plan.recipe.has_weights, plan.recipe.representations)
        ):
            check(lambda: inputs.transforms)
        check(lambda: plan.settle() if "evaluate" not in unsure and "split" not in unsure else None)
        check(lambda: inputs.split if "split" not in unsure else None)
        if inputs.needs_images and images:
            for part in (lambda: inputs.train_images, lambda: inputs.test_images):
                check(lambda part=part: _check_images(part(), inputs))  # type: ignore[misc]
    if has_images and not found and not {"split", "evaluate", "episodes", "tune"} & unsure:
        check(lambda: _check_experiments(inputs))
    if not found and not known:
        found += plugin_mistakes(plan.recipe)
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


def _check_features(source: Path | FeatureFiles, inputs: Inputs | None) -> None:
    """Refuse features from elsewhere with NaN in them or with labels outside the split, where there is one."""
    store = FeatureStore.open(source)
    store.check_finite()
    if inputs is None:
        return
    split = inputs.split
    try:
        split.check_labels(store.labels)
    except InputError as error:
        raise InputError(f"{store.path}: {error}") from None
