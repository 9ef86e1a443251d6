"""The road of a recipe: its stops in the order in which they can run, and what would stop them.

split ─┬→ train:REPRESENTATION → extract:REPRESENTATION → evaluate:REPRESENTATION/METHOD → report
       └──────────────────────────────────────────────────────────↗
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from lowshot.benchmark.packed import Scratch
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline.base_phase import fit_classifier_stop, fit_generator_stop
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot_phase import LowShotPhase, scratch_of
from lowshot.pipeline.measuring import episodes_stop, evaluate_stop
from lowshot.pipeline.representation_phase import PARTS, RepresentationPhase
from lowshot.pipeline.result_files import ResultFiles
from lowshot.pipeline.splitting import Splitting
from lowshot.pipeline.stages.base import Stop
from lowshot.pipeline.tuning import tune_stop
from lowshot.recipe import Recipe, registry_complaints


class Road:
    """All stops of one recipe, in the order in which they can run."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.folder
        self.inputs = Inputs(recipe)
        self.splitting = Splitting(recipe, self.inputs)
        self.results = ResultFiles(recipe)

    @cached_property
    def stops(self) -> list[Stop]:
        """The plan: one split, then kind by kind all representations, then one report."""
        return list(self._stops())

    def _stops(self) -> Iterator[Stop]:
        yield (split := self.splitting.stop())
        trained: dict[str, tuple[Stop, ...]] = {}
        extracted: dict[str, tuple[Stop, ...]] = {}
        for name in self.recipe.representations:
            if (phase := self.representation(name)).is_trained_here:
                yield (train := phase.train())
                trained[name] = (train,)
        for name in self.recipe.representations:
            if (phase := self.representation(name)).is_extracted_here:
                yield (extract := phase.extract(trained.get(name, ())))
                extracted[name] = (extract,)
        yield from (evaluations := tuple(self._low_shot_phase(split, extracted)))
        yield self._report(tuple(stop for stop in evaluations if stop.kind in ("evaluate", "episodes")))

    def representation(self, name: str) -> RepresentationPhase:
        """One representation up to its features."""
        return RepresentationPhase(self.recipe, self.inputs, name)

    # ------------------------------------------------------- low-shot phase

    def _low_shot_phase(self, split: Stop, extracted: Mapping[str, tuple[Stop, ...]]) -> Iterator[Stop]:
        """The generators and classifiers that learn from base classes first, then the methods that use them."""
        base = self.inputs.split.base.tolist()
        phases = {name: self.phase(name) for name in self.recipe.representations}
        methods = self.recipe.evaluate.methods
        learned: dict[tuple[str, str], Stop] = {}
        before: dict[tuple[str, str], tuple[Stop, ...]] = {}
        for name, phase in phases.items():
            for generator in phase.generators:
                yield (stop := fit_generator_stop(phase, generator, base, extracted.get(name, ())))
                learned[name, f"generator {generator}"] = stop
        for name, phase in phases.items():
            for method in methods:
                if phase.is_pretrained(method) and phase.learner(method) == method:
                    yield (stop := fit_classifier_stop(phase, method, base, extracted.get(name, ())))
                    learned[name, f"classifier {method}"] = stop
        for name, phase in phases.items():
            for method, section in methods.items():
                uses = (f"generator {section.generator}", f"classifier {phase.learner(method)}")
                needs = [split, *extracted.get(name, ())]
                needs += [learned[name, use] for use in uses if (name, use) in learned]
                if section.grid is not None:
                    yield (stop := tune_stop(phase, method, tuple(needs)))
                    needs.append(stop)
                before[name, method] = tuple(needs)
        for name, phase in phases.items():
            for method in methods:
                yield evaluate_stop(phase, method, before[name, method], self.results)
        for name, phase in phases.items():
            for method in self.results.episode_methods:
                yield episodes_stop(phase, method, before[name, method], self.results)

    def phase(self, name: str) -> LowShotPhase:
        """The low-shot phase of one representation."""
        made = self.representation(name)
        return LowShotPhase(
            self.recipe,
            name,
            features={part: made.features(part) for part in PARTS},
            checkpoint=made.checkpoint if made.is_extracted_here else None,
            split_file=self.splitting.file,
            experiment_pattern=self.splitting.experiment_pattern,
            plugins=self.inputs.plugins,
        )

    @property
    def scratch(self) -> Scratch:
        """What the workers of a sweep share."""
        return scratch_of(self.recipe)

    def catch_up(self) -> None:
        """Make the files of results say what today's recipe says."""
        self.results.catch_up(self.stops, lambda name, method: self.phase(name).tags(method))

    # ----------------------------------------------------------------- report

    def _report(self, needs: tuple[Stop, ...]) -> Stop:
        inputs = {
            "report": self.recipe.report.model_dump(mode="json"),
            "description": self.recipe.description,
            "labels": [
                *(self.recipe.label(name) for name in self.recipe.representations),
                *(self.recipe.method_label(method) for method in self.recipe.evaluate.methods),
            ],
        }
        return Stop("report", "", inputs, needs, (self.report_page,), self._make_report)

    def _make_report(self) -> None:
        from lowshot.pipeline.reporting import write_recipe_report

        write_recipe_report(self)

    @property
    def report_page(self) -> Path:
        return self.folder / "report" / "report.html"

    # ---------------------------------------------------------------- mistakes

    def complaints(self) -> list[str]:
        """What would stop this recipe on its way: missing or unfit files, images, classes, experiments, models."""
        wrong: list[str] = []

        def look(check: Callable[[], object]) -> None:
            try:
                check()
            except InputError as error:
                wrong.extend(line for line in str(error).splitlines() if line not in wrong)

        for name, section in self.recipe.representations.items():
            if section.features is not None:
                for path in section.features.values():
                    look(lambda path=path: self._check_features(path))  # type: ignore[misc]
            elif section.checkpoint is not None:
                look(lambda name=name: self.representation(name).backbone())  # type: ignore[misc]
            elif not registry_complaints(self.recipe):
                look(lambda name=name: self.representation(name).check_backbone())  # type: ignore[misc]
        look(lambda: self.inputs.transforms)
        look(lambda: self.inputs.split)
        look(lambda: self.inputs.test_images if self.inputs.needs_images else None)
        if not wrong:
            look(self.splitting.experiments)
        return wrong

    def _check_features(self, path: Path) -> None:
        """Refuse a features file from elsewhere with NaN in it or with labels outside the split."""
        store = FeatureStore.open(path)
        store.check_finite()
        try:
            self.inputs.split.check_labels(store.labels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
