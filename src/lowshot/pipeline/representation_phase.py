"""The stops from images to features: train a network on base classes, then extract the features of all images.

train:REPRESENTATION → extract:REPRESENTATION
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lowshot.errors import InputError
from lowshot.features import extract_features
from lowshot.files import file_fingerprint
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.stages.base import Stop
from lowshot.progress import say
from lowshot.recipe import Recipe
from lowshot.representation import checkpoint_path, log_path

if TYPE_CHECKING:
    from lowshot.representation import Backbone, TrainSettings

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class RepresentationPhase:
    """One representation up to its features.

    Attributes:
        recipe: what to do.
        inputs: the images.
        name: its key in the recipe.
    """

    recipe: Recipe
    inputs: Inputs
    name: str

    @property
    def is_trained_here(self) -> bool:
        return self.is_extracted_here and self.recipe.representations[self.name].checkpoint is None

    @property
    def is_extracted_here(self) -> bool:
        return self.recipe.representations[self.name].features is None

    # ------------------------------------------------------------------ train

    def train(self) -> Stop:
        inputs = {
            "train": {**self._settings.identity(), "epochs": self._settings.epochs},
            "transform": self.inputs.transforms.description,
            "base": self.inputs.split.base.tolist(),
            "data": self.inputs.train_images.fingerprint,
            "seed": self.recipe.seed,
            **({"plugins": self.inputs.plugins} if self.inputs.plugins else {}),
        }
        return Stop("train", self.name, inputs, (), (self._trained,), self._make_network)

    def _make_network(self) -> None:
        from lowshot.representation import OtherRunError, train_representation

        base = self.inputs.split.base

        def train() -> None:
            train_representation(
                self._settings,
                self.inputs.train_images.of_classes(base),
                self.inputs.test_images.of_classes(base),
                self.folder,
                self.inputs.transforms,
                num_classes=len(self.inputs.class_names),
                seed=self.recipe.seed,
                workers=self.recipe.data.workers,
            )

        try:
            train()
        except OtherRunError as error:
            # Hours of work may lie there: it is put aside, not deleted.
            aside = self.folder.parent / "replaced" / f"{self.name}-{time.strftime('%Y%m%d-%H%M%S')}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            self.folder.rename(aside)
            say(f"  {error}\n  The earlier run is kept in {aside}.", style="yellow")
            train()

    @property
    def folder(self) -> Path:
        """The folder of the training run."""
        return self.recipe.folder / "representations" / self.name

    @property
    def training_log(self) -> Path:
        return log_path(self.folder)

    @property
    def _settings(self) -> TrainSettings:
        return self.recipe.train_settings(self.name)

    @property
    def _trained(self) -> Path:
        """The checkpoint after the last epoch."""
        return checkpoint_path(self.folder, self._settings.epochs)

    # ---------------------------------------------------------------- extract

    def extract(self, needs: tuple[Stop, ...]) -> Stop:
        checkpoint = self.recipe.representations[self.name].checkpoint
        inputs = {
            "extract": self.recipe.extract.model_dump(mode="json", exclude={"devices"}),
            "checkpoint": None if checkpoint is None or not checkpoint.is_file() else file_fingerprint(checkpoint),
            "transform": self.inputs.transforms.description,
            "data": self.inputs.data_fingerprint,
        }
        outputs = tuple(self.features(part) for part in PARTS)
        return Stop("extract", self.name, inputs, needs, outputs, self._make_features)

    def _make_features(self) -> None:
        from lowshot.representation.launch import resolve_precision

        section = self.recipe.extract
        backbone = self.backbone()
        for part, images in zip(PARTS, (self.inputs.train_images, self.inputs.test_images)):
            extract_features(
                backbone,
                images,
                self.inputs.transforms,
                self.features(part),
                batch_size=section.batch_size,
                precision=resolve_precision(section.precision),
                dtype=section.dtype,
                workers=self.recipe.data.workers,
                devices=section.devices,
                attributes={"representation": self.name, "recipe": self.recipe.name},
            )

    def backbone(self) -> Backbone:
        """The trained network, which must be of the architecture that the recipe names, if it names one."""
        from lowshot.representation import load_backbone

        backbone = load_backbone(self.checkpoint)
        named = {"backbone": backbone.config["name"], "backbone_options": backbone.config["kwargs"]}
        for key in self._settings.model_fields_set & named.keys():
            if getattr(self._settings, key) != named[key]:
                raise InputError(
                    f"checkpoint {self.checkpoint} holds another architecture: train.{key} is "
                    f"{getattr(self._settings, key)!r} in the recipe, but {named[key]!r} in the checkpoint"
                )
        return backbone

    @property
    def checkpoint(self) -> Path:
        """That of the network: the recipe's, or the one that is trained here."""
        return self.recipe.representations[self.name].checkpoint or self._trained

    def features(self, part: Part) -> Path:
        """The features file of a part: the recipe's, or the one that is extracted here."""
        given = self.recipe.representations[self.name].features
        return given[part] if given is not None else self.recipe.folder / "features" / self.name / f"{part}.hdf5"

    def check_backbone(self) -> None:
        """Build the network without memory for its weights, to see whether its name and options are good."""
        import torch

        from lowshot.representation import build_backbone

        settings = self._settings
        if not {"pretrained", "weights"} & settings.backbone_options.keys():  # those would be fetched
            with torch.device("meta"):
                build_backbone(settings.backbone, 2, **settings.backbone_options)
