"""The low-shot phase of one representation: what its stops have in common.

extract:R ─┬→ fit-generator:R/GENERATOR ─┬→ tune:R/METHOD → evaluate:R/METHOD, episodes:R/METHOD
           └→ fit-classifier:R/METHOD  ──┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lowshot.benchmark import ValidationData
from lowshot.benchmark.arena import BenchmarkData
from lowshot.benchmark.method import GeneratorSource, Method
from lowshot.benchmark.packed import Scratch
from lowshot.benchmark.units import protocol
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.files import file_fingerprint
from lowshot.pipeline.tuning import winner
from lowshot.recipe import Recipe
from lowshot.registry import CLASSIFIERS


def scratch_of(recipe: Recipe) -> Scratch:
    """The folder of a recipe that its sweeps use and remove."""
    return Scratch(recipe.folder / "scratch")


@dataclass(frozen=True)
class LowShotPhase:
    """The low-shot phase of one representation.

    Attributes:
        recipe: what to do.
        representation: its key in the recipe.
        features: the features file of each part.
        checkpoint: the network that made them, whose classifier a generator may use; None for features made elsewhere.
        split_file: the class split.
        experiment_pattern: the experiments.
        plugins: digests of the plug-in files; whoever edits one wants new results.
    """

    recipe: Recipe
    representation: str
    features: Mapping[Literal["train", "test"], Path]
    checkpoint: Path | None
    split_file: Path
    experiment_pattern: str
    plugins: tuple[str, ...] = ()

    @property
    def generators(self) -> list[str]:
        """The generators that a method uses, in the recipe's order."""
        used = {method.generator for method in self.recipe.evaluate.methods.values()}
        return [name for name in self.recipe.generators if name in used]

    def generator_path(self, name: str) -> Path:
        return self.recipe.folder / "generators" / self.representation / f"{name}.safetensors"

    def is_pretrained(self, method: str) -> bool:
        """Whether a method's classifier learns on episodes of base classes, which is done once for all its runs."""
        section = self.recipe.evaluate.methods[method]
        given = section.params_for(self.representation).get("pretrained")
        return given is None and getattr(CLASSIFIERS.get(section.classifier), "trained_on_episodes", False)

    def learner(self, method: str) -> str:
        """The method whose network this one uses: the first that is trained alike, whatever joins the shots later."""
        return next(other for other in self.recipe.evaluate.methods if self.training(other) == self.training(method))

    def training(self, method: str) -> dict[str, Any]:
        """What an episodic classifier learns, as opposed to how it is used afterwards."""
        section = self.recipe.evaluate.methods[method]
        use: frozenset[str] = getattr(CLASSIFIERS.get(section.classifier), "inference_parameters", frozenset())
        params = section.params_for(self.representation)
        return {"classifier": section.classifier, "params": {k: v for k, v in params.items() if k not in use}}

    def classifier_path(self, method: str) -> Path:
        return self.recipe.folder / "classifiers" / self.representation / f"{self.learner(method)}.safetensors"

    def method(self, method: str, examples: int = 0) -> Method:
        """A method of the recipe, with the parameters that were chosen for it if it has a grid."""
        section = self.recipe.evaluate.methods[method]
        params, n_per_class = self.params(method), section.n_per_class
        if section.grid is not None:
            chosen, chosen_n_per_class = winner(self.recipe.folder, self.representation, method)
            params, n_per_class = {**params, **chosen}, chosen_n_per_class or n_per_class
        classifier = CLASSIFIERS.build(section.classifier, **params)
        return Method(classifier, self.generator_source(method), n_per_class, self.recipe.seed, examples)

    def tags(self, method: str) -> dict[str, Any]:
        """What every record of a method says of the recipe; no digest of its runs covers it."""
        return {
            "recipe": self.recipe.name,
            "recipe_hash": self.recipe.fingerprint,
            "representation": self.representation,
            "method": method,
            "tuned": self.recipe.evaluate.methods[method].grid is not None,
        }

    def params(self, method: str) -> dict[str, Any]:
        """The parameters of a method's classifier, before any are chosen."""
        params = self.recipe.evaluate.methods[method].params_for(self.representation)
        return {**params, "pretrained": self.classifier_path(method)} if self.is_pretrained(method) else params

    def generator_source(self, method: str) -> GeneratorSource | None:
        """The fitted generator of a method, if it has one."""
        name = self.recipe.evaluate.methods[method].generator
        return None if name is None else GeneratorSource(self.generator_path(name).absolute(), self.scratch)

    @cached_property
    def data(self) -> BenchmarkData:
        """The features with split and experiments, opened once for all methods."""
        train, test, split, experiments = self._read()
        if self.recipe.representations[self.representation].features is not None:
            train.check_finite()
            test.check_finite()
        return BenchmarkData(train, test, split, experiments)

    @cached_property
    def validation(self) -> ValidationData:
        """The validation half of the data, cut out: tuning is handed this and nothing else."""
        return ValidationData(*self._read(), self.recipe.tune.experiments)

    def _read(self) -> tuple[FeatureStore, FeatureStore, ClassSplit, Experiments]:
        train, test = (FeatureStore.open(self.features[part]) for part in ("train", "test"))
        experiments = Experiments.from_files(self.experiment_pattern, self.recipe.split.experiments)
        return train, test, ClassSplit.from_json(self.split_file), experiments

    @property
    def scratch(self) -> Scratch:
        """Where a sweep puts what its workers share."""
        return scratch_of(self.recipe)

    @property
    def common_inputs(self) -> dict[str, Any]:
        """What the results of every stop depend on."""
        plugins = {"plugins": self.plugins} if self.plugins else {}
        rules = {"protocol": protocol()} if protocol() else {}
        return {"features": self._given_features(), "seed": self.recipe.seed, **plugins, **rules}

    def _given_features(self) -> dict[str, str]:
        """Digests of feature files that no stop of the recipe makes."""
        given = self.recipe.representations[self.representation].features or {}
        return {part: file_fingerprint(path) for part, path in given.items() if path.is_file()}

    def base_examples(self, base: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and labels (N,) of all train images of the base classes."""
        store = FeatureStore.open(self.features["train"])
        rows = store.rows_of(base)
        return store.rows(rows), store.labels[rows]
