"""The first stop: the class split, and the experiments, which are the draws of shots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lowshot.benchmark.episodes import EpisodeDesign, novel_rows
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import file_fingerprint
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.stages.base import Stop
from lowshot.recipe import Recipe


@dataclass(frozen=True)
class Splitting:
    """Who is base and who is novel, and which images are the shots.

    Attributes:
        recipe: what to do.
        inputs: the images or features that are split.
    """

    recipe: Recipe
    inputs: Inputs

    @property
    def file(self) -> Path:
        """The class split."""
        return self.recipe.folder / "split" / "label_idx.json"

    @property
    def experiment_pattern(self) -> str:
        """Where the experiments lie, to be filled with their number."""
        return str(self.recipe.folder / "split" / "splitfile_{:d}.json")

    def stop(self) -> Stop:
        section = self.recipe.split
        numbers = range(1, section.experiments + 1)
        files = [section.file] if section.file else []
        if section.experiment_files:
            files += [Path(section.experiment_files.format(i)) for i in numbers]
        inputs = {
            "split": section.model_dump(mode="json"),
            "files": [file_fingerprint(file) for file in files if file.is_file()],
            "seed": self.recipe.seed,
            "data": self.inputs.data_fingerprint,
        }
        outputs = (self.file, *(Path(self.experiment_pattern.format(i)) for i in numbers))
        return Stop("split", "", inputs, (), outputs, self._make)

    def experiments(self) -> Experiments:
        """The experiments that the recipe names, checked against the data, or new ones from its seed."""
        split = self.recipe.split
        labels, paths = self.inputs.listing
        if split.experiment_files is not None:
            experiments = Experiments.from_files(split.experiment_files, split.experiments)
        else:
            experiments = Experiments.random(
                labels,
                paths,
                n_experiments=split.experiments,
                max_shots=split.max_shots,
                seed=self.recipe.seed,
                class_names=self.inputs.class_names,
            )
        experiments.check(labels, paths)
        for section in self.recipe.representations.values():
            if section.features is not None:  # row numbers mean the same images in all of them
                _check(experiments, FeatureStore.open(section.features["train"]))
        setup = self.inputs.split.setup(self.recipe.evaluate.setup)
        for experiment in range(1, len(experiments) + 1):
            experiments.shots(experiment, max(self.recipe.evaluate.n_shots), setup.novel)
        if (episodes := self.recipe.episodes) is not None:  # so that too few images show before anything is trained
            for n in episodes.n_shots:
                design = EpisodeDesign(episodes.n_way, n, episodes.n_query, episodes.n_tasks)
                novel_rows(self.inputs.part_labels, self.inputs.split, setup.name, design)
        return experiments

    def _make(self) -> None:
        experiments = self.experiments()  # before anything is written: they may not fit the data
        self.inputs.split.to_json(self.file)
        experiments.write(self.experiment_pattern)


def _check(experiments: Experiments, store: FeatureStore) -> None:
    try:
        experiments.check(store.labels, store.paths)
    except InputError as error:
        raise InputError(f"{store.path}: {error}") from None
