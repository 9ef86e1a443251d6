"""The plan of a recipe: its stages in the order in which they can run.

split ─┬→ train:REPRESENTATION → extract:REPRESENTATION → evaluate:REPRESENTATION/METHOD → report
       └──────────────────────────────────────────────────────────↗
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.representation import Representation
from lowshot.pipeline.result_files import ResultFiles
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stages.episodes import episodes_stage
from lowshot.pipeline.stages.evaluate import evaluate_stage
from lowshot.pipeline.stages.extract import extract_stage
from lowshot.pipeline.stages.fit_classifier import fit_classifier_stage
from lowshot.pipeline.stages.fit_generator import fit_generator_stage
from lowshot.pipeline.stages.report import report_stage
from lowshot.pipeline.stages.split import split_stage
from lowshot.pipeline.stages.train import train_stage
from lowshot.pipeline.stages.tune import tune_stage
from lowshot.recipe import Recipe

Needs = Mapping[str, tuple[Stage, ...]]


class Plan:
    """All stages of one recipe, in the order in which they can run.

    Args:
        recipe (Recipe): The recipe.
        dry (bool): True where looking at the data must write nothing into the output folder.
    """

    def __init__(self, recipe: Recipe, dry: bool = False) -> None:
        self.recipe = recipe
        self.inputs = Inputs(recipe, dry)
        self.outputs = self.inputs.outputs
        self.results = ResultFiles(recipe, self.outputs)
        self.representations = {name: Representation(self.inputs, name) for name in recipe.trainings}
        self.phases = {name: LowShotPhase(one) for name, one in self.representations.items()}

    def settle(self) -> None:
        """Derive from the data what the recipe leaves to them; the recipe states it from then on.

        Raises:
            InputError: The data cannot be read, or are too few.
        """
        self.inputs.settle()
        self.recipe = self.inputs.recipe
        self.results = ResultFiles(self.recipe, self.outputs)

    @cached_property
    def stages(self) -> list[Stage]:
        """One split, then kind by kind all representations, then one report."""
        self.settle()
        return list(self._stages())

    def _stages(self) -> Iterator[Stage]:
        yield (split := split_stage(self.inputs))
        trained: dict[str, tuple[Stage, ...]] = {}
        extracted: dict[str, tuple[Stage, ...]] = {}
        for name in self._training_order():
            teachers = self.representations[name].teachers.values()
            needs = tuple(stage for teacher in teachers for stage in trained.get(teacher.name, ()))
            yield (train := train_stage(self.representations[name], needs))
            trained[name] = (train,)
        for name, representation in self.representations.items():
            if representation.is_extracted:
                yield (extract := extract_stage(representation, trained.get(representation.network.name, ())))
                extracted[name] = (extract,)
        yield from (measured := tuple(self._low_shot_stages(split, extracted)))
        needs = tuple(stage for stage in measured if stage.kind in ("evaluate", "episodes"))
        yield report_stage(self.inputs, self.phases, self.results, needs)

    def _training_order(self) -> list[str]:
        """The representations that are trained, as the recipe lists them, but each after those it learns from."""
        order: dict[str, None] = {}

        def add(name: str) -> None:
            for teacher in self.representations[name].teachers.values():
                add(teacher.name)
            if self.representations[name].is_trained:
                order.setdefault(name)

        for name in self.representations:
            add(name)
        return list(order)

    def _low_shot_stages(self, split: Stage, extracted: Needs) -> Iterator[Stage]:
        """The generators and classifiers that learn from base classes first, then the methods that use them."""
        base = self.inputs.split.base.tolist()
        learned: dict[tuple[str, str], Stage] = {}
        needs: dict[tuple[str, str], tuple[Stage, ...]] = {}
        for name, phase in self.phases.items():
            for generator in phase.generators:
                yield (stage := fit_generator_stage(phase, generator, base, extracted.get(name, ())))
                learned[name, f"generator {generator}"] = stage
        for name, phase in self.phases.items():
            for method in phase.methods:
                if phase.is_trained_on_episodes(method) and phase.trained_method(method) == method:
                    yield (stage := fit_classifier_stage(phase, method, base, extracted.get(name, ())))
                    learned[name, f"classifier {method}"] = stage
        for name, phase in self.phases.items():
            for method, section in ((key, phase.section(key)) for key in phase.methods):
                uses = (f"generator {section.generator}", f"classifier {phase.trained_method(method)}")
                before = (split, *extracted.get(name, ()), *(learned[name, u] for u in uses if (name, u) in learned))
                if section.grid is not None and phase.representation.number == 1:
                    yield (stage := tune_stage(phase, method, before))
                    learned[name, f"parameters {method}"] = stage
                if section.grid is not None:  # further trainings have the parameters of the first
                    before = (*before, learned[phase.key, f"parameters {method}"])
                needs[name, method] = before
        for name, phase in self.phases.items():
            for method in phase.methods:
                yield evaluate_stage(phase, method, needs[name, method], self.results)
        for name, phase in self.phases.items():
            for method in self.results.episode_methods_of(phase.key) if phase.representation.number == 1 else ():
                yield episodes_stage(phase, method, needs[name, method], self.results)

    def update_results(self) -> None:
        """Make the files of results say what today's recipe says."""
        self.results.update(self.stages, lambda name, method: self.phases[name].tags(method))
