"""The stage that trains a network on the base classes."""

from __future__ import annotations

import time
from pathlib import Path

from lowshot.contents import by_content
from lowshot.pipeline.representation import Representation
from lowshot.pipeline.stage import Stage
from lowshot.progress import say
from lowshot.recipe.texts import KEPT_RUNS


def train_stage(representation: Representation, needs: tuple[Stage, ...] = ()) -> Stage:
    """The training of one representation; it needs those of the representations that it learns from."""
    inputs, settings = representation.inputs, representation.named_settings
    depends = {
        "train": by_content({**settings.fingerprinted(), "epochs": settings.epochs}),
        "transform": representation.transforms.description,
        "base": inputs.split.base.tolist(),
        "data": inputs.train_images.fingerprint,
        "seed": representation.seed,
        **({"plugins": inputs.plugins} if inputs.plugins else {}),
    }

    def side_outputs() -> list[Path]:
        return [log, *representation.checkpoint.parent.glob("epoch_*.ckpt")]

    log = representation.training_log
    return Stage(
        "train",
        representation.name,
        depends,
        needs=needs,
        outputs=(representation.checkpoint,),
        action=lambda: _train(representation),
        side_outputs=side_outputs,
        irreplaceable=(log,),
        collective=True,
        resumes=True,
        left=lambda: _epochs_left(representation),
    )


def _epochs_left(representation: Representation) -> str:
    """The epochs that an interrupted training has a checkpoint of, in words."""
    from lowshot.representation.paths import epochs_of

    epochs = epochs_of(representation.checkpoint.parent)
    return f"{epochs[-1]} of {representation.named_settings.epochs} epochs" if epochs else ""


def _train(representation: Representation) -> None:
    from lowshot.representation import OtherRunError

    representation.check_backbone()
    folder = representation.folder
    try:
        _train_in_folder(representation)
    except OtherRunError as error:
        # Hours of work may lie there: it is put aside, not deleted.
        aside = folder.parent / KEPT_RUNS / f"{representation.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        say(f"  {error.reason}.\n  The earlier run is kept in {aside}.", style="yellow")
        _train_in_folder(representation)


def _train_in_folder(representation: Representation) -> None:
    from lowshot.representation import train_representation

    inputs = representation.inputs
    base = inputs.split.base
    train_representation(
        representation.settings,
        inputs.train_images.of_classes(base),
        inputs.test_images.of_classes(base),
        representation.folder,
        representation.transforms,
        num_classes=len(inputs.class_names),
        seed=representation.seed,
        workers=inputs.recipe.data.workers,
    )
