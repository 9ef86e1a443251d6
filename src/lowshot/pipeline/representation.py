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

    def features(self, part: Part) -> Path:
        """The features file of a part: the recipe's, or the one that is extracted."""
        given = self.section.features
        return given[part] if given is not None else self.inputs.outputs.features(self.name, part)

    def load_backbone(self) -> Backbone:
        """The trained network, which must be of the architecture that the recipe names, if it names one.

        Raises:
            InputError: The checkpoint cannot be read or holds another architecture.
        """
        from lowshot.representation import load_backbone

        backbone = load_backbone(self.checkpoint)
        named = {"backbone": backbone.config["name"], "backbone_options": backbone.config["kwargs"]}
        for key in self.settings.model_fields_set & named.keys():
            if getattr(self.settings, key) != named[key]:
                raise InputError(
                    f"checkpoint {self.checkpoint} holds another architecture: train.{key} is "
                    f"{getattr(self.settings, key)!r} in the recipe, but {named[key]!r} in the checkpoint"
                )
        return backbone

    def check_backbone(self) -> None:
        """Build the network without memory for its weights: a wrong name or option raises :class:`InputError`."""
        import torch

        from lowshot.representation import build_backbone

        if not {"pretrained", "weights"} & self.settings.backbone_options.keys():  # those would be fetched
            with torch.device("meta"):
                build_backbone(self.settings.backbone, 2, **self.settings.backbone_options)
