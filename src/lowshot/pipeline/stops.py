"""The stops of a recipe: what each reads, what it writes, and the call that does the work.

    split ─┬→ train:REPRESENTATION → extract:REPRESENTATION → evaluate:REPRESENTATION/METHOD → report
           └──────────────────────────────────────────────────────────↗
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.io import file_fingerprint, fingerprint, read_json
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.plan import Stop
from lowshot.progress import say
from lowshot.recipe import Recipe


class Road:
    """All stops of one recipe, in the order in which they can run."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.folder
        self.inputs = Inputs(recipe)

    @cached_property
    def stops(self) -> list[Stop]:
        """The plan: one split, then train, extract and evaluate per representation, then one report."""
        return list(self._stops())

    def _stops(self) -> Iterator[Stop]:
        yield (split := self._split())
        evaluations = []
        for name, section in self.recipe.representations.items():
            needs: tuple[Stop, ...] = ()
            if section.features is None:
                if section.checkpoint is None:
                    yield (train := self._train(name))
                    needs = (train,)
                yield (extract := self._extract(name, needs))
                needs = (extract,)
            for method in self.recipe.evaluate.methods:
                evaluation = self._evaluate(name, method, (split, *needs))
                evaluations.append(evaluation)
                yield evaluation
        yield self._report(tuple(evaluations))

    def complaints(self) -> list[str]:
        """What would stop this recipe on its way: missing files, images, classes, experiments for other data."""
        wrong: list[str] = []
        for name, section in self.recipe.representations.items():
            paths = {"checkpoint": section.checkpoint, **{f"features.{k}": v for k, v in (section.features or {}).items()}}
            wrong += [
                f"representations.{name}.{key}: {path} does not exist"
                for key, path in paths.items()
                if path is not None and not path.is_file()
            ]
        for look in (lambda: self.inputs.class_names, lambda: self.inputs.split, lambda: self._experiments()):
            try:
                look()
            except InputError as error:
                wrong += [line for line in str(error).splitlines() if line not in wrong]
        return wrong

    # ------------------------------------------------------------------ split

    def _split(self) -> Stop:
        section = self.recipe.split
        files = [section.file] if section.file else []
        if section.experiment_files:
            files += [Path(section.experiment_files.format(i)) for i in range(1, section.experiments + 1)]
        inputs = {
            "split": section.model_dump(mode="json"),
            "files": [file_fingerprint(file) for file in files if file.is_file()],
            "seed": self.recipe.seed,
            "data": self.inputs.data_fingerprint,
        }
        outputs = (self._split_file, *(self._experiment_file(i) for i in range(1, section.experiments + 1)))
        return Stop("split", "", inputs, (), outputs, self._make_split)

    def _make_split(self) -> None:
        self.inputs.split.to_json(self._split_file)
        self._experiments().write(self._experiment_pattern)

    def _experiments(self) -> Experiments:
        """The experiments that the recipe names, checked against the data, or new ones from its seed."""
        section = self.recipe.split
        labels, paths = self.inputs.listing
        if section.experiment_files is not None:
            experiments = Experiments.from_files(section.experiment_files, section.experiments)
        else:
            experiments = Experiments.random(
                labels,
                paths,
                n_experiments=section.experiments,
                max_shots=section.max_shots,
                seed=self.recipe.seed,
                class_names=self.inputs.class_names,
            )
        experiments.check(labels, paths)
        setup = self.inputs.split.setup(self.recipe.evaluate.setup)
        for experiment in range(1, len(experiments) + 1):
            experiments.shots(experiment, max(self.recipe.evaluate.n_shots), setup.novel)
        return experiments

    @property
    def _split_file(self) -> Path:
        return self.folder / "split" / "label_idx.json"

    @property
    def _experiment_pattern(self) -> str:
        return str(self.folder / "split" / "splitfile_{:d}.json")

    def _experiment_file(self, index: int) -> Path:
        return Path(self._experiment_pattern.format(index))

    # ------------------------------------------------------------------ train

    def _train(self, name: str) -> Stop:
        settings = self.recipe.train_settings(name)
        inputs = {
            "train": {**settings.identity(), "epochs": settings.epochs},
            "transform": self.inputs.transforms.description,
            "base": self.inputs.split.base.tolist(),
            "data": self.inputs.train_images.fingerprint,
            "seed": self.recipe.seed,
        }
        outputs = (self._trained(name),)
        return Stop("train", name, inputs, (), outputs, lambda: self._make_representation(name))

    def _make_representation(self, name: str) -> None:
        from lowshot.representation import train_representation

        base = self.inputs.split.base
        train_representation(
            self.recipe.train_settings(name),
            self.inputs.train_images.of_classes(base),
            self.inputs.test_images.of_classes(base),
            self._representation(name),
            self.inputs.transforms,
            seed=self.recipe.seed,
            workers=self.recipe.data.workers,
        )

    def _representation(self, name: str) -> Path:
        return self.folder / "representations" / name

    def _trained(self, name: str) -> Path:
        """The checkpoint after the last epoch."""
        return checkpoint_path(self._representation(name), self.recipe.train_settings(name).epochs)

    # ---------------------------------------------------------------- extract

    def _extract(self, name: str, needs: tuple[Stop, ...]) -> Stop:
        checkpoint = self.recipe.representations[name].checkpoint
        inputs = {
            "extract": self.recipe.extract.model_dump(mode="json", exclude={"devices"}),
            "checkpoint": None if checkpoint is None or not checkpoint.is_file() else file_fingerprint(checkpoint),
            "transform": self.inputs.transforms.description,
            "data": self.inputs.data_fingerprint,
        }
        outputs = tuple(self._features(name, part) for part in ("train", "test"))
        return Stop("extract", name, inputs, needs, outputs, lambda: self._make_features(name))

    def _make_features(self, name: str) -> None:
        from lowshot.representation import load_backbone

        section = self.recipe.extract
        backbone = load_backbone(self.recipe.representations[name].checkpoint or self._trained(name))
        for part, images in (("train", self.inputs.train_images), ("test", self.inputs.test_images)):
            extract_features(
                backbone,
                images,
                self.inputs.transforms,
                self._features(name, part),
                batch_size=section.batch_size,
                precision=section.precision,
                dtype=section.dtype,
                workers=self.recipe.data.workers,
                devices=section.devices,
                attributes={"representation": name, "recipe": self.recipe.name},
            )

    def _features(self, name: str, part: str) -> Path:
        given = self.recipe.representations[name].features
        return given[part] if given is not None else self.folder / "features" / name / f"{part}.hdf5"

    # --------------------------------------------------------------- evaluate

    def _evaluate(self, name: str, method: str, needs: tuple[Stop, ...]) -> Stop:
        section = self.recipe.evaluate
        given = self.recipe.representations[name].features or {}
        inputs = {
            "classifier": section.methods[method].classifier,
            "params": section.methods[method].params_for(name),
            "evaluate": section.model_dump(mode="json", exclude={"methods"}),
            "features": {part: FeatureStore.open(path).fingerprint for part, path in given.items()},
            "seed": self.recipe.seed,
        }
        return Stop(
            "evaluate", f"{name}/{method}", inputs, needs, (self._results,), lambda: self._make_results(name, method)
        )

    def _make_results(self, name: str, method: str) -> None: ...

    @property
    def _results(self) -> Path:
        return self.folder / "results.jsonl"
