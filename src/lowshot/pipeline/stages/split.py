"""The first stage: the class split, and the experiments, which are the draws of shots."""

from __future__ import annotations

from pathlib import Path

from lowshot.benchmark.episode_sampler import EpisodeDesign, novel_rows
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import file_fingerprint
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.stages.base import Stage


def split_stage(inputs: Inputs) -> Stage:
    """The class split and the experiments of a recipe."""
    section, outputs = inputs.recipe.split, inputs.outputs
    numbers = range(1, section.experiments + 1)
    files = [section.file] if section.file else []
    if section.experiment_files:
        files += [Path(section.experiment_files.format(i)) for i in numbers]
    depends = {
        "split": section.model_dump(mode="json"),
        "files": [file_fingerprint(file) for file in files if file.is_file()],
        "seed": inputs.recipe.seed,
        "data": inputs.data_fingerprint,
    }

    def action() -> None:
        experiments = make_experiments(inputs)  # before anything is written: they may not fit the data
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
    experiments.check(labels, paths)
    for representation in recipe.representations.values():
        if representation.features is not None:  # row numbers mean the same images in all of them
            _check(experiments, FeatureStore.open(representation.features["train"]))
    setup = inputs.split.setup(recipe.evaluate.setup)
    for experiment in range(1, len(experiments) + 1):
        experiments.shots(experiment, max(recipe.evaluate.n_shots), setup.novel)
    if (episodes := recipe.episodes) is not None:  # so that too few images show before anything is trained
        for n in episodes.n_shots:
            design = EpisodeDesign(episodes.n_way, n, episodes.n_query, episodes.n_tasks)
            novel_rows(inputs.part_labels, inputs.split, setup.name, design)
    return experiments


def _check(experiments: Experiments, store: FeatureStore) -> None:
    try:
        experiments.check(store.labels, store.paths)
    except InputError as error:
        raise InputError(f"{store.path}: {error}") from None
