"""The stage that extracts the features of all images."""

from __future__ import annotations

from lowshot.contents import by_content, content_fingerprint
from lowshot.features import extract_features
from lowshot.files import is_file
from lowshot.parallel import Engine
from lowshot.pipeline.representation import PARTS, Representation
from lowshot.pipeline.stage import Stage


def extract_stage(representation: Representation, needs: tuple[Stage, ...]) -> Stage:
    """The features of one representation, train and test part."""
    inputs, checkpoint = representation.inputs, representation.section.checkpoint
    section = representation.section
    weights = {"backbone": section.backbone, "options": section.backbone_options, "pretrained": section.pretrained}
    depends = {
        "extract": {
            **inputs.recipe.extract.model_dump(mode="json", exclude={"devices", "engine", "cache"}),
            "views": representation.views,
        },
        "checkpoint": None if checkpoint is None or not is_file(checkpoint) else content_fingerprint(checkpoint),
        "transform": representation.transforms.description,
        **({"weights": by_content(weights)} if representation.is_frozen else {}),
        "data": inputs.data_fingerprint,
    }
    outputs = tuple(representation.extracted(part) for part in PARTS)

    def action() -> None:
        _extract(representation)

    def distributed(engine: Engine) -> None:
        _extract(representation, engine)

    def left() -> str:
        # The second part is begun once the first is whole; rows of a part that has been begun lie in hidden files.
        done = [part for part, path in zip(PARTS, outputs) if is_file(path)]
        return f"part {' and '.join(done)}" if done else "some images" if list(outputs[0].parent.glob(".*")) else ""

    name = representation.name
    return Stage("extract", name, depends, needs, outputs, action, distributed=distributed, collective=True, left=left)


def _extract(representation: Representation, scheduler: Engine | None = None) -> None:
    inputs = representation.inputs
    recipe, section = inputs.recipe, inputs.recipe.extract
    backbone = representation.load_backbone()
    for part, images in zip(PARTS, (inputs.train_images, inputs.test_images)):
        extract_features(
            backbone,
            images,
            representation.transforms,
            representation.extracted(part),
            batch_size=section.batch_size,
            engine=section.engine,
            precision=section.precision,
            views=representation.views,
            cache=section.cache,
            scheduler=scheduler,
            dtype=section.dtype,
            workers=recipe.data.workers,
            devices=section.devices,
            attributes={"representation": representation.name, "recipe": recipe.name},
        )
