"""The low-shot phase of one representation: the parts that its stages share.

extract:R ─┬→ fit-generator:R/GENERATOR ─┬→ tune:R/METHOD → evaluate:R/METHOD, episodes:R/METHOD
           └→ fit-classifier:R/METHOD  ──┘
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.benchmark import ValidationData
from lowshot.benchmark.method import GeneratorSource, Method
from lowshot.benchmark.parameter_grid import N_PER_CLASS, Tuning
from lowshot.benchmark.protocol import protocol
from lowshot.benchmark.setup_data import BenchmarkData
from lowshot.contents import content_fingerprint
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureFiles, FeatureStore
from lowshot.files import is_file
from lowshot.pipeline.outputs import Outputs
from lowshot.pipeline.representation import Representation
from lowshot.recipe import Recipe
from lowshot.recipe.method_sections import MethodSection
from lowshot.registry import CLASSIFIERS


@dataclass(frozen=True)
class LowShotPhase:
    """The low-shot phase of one representation.

    Attributes:
        representation (Representation): The representation.
    """

    representation: Representation

    @property
    def name(self) -> str:
        """The name of the training, which files and stages are named by."""
        return self.representation.name

    @property
    def key(self) -> str:
        """The representation's key in the recipe."""
        return self.representation.key

    @property
    def recipe(self) -> Recipe:
        return self.representation.inputs.recipe

    @property
    def outputs(self) -> Outputs:
        return self.representation.inputs.outputs

    def section(self, method: str) -> MethodSection:
        """The recipe's section of a method."""
        return self.recipe.evaluate.methods[method]

    @property
    def methods(self) -> list[str]:
        """The methods that are measured on this representation, in the recipe's order."""
        return self.recipe.methods_of(self.key)

    @property
    def generators(self) -> list[str]:
        """The generators that a method uses, in the recipe's order."""
        used = {self.section(method).generator for method in self.methods}
        return [name for name in self.recipe.generators if name in used]

    def is_trained_on_episodes(self, method: str) -> bool:
        """True where a method's classifier is trained on episodes by a stage of its own, once for all its runs."""
        section = self.section(method)
        given = section.params_for(self.key).get("pretrained")
        return given is None and getattr(CLASSIFIERS.get(section.classifier), "trained_on_episodes", False)

    def trained_method(self, method: str) -> str:
        """The method whose trained classifier this one uses: the first with the same training."""
        return next(other for other in self.methods if self.training(other) == self.training(method))

    def training(self, method: str) -> dict[str, Any]:
        """All that the training on episodes depends on."""
        section = self.section(method)
        later: frozenset[str] = getattr(CLASSIFIERS.get(section.classifier), "inference_parameters", frozenset())
        params = {key: value for key, value in section.params_for(self.key).items() if key not in later}
        return {"classifier": section.classifier, "params": params}

    def classifier_path(self, method: str) -> Path:
        """The file of a method's trained classifier."""
        return self.outputs.classifier(self.name, self.trained_method(method))

    def method(self, method: str, examples: int = 0) -> Method:
        """A method of the recipe, with the parameters that were chosen for it if it has a grid."""
        section = self.section(method)
        params, n_per_class = self.params(method), section.n_per_class
        if section.grid is not None:
            chosen = dict(Tuning.read(self.outputs.tuned(self.key, method)).best.params)
            n_per_class = chosen.pop(N_PER_CLASS, n_per_class)
            params |= chosen
        classifier = CLASSIFIERS.build(section.classifier, **params)
        return Method(classifier, self.generator_source(method), n_per_class, self.recipe.seed, examples)

    def params(self, method: str) -> dict[str, Any]:
        """The parameters of a method's classifier, before any are chosen."""
        params = self.section(method).params_for(self.key)
        return {**params, "pretrained": self.classifier_path(method)} if self.is_trained_on_episodes(method) else params

    def tags(self, method: str) -> dict[str, Any]:
        """The entries of every record of a method that come from the recipe; no fingerprint of its runs covers them."""
        return {
            "recipe": self.recipe.name,
            "recipe_hash": self.recipe.fingerprint,
            "representation": self.key,
            **({"training": self.representation.number} if self.representation.section.seeds > 1 else {}),
            "method": method,
            "tuned": self.section(method).grid is not None,
        }

    def generator_source(self, method: str) -> GeneratorSource | None:
        """The fitted generator of a method, if it has one."""
        name = self.section(method).generator
        if name is None:
            return None
        return GeneratorSource(self.outputs.generator(self.name, name).absolute(), self.outputs.scratch)

    @cached_property
    def data(self) -> BenchmarkData:
        """The features with split and experiments, opened once for all methods."""
        train, test, split, experiments = self._read()
        if not self.representation.is_extracted:
            train.check_finite()
            test.check_finite()
        return BenchmarkData(train, test, split, experiments)

    @cached_property
    def validation(self) -> ValidationData:
        """The validation half of the data, cut out: tuning is handed this and nothing else."""
        return ValidationData(*self._read(), self.recipe.tune.experiments)

    def _read(self) -> tuple[FeatureStore, FeatureStore, ClassSplit, Experiments]:
        train, test = (FeatureStore.open(self.representation.features(part)) for part in ("train", "test"))
        experiments = Experiments.from_files(self.outputs.experiments, self.recipe.split.experiments)
        return train, test, ClassSplit.from_json(self.outputs.split), experiments

    @property
    def common_inputs(self) -> dict[str, Any]:
        """The inputs that the stages of the phase have in common."""
        given = self.representation.section.given
        plugins = self.representation.inputs.plugins
        return {
            "features": {part: found for part, source in given.items() if (found := _content(source)) is not None},
            "seed": self.recipe.seed,
            **({"plugins": plugins} if plugins else {}),
            **({"protocol": protocol()} if protocol() else {}),
        }

    def base_examples(self, base: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and labels (N,) of all train images of the base classes."""
        store = FeatureStore.open(self.representation.features("train"))
        rows = store.rows_of(base)
        return store.rows(rows), store.labels[rows]


def _content(source: Path | FeatureFiles) -> Any:
    """A digest of the content of given features; None where a file is missing."""
    if isinstance(source, FeatureFiles):
        digests = [content_fingerprint(path) for path in source.files if is_file(path)]
        return [*digests, *source.names] if len(digests) == 2 else None
    return content_fingerprint(source) if is_file(source) else None
