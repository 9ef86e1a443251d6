"""One representation of a recipe, up to its features: trained, pretrained, from a checkpoint, or made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lowshot.errors import InputError
from lowshot.pipeline.inputs import Inputs
from lowshot.recipe.feature_sections import RepresentationSection
from lowshot.recipe.schema import training_name
from lowshot.representation import checkpoint_path, log_path

if TYPE_CHECKING:
    from lowshot.data import Preprocessing, Transforms
    from lowshot.features import FeatureFiles
    from lowshot.representation import Backbone, TrainSettings

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class Representation:
    """One representation of a recipe, from one of its trainings.

    Attributes:
        inputs (Inputs): The recipe and its images.
        name (str): The name of the training: the representation's key in the recipe, or ``KEY@2`` for the second one.
    """

    inputs: Inputs
    name: str

    @property
    def key(self) -> str:
        """The representation's key in the recipe."""
        return self.inputs.recipe.trainings[self.name][0]

    @property
    def number(self) -> int:
        """The number of the training, from 1."""
        return self.inputs.recipe.trainings[self.name][1]

    @property
    def section(self) -> RepresentationSection:
        return self.inputs.recipe.representations[self.key]

    @property
    def seed(self) -> int:
        """The seed that everything random in the training derives from."""
        return self.inputs.recipe.training_seed(self.number)

    @property
    def is_trained(self) -> bool:
        """True where the recipe trains a network for this representation."""
        return self.is_extracted and self.section.checkpoint is None and not self.is_frozen and self.network is self

    @cached_property
    def network(self) -> Representation:
        """The representation whose network this one uses, in the training of the same number: itself as a rule."""
        key = self.inputs.recipe.network_of(self.key)
        return self if key == self.key else Representation(self.inputs, training_name(key, self.number))

    @property
    def is_frozen(self) -> bool:
        """True where the recipe uses a pretrained network as it is."""
        return self.section.backbone is not None

    @property
    def views(self) -> str:
        """The views of an image whose mean is its feature."""
        return self.section.views or self.inputs.recipe.extract.views

    @property
    def is_extracted(self) -> bool:
        """True where the recipe extracts the features."""
        return self.section.features is None

    @cached_property
    def settings(self) -> TrainSettings:
        """The settings of the training, with the files of the checkpoints that objectives start from."""
        return self._with_checkpoints(self.teachers)

    @cached_property
    def named_settings(self) -> TrainSettings:
        """The same, but a checkpoint that this recipe trains is named by its representation, as the recipe has it."""
        return self._with_checkpoints({key: one for key, one in self.teachers.items() if not one.is_trained})

    @property
    def teachers(self) -> dict[str, Representation]:
        """The other representations that objectives of the training start from, by key.

        Each is the training of the same number, or the last one where there are fewer.
        """
        recipe = self.inputs.recipe
        numbers = {key: min(self.number, recipe.representations[key].seeds) for key in recipe.teachers(self.key)}
        return {key: Representation(self.inputs, training_name(key, number)) for key, number in numbers.items()}

    def _with_checkpoints(self, representations: Mapping[str, Representation]) -> TrainSettings:
        settings = self.inputs.recipe.train_settings(self.key)
        if not representations:
            return settings
        from lowshot.representation.objectives.combination import with_checkpoints

        return with_checkpoints(settings, {key: str(one.checkpoint) for key, one in representations.items()})

    @property
    def folder(self) -> Path:
        """The folder of the training run."""
        return self.inputs.outputs.training(self.name)

    @property
    def training_log(self) -> Path:
        return log_path(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The recipe's checkpoint, or the one after the last epoch of the training."""
        return self.section.checkpoint or checkpoint_path(self.network.folder, self.settings.epochs)

    def features(self, part: Part) -> Path | FeatureFiles:
        """The features of a part: the recipe's, or the file that is extracted."""
        return self.section.given.get(part) or self.extracted(part)

    def extracted(self, part: Part) -> Path:
        """The features file of a part that the recipe extracts."""
        return self.inputs.outputs.features(self.name, part)

    @cached_property
    def transforms(self) -> Transforms:
        """The transforms of its images: those of pretrained weights, unless the recipe says otherwise.

        Raises:
            InputError: A preset or parameter is unknown, or a value is out of range.
        """
        from lowshot.data import build_transforms

        section, data = self.section, self.inputs.recipe.data
        if section.preset not in (None, "weights"):
            return build_transforms(section.preset, **section.transform)
        params = {**data.transform, **section.transform}
        if section.preset is None and "preset" in data.model_fields_set:
            return build_transforms(data.preset, **params)
        if (preprocessing := self._preprocessing) is not None:
            return preprocessing.transforms_with(section.transform if section.preset else params)
        if section.preset is not None:
            raise InputError(
                f"representations.{self.key}.preset: its network states no preprocessing of weights: give a preset"
            )
        return build_transforms(data.preset, **params)

    @cached_property
    def _preprocessing(self) -> Preprocessing | None:
        """The preprocessing of its pretrained weights, if it has any."""
        from lowshot.representation import published_preprocessing

        section = self.section
        if section.backbone is not None:
            return published_preprocessing(section.backbone, section.pretrained or True, **section.backbone_options)
        if section.checkpoint is not None or not (weights := self.settings.starts_from):
            return None
        return published_preprocessing(self.settings.backbone, weights, **self.settings.backbone_options)

    def load_backbone(self) -> Backbone:
        """The trained or pretrained network; a trained one must be of the architecture that the recipe names, if any.

        Raises:
            InputError: The checkpoint cannot be read, holds another architecture, or makes no features of the recipe's
                images.
        """
        from lowshot.representation import architecture, check_forward, image_sizes, load_backbone, load_pretrained

        section = self.section
        if section.backbone is not None:
            network = load_pretrained(section.backbone, section.pretrained or True, **section.backbone_options).backbone
            check_forward(network, image_sizes(self.transforms))
            return network
        backbone, given = load_backbone(self.checkpoint), self.settings.model_fields_set
        name, options = backbone.config["name"], backbone.config["kwargs"]
        found = architecture(name, options)
        wanted = architecture(
            self.settings.backbone if "backbone" in given else name,
            self.settings.backbone_options if "backbone_options" in given else options,
        )
        for key in wanted:
            if wanted[key] != found[key]:
                raise InputError(
                    f"checkpoint {self.checkpoint} holds another architecture: train.{key} is {wanted[key]!r} in the "
                    f"recipe, but {found[key]!r} in the checkpoint"
                )
        check_forward(backbone, image_sizes(self.transforms))
        return backbone

    def check_backbone(self) -> None:
        """Build the network without memory for its weights, and pass images of the recipe's sizes through it.

        Raises:
            InputError: A name or option is wrong, or the network makes no features of such images.
        """
        from lowshot.representation import check_backbone

        section = self.section
        if section.backbone is not None:
            check_backbone(section.backbone, section.backbone_options, self.transforms)
        else:
            check_backbone(self.settings.backbone, self.settings.backbone_options, self.transforms)
