"""The stops after features exist: fit generators and classifiers on base classes, then tune and evaluate methods.

extract:R ─┬→ fit-generator:R/GENERATOR ─┬→ tune:R/METHOD → evaluate:R/METHOD
           └→ fit-classifier:R/METHOD  ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lowshot.benchmark import ResultStore, ValidationData
from lowshot.benchmark.arena import BenchmarkData
from lowshot.benchmark.episode_units import EpisodeBenchmark
from lowshot.benchmark.episodes import EpisodeDesign
from lowshot.benchmark.method import GeneratorSource, Method
from lowshot.benchmark.packed import Scratch
from lowshot.benchmark.sweep import Job
from lowshot.benchmark.units import Benchmark, protocol
from lowshot.classifiers.persistence import save_classifier
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.io import file_fingerprint, fingerprint
from lowshot.pipeline.plan import Stop
from lowshot.pipeline.tuning import winner
from lowshot.recipe import Recipe
from lowshot.registry import CLASSIFIERS, GENERATORS

# Novel queries that are kept with their predictions, for the report.
EXAMPLES = 12


def result_path(folder: Path, representation: str, method: str) -> Path:
    """Where the records of one method on one representation lie."""
    return folder / "results" / representation / f"{method}.jsonl"


def episodes_path(folder: Path, representation: str, method: str) -> Path:
    """Where the records of one method on episodes lie."""
    return folder / "episodes" / representation / f"{method}.jsonl"


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

    # ---------------------------------------------------------- fit-generator

    def fit_generator(self, name: str, base: list[int], needs: tuple[Stop, ...]) -> Stop:
        section = self.recipe.generators[name]
        inputs = {
            "generator": section.generator,
            "params": section.params_for(self.representation),
            **self._base_inputs(base),
            **_file_inputs(section.params_for(self.representation)),
        }
        path = self.generator_path(name)
        return Stop(
            "fit-generator",
            f"{self.representation}/{name}",
            inputs,
            needs,
            (path,),
            lambda: self._make_generator(name, base, path),
        )

    def _make_generator(self, name: str, base: list[int], path: Path) -> None:
        section = self.recipe.generators[name]
        params = {"random_state": self.recipe.seed, "cache": path.with_suffix(".cache")}
        accepted = GENERATORS.parameters(section.generator)
        local = {key: value for key, value in params.items() if key in accepted}
        generator = GENERATORS.build(section.generator, **{**local, **section.params_for(self.representation)})
        weight = None
        if self.checkpoint is not None:
            from lowshot.representation import load_backbone

            weight = load_backbone(self.checkpoint).classifier.weight.detach().numpy()
        generator.fit(*self._base_examples(base), weight)
        generator.save(path)

    def generator_path(self, name: str) -> Path:
        return self.recipe.folder / "generators" / self.representation / f"{name}.safetensors"

    # --------------------------------------------------------- fit-classifier

    def is_pretrained(self, method: str) -> bool:
        """Whether a method's classifier learns on episodes of base classes, which is done once for all its runs."""
        section = self.recipe.evaluate.methods[method]
        given = section.params_for(self.representation).get("pretrained")
        return given is None and "pretrained" in CLASSIFIERS.parameters(section.classifier)

    def learner(self, method: str) -> str:
        """The method whose network this one uses: the first that is trained alike, whatever joins the shots later."""
        return next(other for other in self.recipe.evaluate.methods if self._training(other) == self._training(method))

    def _training(self, method: str) -> dict[str, Any]:
        """What an episodic classifier learns, as opposed to how it is used afterwards."""
        section = self.recipe.evaluate.methods[method]
        use: frozenset[str] = getattr(CLASSIFIERS.get(section.classifier), "use_parameters", frozenset())
        params = section.params_for(self.representation)
        return {"classifier": section.classifier, "params": {k: v for k, v in params.items() if k not in use}}

    def fit_classifier(self, method: str, base: list[int], needs: tuple[Stop, ...]) -> Stop:
        inputs = {**self._training(method), **self._base_inputs(base)}
        path = self.classifier_path(method)
        # Named by what is trained, so that a changed recipe does not try to go on from another training.
        checkpoint = path.with_name(f"{method}-{fingerprint(inputs, [need.fingerprint for need in needs])}.ckpt")
        return Stop(
            "fit-classifier",
            f"{self.representation}/{method}",
            inputs,
            needs,
            (path,),
            lambda: self._make_classifier(method, base, path, checkpoint),
        )

    def _make_classifier(self, method: str, base: list[int], path: Path, checkpoint: Path) -> None:
        section = self.recipe.evaluate.methods[method]
        params = {"random_state": self.recipe.seed, "checkpoint": checkpoint}
        classifier = CLASSIFIERS.build(section.classifier, **{**params, **section.params_for(self.representation)})
        save_classifier(classifier.fit_base(*self._base_examples(base)), path)
        for finished in path.parent.glob(f"{method}-{'[0-9a-f]' * 16}.ckpt"):
            finished.unlink()

    def classifier_path(self, method: str) -> Path:
        return self.recipe.folder / "classifiers" / self.representation / f"{self.learner(method)}.safetensors"

    # --------------------------------------------------------------- evaluate

    def evaluate(self, method: str, needs: tuple[Stop, ...], merged: Path, merge: Callable[[bool], None]) -> Stop:
        """Every run of one method; ``merge(last)`` then brings the file of all results up to date."""
        section = self.recipe.evaluate.methods[method]
        inputs = {
            "classifier": section.classifier,
            "params": section.params_for(self.representation),
            "n_per_class": section.n_per_class,
            "evaluate": self.recipe.evaluate.model_dump(mode="json", exclude={"methods"}),
            **self.common_inputs,
        }
        path = result_path(self.recipe.folder, self.representation, method)
        subject = f"{self.representation}/{method}"
        return Stop(
            "evaluate", subject, inputs, needs, (path, merged), job=lambda: self._evaluation(method, path, merge)
        )

    def _evaluation(self, method: str, path: Path, merge: Callable[[bool], None]) -> Job:
        """The runs of one method that are not in its file of results yet."""
        benchmark, store = self._benchmark(method), ResultStore(path)
        units = [unit.unit for unit in benchmark.units]

        def finish(last: bool) -> None:
            store.keep(units)
            store.arrange(units)
            merge(last)

        return benchmark.job(f"evaluate:{self.representation}/{method}", store, self.scratch, finish)

    def _benchmark(self, method: str) -> Benchmark:
        recipe = self.recipe
        return Benchmark(
            self.data,
            self._method(method, EXAMPLES),
            n_shots=recipe.evaluate.n_shots,
            setup=recipe.evaluate.setup,
            prior_target=recipe.evaluate.prior_target if recipe.evaluate.calibrate == "prior" else None,
            tags=self.tags(method),
        )

    # --------------------------------------------------------------- episodes

    def episodes(self, method: str, needs: tuple[Stop, ...], merged: Path, merge: Callable[[bool], None]) -> Stop:
        """All episodes of one method; ``merge(last)`` then brings the file of all of them up to date."""
        assert self.recipe.episodes is not None
        section = self.recipe.evaluate.methods[method]
        inputs = {
            "classifier": section.classifier,
            "params": section.params_for(self.representation),
            "n_per_class": section.n_per_class,
            "episodes": self.recipe.episodes.model_dump(mode="json", exclude={"methods"}),
            "setup": self.recipe.evaluate.setup,
            **self.common_inputs,
        }
        path = episodes_path(self.recipe.folder, self.representation, method)
        subject = f"{self.representation}/{method}"
        return Stop("episodes", subject, inputs, needs, (path, merged), job=lambda: self._episodes(method, path, merge))

    def _episodes(self, method: str, path: Path, merge: Callable[[bool], None]) -> Job:
        """The episodes of one method that are not in its file yet."""
        section, store = self.recipe.episodes, ResultStore(path)
        assert section is not None
        benchmark = EpisodeBenchmark(
            self.data,
            self._method(method),
            designs=[EpisodeDesign(section.n_way, n, section.n_query, section.n_tasks) for n in section.n_shots],
            setup=self.recipe.evaluate.setup,
            tags=self.tags(method),
        )
        units = [unit.unit for unit in benchmark.units]

        def finish(last: bool) -> None:
            store.keep(units)
            store.arrange(units)
            merge(last)

        name = f"episodes:{self.representation}/{method}"
        return benchmark.job(name, store, self.scratch, finish, self.recipe.evaluate.n_shots)

    # ------------------------------------------------------------------ shared

    def _method(self, method: str, examples: int = 0) -> Method:
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

    def _base_inputs(self, base: list[int]) -> dict[str, Any]:
        return {"base": base, **self.common_inputs}

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

    def _base_examples(self, base: list[int]) -> tuple[np.ndarray, np.ndarray]:
        store = FeatureStore.open(self.features["train"])
        rows = store.rows_of(base)
        return store.rows(rows), store.labels[rows]


def _file_inputs(params: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files that parameters name, such as that of a wrapped pair of functions."""
    named = {key: value for key, value in params.items() if isinstance(value, str) and Path(value).is_file()}
    return {f"file {key}": file_fingerprint(value) for key, value in named.items()}
