"""The stage that fits a generator on the base classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowshot.contents import by_content
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.stage import Stage
from lowshot.registry import GENERATORS


def fit_generator_stage(phase: LowShotPhase, name: str, base: list[int], needs: tuple[Stage, ...]) -> Stage:
    """The fit of one generator of the recipe on one representation."""
    section = phase.recipe.generators[name]
    params = section.params_for(phase.name)
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
    """The weight of the classifier that the network was trained with; None for features made elsewhere."""
    if not phase.representation.is_extracted:
        return None
    from lowshot.representation import load_backbone

    return load_backbone(phase.representation.checkpoint).classifier.weight.detach().numpy()
