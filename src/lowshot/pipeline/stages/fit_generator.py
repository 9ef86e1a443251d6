"""The stage that fits a generator on the base classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowshot.contents import by_content
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.stage import Stage
from lowshot.progress import say
from lowshot.registry import GENERATORS


def fit_generator_stage(phase: LowShotPhase, name: str, base: list[int], needs: tuple[Stage, ...]) -> Stage:
    """The fit of one generator of the recipe on one representation."""
    section = phase.recipe.generators[name]
    params = section.params_for(phase.key)
    depends = {
        "generator": section.generator,
        "params": by_content(params),
        "base": base,
        **phase.common_inputs,
    }
    path = phase.outputs.generator(phase.name, name)
    cache = path.with_suffix(".cache")

    def action() -> None:
        local = {"random_state": phase.recipe.seed, "cache": cache}
        accepted = GENERATORS.parameters(section.generator)
        local = {key: value for key, value in local.items() if key in accepted}
        generator = GENERATORS.build(section.generator, **{**local, **params})
        generator.fit(*phase.base_examples(base), _classifier_weight(phase))
        generator.save(path)

    def side_outputs() -> list[Path]:
        return list(cache.glob("*.safetensors"))

    subject = f"{phase.name}/{name}"
    return Stage("fit-generator", subject, depends, needs, (path,), action, side_outputs=side_outputs, resumes=True)


def _classifier_weight(phase: LowShotPhase) -> Any:
    """The weight of the classifier that the network was trained with, a row per label.

    None for features made elsewhere, for a pretrained network, and for a checkpoint whose classes are not those of the
    data: its rows would be taken for other classes. None too for a head such as the cosine one, whose weight belongs to
    features of length one. A generator then fits a classifier of its own to the base features.
    """
    representation = phase.representation
    if not representation.is_extracted or representation.is_frozen:
        return None
    from lowshot.representation import load_backbone, trained_classes

    head = load_backbone(representation.checkpoint).classifier
    if not head.uses_length:
        return None
    weight = head.class_weight().detach().numpy()
    names, of_data = trained_classes(representation.checkpoint), representation.inputs.class_names
    if len(weight) != len(of_data) or (names is not None and names != of_data):
        say(f"  {representation.checkpoint} was trained on other classes: its classifier is left aside", style="dim")
        return None
    return weight
