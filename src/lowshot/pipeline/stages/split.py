"""The first stage: the class split, and the experiments, which are the draws of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lowshot.benchmark.episode_sampler import EpisodeDesign, novel_rows
from lowshot.data import Experiments
from lowshot.data.class_names import check_same_classes, same_naming
from lowshot.data.experiment_files import files_to_read
from lowshot.errors import InputError
from lowshot.files import file_fingerprint, is_file
from lowshot.pipeline.class_sizes import check_class_sizes
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.stage import Stage
from lowshot.progress import say


def split_stage(inputs: Inputs) -> Stage:
    """The class split and the experiments of a recipe."""
    section, outputs = inputs.recipe.split, inputs.outputs
    numbers = range(1, section.experiments + 1)
    files = [section.file] if section.file else []
    if section.experiment_files:
        files += files_to_read(section.experiment_files, section.experiments)
    depends = {
        "split": section.model_dump(mode="json", exclude={"file", "experiment_files"}),
        "files": [file_fingerprint(file) for file in files if is_file(file)],
        "given": [bool(section.file), bool(section.experiment_files)],
        "seed": inputs.recipe.seed,
        "data": inputs.data_fingerprint,
        **({"classes": inputs.split.fingerprint} if inputs.classes_were_chosen else {}),
        **({"rows of given features": inputs.given_rows} if inputs.needs_images and inputs.given_rows else {}),
    }

    def action() -> None:
        experiments = make_experiments(inputs)  # before anything is written: they may not fit the data
        if (unused := inputs.unused_classes) is not None:
            say(unused, style="yellow")
        for left in outputs.experiments_beyond(section.experiments):
            left.unlink()
        inputs.split.to_json(outputs.split)
        experiments.write(outputs.experiments)

    written = (outputs.split, *(outputs.experiment(number) for number in numbers))
    return Stage("split", "", depends, (), written, action)


def make_experiments(inputs: Inputs) -> Experiments:
    """The experiments that the recipe names, checked against the data, or new ones from its seed.

    Raises:
        InputError: They do not fit the data, or a class has too few images for the shots or episodes of the recipe.
    """
    recipe, section = inputs.recipe, inputs.recipe.split
    inputs.check_class_names()
    check_class_sizes(inputs)
    labels, paths = inputs.listing
    if section.experiment_files is not None:
        experiments = Experiments.from_files(section.experiment_files, section.experiments)
    else:
        experiments = Experiments.random(
            labels,
            paths,
            n_experiments=section.experiments,
            max_shots=section.max_shots,
            seed=recipe.seed,
            class_names=inputs.class_names,
        )
    if section.experiment_files is not None:
        advice = "Give the files that belong to these data, or draw new experiments with split.experiment_files=null"
        _check(experiments, labels, paths, section.experiment_files, advice)
        if experiments.class_names is not None and same_naming(experiments.class_names, inputs.class_names):
            check_same_classes(section.experiment_files, experiments.class_names, "the data", inputs.class_names)
    advice = "Row numbers must mean the same images in all train parts: extract them from the same list of images"
    for store in inputs.given("train"):
        _check(experiments, store.labels, store.paths, str(store.path), advice)
    setup = inputs.split.setup(recipe.evaluate.setup)
    for experiment in range(1, len(experiments) + 1):
        experiments.shots(experiment, max(recipe.evaluate.n_shots), setup.novel)
    if (episodes := recipe.episodes) is not None:  # so that too few images show before anything is trained
        for n in episodes.n_shots:
            design = EpisodeDesign(episodes.n_way, n, episodes.n_query, episodes.n_tasks)
            novel_rows(inputs.part_labels, inputs.split, setup.name, design)
    return experiments


def _check(experiments: Experiments, labels: Any, paths: Sequence[str] | None, of: str, advice: str) -> None:
    try:
        experiments.check(labels, paths)
    except InputError as error:
        raise InputError(f"{of}: {error}. {advice}") from None
