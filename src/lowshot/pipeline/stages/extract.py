"""The stage that extracts the features of all images."""

from __future__ import annotations

from lowshot.contents import content_fingerprint
from lowshot.features import extract_features
from lowshot.files import is_file
from lowshot.pipeline.representation import PARTS, Representation
from lowshot.pipeline.stage import Stage


def extract_stage(representation: Representation, needs: tuple[Stage, ...]) -> Stage:
    """The features of one representation, train and test part."""
    inputs, checkpoint = representation.inputs, representation.section.checkpoint
    depends = {
        "extract": inputs.recipe.extract.model_dump(mode="json", exclude={"devices"}),
        "checkpoint": None if checkpoint is None or not is_file(checkpoint) else content_fingerprint(checkpoint),
        "transform": inputs.transforms.description,
        "data": inputs.data_fingerprint,
    }
    outputs = tuple(representation.extracted(part) for part in PARTS)

    def action() -> None:
        _extract(representation)

    return Stage("extract", representation.name, depends, needs, outputs, action, collective=True)


def _extract(representation: Representation) -> None:
    from lowshot.devices import resolve_precision

    inputs = representation.inputs
    recipe, section = inputs.recipe, inputs.recipe.extract
    backbone = representation.load_backbone()
    for part, images in zip(PARTS, (inputs.train_images, inputs.test_images)):
        extract_features(
            backbone,
            images,
            inputs.transforms,
            representation.extracted(part),
            batch_size=section.batch_size,
            precision=resolve_precision(section.precision),
            dtype=section.dtype,
            workers=recipe.data.workers,
            devices=section.devices,
            attributes={"representation": representation.name, "recipe": recipe.name},
        )
