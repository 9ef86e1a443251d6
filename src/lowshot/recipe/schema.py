"""The whole recipe: its sections, and what follows from several of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lowshot.files import fingerprint
from lowshot.recipe.data_sections import DataSection, SplitSection
from lowshot.recipe.feature_sections import ExtractSection, RepresentationSection
from lowshot.recipe.method_sections import EpisodesSection, EvaluateSection, GeneratorSection, TuneSection
from lowshot.recipe.section import Section
from lowshot.recipe.texts import Name, RecipePath
from lowshot.recipe.tree import to_yaml
from lowshot.representation.settings import TrainSettings

Accuracy = Literal[
    "novel_top5",
    "all_top5",
    "all_prior_top5",
    "novel_only_top5",
    "base_top5",
    "novel_top1",
    "all_top1",
    "all_prior_top1",
    "novel_only_top1",
    "base_top1",
]


class ReportSection(Section):
    """The tables, figures and page of the results."""

    title: str | None = Field(None, description="heading of the report; the recipe's name when none")
    examples_at: int | None = Field(None, description="number of shots of the example strip; the largest when none")
    examples_of: str | None = Field(
        None, description="key of evaluate.methods of the example strip; the best on each representation when none"
    )
    metrics: tuple[Accuracy, ...] = Field(
        (), description="accuracies to show, such as all_top5; all measured when empty"
    )
    paper: bool = Field(False, description="compare the results with the published tables of Hariharan & Girshick")


def training_name(representation: str, number: int) -> str:
    """The name of a training of a representation, which files and stages are named by."""
    return representation if number == 1 else f"{representation}@{number}"


class Recipe(Section):
    """A checked recipe. ``model_dump(mode="json")`` is its canonical form."""

    name: Name = Field(description="names the output folder")
    description: str = Field("", description="text on what is compared, for the report")
    seed: int = Field(0, ge=0, description="the one seed that everything random derives from")
    output: RecipePath | None = Field(None, description="folder of the results; runs/NAME when none")
    plugins: tuple[RecipePath, ...] = Field((), description="Python files to import first; relative to the recipe")
    data: DataSection = DataSection()
    split: SplitSection = SplitSection()
    train: TrainSettings = TrainSettings()
    representations: dict[Name, RepresentationSection] = Field(min_length=1)
    extract: ExtractSection = ExtractSection()
    generators: dict[Name, GeneratorSection] = {}
    tune: TuneSection = TuneSection()
    evaluate: EvaluateSection = EvaluateSection()
    episodes: EpisodesSection | None = Field(
        None, description="also measure on N-way K-shot episodes of novel classes; none runs no episodes"
    )
    report: ReportSection = ReportSection()

    @property
    def trainings(self) -> dict[str, tuple[str, int]]:
        """The trainings of all representations by name, each with the key of its representation and its number.

        The first one has the name of the representation, as the only one has: ``sgm``, ``sgm@2``, ``sgm@3``. No key has
        an ``@``. A representation that is not trained counts as one training.
        """
        return {
            training_name(key, number): (key, number)
            for key, section in self.representations.items()
            for number in range(1, section.seeds + 1)
        }

    def training_seed(self, number: int) -> int:
        """The seed of a representation's training: that of the recipe for the first one."""
        if number == 1:
            return self.seed
        return int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] >> 1)

    def train_settings(self, representation: str) -> TrainSettings:
        """The settings of the training of one representation's network: the shared section with its own differences."""
        shared = self.train.model_dump(exclude_unset=True)
        return TrainSettings.model_validate({**shared, **self.representations[self.network_of(representation)].train})

    def network_of(self, representation: str) -> str:
        """The key of the representation whose network this one uses: its own, unless it names another's."""
        named = self.representations[representation].network
        return named if named in self.representations else representation

    def teachers(self, representation: str) -> list[str]:
        """The other representations whose checkpoints the objectives of a training start from."""
        section = self.representations[representation]
        if any((section.features, section.checkpoint, section.backbone, section.network)):
            return []
        if not (objective := self.train_settings(representation).objective):
            return []
        from lowshot.representation.objectives.combination import checkpoint_parameters

        named = [value for _, _, value in checkpoint_parameters(objective) if value in self.representations]
        return list(dict.fromkeys(named))

    def has_weights(self, representation: str) -> bool:
        """True where a representation has pretrained weights, as it is or to start a training from."""
        section = self.representations[representation]
        if section.checkpoint is not None or section.features is not None:
            return False
        return section.backbone is not None or bool(self.train_settings(representation).starts_from)

    def label(self, representation: str) -> str:
        """The name of a representation in tables and figures."""
        return self.representations[representation].label or representation

    def method_label(self, method: str) -> str:
        """The name of a method in tables and figures."""
        return self.evaluate.methods[method].label or method

    def methods_of(self, representation: str) -> list[str]:
        """The keys of the methods that are measured on a representation, in the recipe's order."""
        methods = self.evaluate.methods.items()
        return [key for key, one in methods if one.representations is None or representation in one.representations]

    @property
    def tune_n_shots(self) -> tuple[int, ...]:
        """The numbers of shots that hyper-parameters are chosen on."""
        return self.tune.n_shots or self.evaluate.n_shots

    @property
    def folder(self) -> Path:
        """The folder of the results."""
        return self.output or Path("runs") / self.name

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the recipe without the paths it is read from and writes to, and without descriptions."""
        elsewhere = {"output", "description", "name", "report", "plugins"}
        tree = self.model_dump(mode="json", exclude=elsewhere)
        for section in tree["representations"].values():
            # A key that says nothing is none, as in recipes from before there was one.
            for key, nothing in (("seeds", 1), ("network", None), ("views", None)):
                if section[key] == nothing:
                    del section[key]
        for method in tree["evaluate"]["methods"].values():
            if method["representations"] is None:
                del method["representations"]
        if not self.train.objective:
            del tree["train"]["objective"]
        return fingerprint(tree, [plugin.name for plugin in self.plugins])

    def to_yaml(self) -> str:
        """The resolved recipe, every default filled in but for those that follow the classes or the weights."""
        tree = self.model_dump(mode="json")
        for name in {"preset", "transform"} - self.data.model_fields_set:  # pretrained weights have their own
            del tree["data"][name]
        for key, section, name in (("tune", self.tune, "target"), ("evaluate", self.evaluate, "prior_target")):
            if name not in section.model_fields_set:
                del tree[key][name]
        return to_yaml(tree)
