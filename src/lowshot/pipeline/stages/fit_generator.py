"""The stage that fits a generator on the base classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowshot.files import file_fingerprint
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.stages.base import Stage
from lowshot.registry import GENERATORS


def fit_generator_stage(phase: LowShotPhase, name: str, base: list[int], needs: tuple[Stage, ...]) -> Stage:
    """The fit of one generator of the recipe on one representation."""
    section = phase.recipe.generators[name]
    params = section.params_for(phase.name)
    depends = {
        "generator": section.generator,
        "params": params,
        "base": base,
        **phase.common_inputs,
        **_file_inputs(params),
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

    def beside() -> list[Path]:
        return list(cache.glob("*.safetensors"))

    subject = f"{phase.name}/{name}"
    return Stage("fit-generator", subject, depends, needs, (path,), action, beside=beside, resumes=True)


def _classifier_weight(phase: LowShotPhase) -> Any:
    """The weight of the classifier that the network was trained with; None for features made elsewhere."""
    if not phase.representation.is_extracted:
        return None
    from lowshot.representation import load_backbone

    return load_backbone(phase.representation.checkpoint).classifier.weight.detach().numpy()


def _file_inputs(params: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of the files that parameters name, such as that of a wrapped pair of functions."""
    named = {key: value for key, value in params.items() if isinstance(value, str) and Path(value).is_file()}
    return {f"file {key}": file_fingerprint(value) for key, value in named.items()}
