"""The stops of a recipe: what each reads, what it writes, and the call that does the work.

split ─┬→ train:REPRESENTATION → extract:REPRESENTATION → evaluate:REPRESENTATION/METHOD → report
       └──────────────────────────────────────────────────────────↗
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lowshot.benchmark import ResultStore
from lowshot.benchmark.episodes import EpisodeDesign, novel_rows
from lowshot.benchmark.packed import Scratch
from lowshot.benchmark.results import update_records, write_records
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore, extract_features
from lowshot.io import file_fingerprint
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot_phase import LowShotPhase, episodes_path, result_path, scratch_of
from lowshot.pipeline.plan import Stamps, Stop
from lowshot.pipeline.tuning import tune_stop
from lowshot.progress import say
from lowshot.recipe import Recipe, registry_complaints
from lowshot.representation import checkpoint_path, log_path

if TYPE_CHECKING:
    from lowshot.representation import Backbone, TrainSettings

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


class Road:
    """All stops of one recipe, in the order in which they can run."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.folder
        self.inputs = Inputs(recipe)
        self._next_merge = 0.0

    @cached_property
    def stops(self) -> list[Stop]:
        """The plan: one split, then kind by kind all representations, then one report."""
        return list(self._stops())

    def _stops(self) -> Iterator[Stop]:
        yield (split := self._split())
        trained: dict[str, tuple[Stop, ...]] = {}
        extracted: dict[str, tuple[Stop, ...]] = {}
        for name, section in self.recipe.representations.items():
            if section.features is None and section.checkpoint is None:
                yield (train := self._train(name))
                trained[name] = (train,)
        for name, section in self.recipe.representations.items():
            if section.features is None:
                yield (extract := self._extract(name, trained.get(name, ())))
                extracted[name] = (extract,)
        yield from (evaluations := tuple(self._low_shot_phase(split, extracted)))
        yield self._report(tuple(stop for stop in evaluations if stop.kind in ("evaluate", "episodes")))

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
                look(lambda name=name: self._backbone(name))  # type: ignore[misc]
            elif not registry_complaints(self.recipe):
                look(lambda name=name: _check_backbone(self.recipe.train_settings(name)))  # type: ignore[misc]
        look(lambda: self.inputs.transforms)
        look(lambda: self.inputs.split)
        look(lambda: self.inputs.test_images if self.inputs.needs_images else None)
        if not wrong:
            look(self._experiments)
        return wrong

    def _check_features(self, path: Path) -> None:
        """Refuse a features file from elsewhere with NaN in it or with labels outside the split."""
        store = FeatureStore.open(path)
        store.check_finite()
        try:
            self.inputs.split.check_labels(store.labels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

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
        experiments = self._experiments()  # before anything is written: they may not fit the data
        self.inputs.split.to_json(self._split_file)
        experiments.write(self._experiment_pattern)

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
        if (episodes := self.recipe.episodes) is not None:  # so that too few images show before anything is trained
            for n in episodes.n_shots:
                design = EpisodeDesign(episodes.n_way, n, episodes.n_query, episodes.n_tasks)
                novel_rows(self.inputs.part_labels, self.inputs.split, setup.name, design)
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
            **({"plugins": self.inputs.plugins} if self.inputs.plugins else {}),
        }
        outputs = (self._trained(name),)
        return Stop("train", name, inputs, (), outputs, lambda: self._make_representation(name))

    def _make_representation(self, name: str) -> None:
        from lowshot.representation import OtherRunError, train_representation

        base = self.inputs.split.base

        def train() -> None:
            train_representation(
                self.recipe.train_settings(name),
                self.inputs.train_images.of_classes(base),
                self.inputs.test_images.of_classes(base),
                self.representation(name),
                self.inputs.transforms,
                num_classes=len(self.inputs.class_names),
                seed=self.recipe.seed,
                workers=self.recipe.data.workers,
            )

        try:
            train()
        except OtherRunError as error:
            # Hours of work may lie there: it is put aside, not deleted.
            aside = self.folder / "representations" / "replaced" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            self.representation(name).rename(aside)
            say(f"  {error}\n  The earlier run is kept in {aside}.", style="yellow")
            train()

    def training_log(self, name: str) -> Path:
        return log_path(self.representation(name))

    def representation(self, name: str) -> Path:
        """The folder of a representation's training run."""
        return self.folder / "representations" / name

    def _trained(self, name: str) -> Path:
        """The checkpoint after the last epoch."""
        return checkpoint_path(self.representation(name), self.recipe.train_settings(name).epochs)

    # ---------------------------------------------------------------- extract

    def _extract(self, name: str, needs: tuple[Stop, ...]) -> Stop:
        checkpoint = self.recipe.representations[name].checkpoint
        inputs = {
            "extract": self.recipe.extract.model_dump(mode="json", exclude={"devices"}),
            "checkpoint": None if checkpoint is None or not checkpoint.is_file() else file_fingerprint(checkpoint),
            "transform": self.inputs.transforms.description,
            "data": self.inputs.data_fingerprint,
        }
        outputs = tuple(self._features(name, part) for part in PARTS)
        return Stop("extract", name, inputs, needs, outputs, lambda: self._make_features(name))

    def _make_features(self, name: str) -> None:
        from lowshot.representation.launch import resolve_precision

        section = self.recipe.extract
        backbone = self._backbone(name)
        for part, images in zip(PARTS, (self.inputs.train_images, self.inputs.test_images)):
            extract_features(
                backbone,
                images,
                self.inputs.transforms,
                self._features(name, part),
                batch_size=section.batch_size,
                precision=resolve_precision(section.precision),
                dtype=section.dtype,
                workers=self.recipe.data.workers,
                devices=section.devices,
                attributes={"representation": name, "recipe": self.recipe.name},
            )

    def _backbone(self, name: str) -> Backbone:
        """The trained network, which must be of the architecture that the recipe names, if it names one."""
        from lowshot.representation import load_backbone

        backbone = load_backbone(self._checkpoint(name))
        settings = self.recipe.train_settings(name)
        named = {"backbone": backbone.config["name"], "backbone_options": backbone.config["kwargs"]}
        for key in settings.model_fields_set & named.keys():
            if getattr(settings, key) != named[key]:
                raise InputError(
                    f"checkpoint {self._checkpoint(name)} holds another architecture: train.{key} is "
                    f"{getattr(settings, key)!r} in the recipe, but {named[key]!r} in the checkpoint"
                )
        return backbone

    def _checkpoint(self, name: str) -> Path:
        return self.recipe.representations[name].checkpoint or self._trained(name)

    def _features(self, name: str, part: Part) -> Path:
        given = self.recipe.representations[name].features
        return given[part] if given is not None else self.folder / "features" / name / f"{part}.hdf5"

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
                yield (stop := phase.fit_generator(generator, base, extracted.get(name, ())))
                learned[name, f"generator {generator}"] = stop
        for name, phase in phases.items():
            for method in methods:
                if phase.is_pretrained(method) and phase.learner(method) == method:
                    yield (stop := phase.fit_classifier(method, base, extracted.get(name, ())))
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
                yield phase.evaluate(method, before[name, method], self.results, self._merge_results)
        for name, phase in phases.items():
            for method in self._episode_methods:
                yield phase.episodes(method, before[name, method], self.episodes, self._merge_episodes)

    def phase(self, name: str) -> LowShotPhase:
        """The low-shot phase of one representation."""
        return LowShotPhase(
            self.recipe,
            name,
            features={part: self._features(name, part) for part in PARTS},
            checkpoint=None if self.recipe.representations[name].features else self._checkpoint(name),
            split_file=self._split_file,
            experiment_pattern=self._experiment_pattern,
            plugins=self.inputs.plugins,
        )

    @property
    def scratch(self) -> Scratch:
        """What the workers of a sweep share."""
        return scratch_of(self.recipe)

    def _merge_results(self, last: bool) -> None:
        """Bring the file of all results up to date: at the end, and before that as long as it costs little time."""
        start = time.monotonic()
        if last or start >= self._next_merge:
            write_records(self.results, self.records())
            self._next_merge = time.monotonic() + 20 * (time.monotonic() - start)

    def catch_up(self) -> None:
        """Make the files of results say what today's recipe says, whether or not a stop had anything to do.

        A sweep that was killed may have left a merge for later, the recipe may have lost a method, and records that an
        earlier recipe left may still stand: then they are this recipe's too, under its names.
        """
        stamps = Stamps(self.folder / "state")
        for stop in self.stops:
            if stop.kind in ("evaluate", "episodes") and stamps.stale(stop) is None:
                representation, method = stop.subject.split("/")
                ResultStore(stop.outputs[0]).retag(self.phase(representation).tags(method))
        update_records(self.results, self.records())
        update_records(self.episodes, self.episode_records())

    def records(self) -> list[dict[str, Any]]:
        """The results of the recipe's methods so far, in the order of the recipe."""
        return [
            record
            for name in self.recipe.representations
            for method in self.recipe.evaluate.methods
            for record in ResultStore(result_path(self.folder, name, method)).records
        ]

    @property
    def _episode_methods(self) -> Sequence[str]:
        section = self.recipe.episodes
        return () if section is None else section.methods or tuple(self.recipe.evaluate.methods)

    def _merge_episodes(self, last: bool) -> None:
        write_records(self.episodes, self.episode_records())

    def episode_records(self) -> list[dict[str, Any]]:
        """The results on episodes so far, in the order of the recipe."""
        return [
            record
            for name in self.recipe.representations
            for method in self._episode_methods
            for record in ResultStore(episodes_path(self.folder, name, method)).records
        ]

    @property
    def episodes(self) -> Path:
        """All results on episodes, a record per method and number of shots."""
        return self.folder / "episodes.jsonl"

    @property
    def results(self) -> Path:
        """All results of the recipe, a record a line."""
        return self.folder / "results.jsonl"

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


def _check_backbone(settings: TrainSettings) -> None:
    """Build the network without memory for its weights, to see whether its name and options are good."""
    import torch

    from lowshot.representation import build_backbone

    if not {"pretrained", "weights"} & settings.backbone_options.keys():  # those would be fetched
        with torch.device("meta"):
            build_backbone(settings.backbone, 2, **settings.backbone_options)
