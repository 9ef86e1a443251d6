"""One representation of a recipe, up to its features: trained here, from a checkpoint, or features made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lowshot.errors import InputError
from lowshot.pipeline.inputs import Inputs
from lowshot.recipe.schema import RepresentationSection
from lowshot.representation import checkpoint_path, log_path

if TYPE_CHECKING:
    from lowshot.features import FeatureFiles
    from lowshot.representation import Backbone, TrainSettings

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class Representation:
    """One representation of a recipe.

    Attributes:
        inputs (Inputs): The recipe and its images.
        name (str): The representation's key in the recipe.
    """

    inputs: Inputs
    name: str

    @property
    def section(self) -> RepresentationSection:
        return self.inputs.recipe.representations[self.name]

    @property
    def is_trained(self) -> bool:
        """True where the recipe trains the network."""
        return self.is_extracted and self.section.checkpoint is None

    @property
    def is_extracted(self) -> bool:
        """True where the recipe extracts the features."""
        return self.section.features is None

    @cached_property
    def settings(self) -> TrainSettings:
        """The settings of the training."""
        return self.inputs.recipe.train_settings(self.name)

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
        return self.section.checkpoint or checkpoint_path(self.folder, self.settings.epochs)

    def features(self, part: Part) -> Path | FeatureFiles:
        """The features of a part: the recipe's, or the file that is extracted."""
        return self.section.given.get(part) or self.extracted(part)

    def extracted(self, part: Part) -> Path:
        """The features file of a part that the recipe extracts."""
        return self.inputs.outputs.features(self.name, part)

    def load_backbone(self) -> Backbone:
        """The trained network, which must be of the architecture that the recipe names, if it names one.

        Raises:
            InputError: The checkpoint cannot be read, holds another architecture, or makes no features of the recipe's
                images.
        """
        from lowshot.representation import architecture, check_forward, image_sizes, load_backbone

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
        check_forward(backbone, image_sizes(self.inputs.transforms))
        return backbone

    def check_backbone(self) -> None:
        """Build the network without memory for its weights, and pass images of the recipe's sizes through it.

        Raises:
            InputError: A name or option is wrong, or the network makes no features of such images.
        """
        from lowshot.representation import check_backbone

        check_backbone(self.settings.backbone, self.settings.backbone_options, self.inputs.transforms)
