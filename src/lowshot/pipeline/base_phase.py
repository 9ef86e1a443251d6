"""The stops that learn from base classes alone: generators, and classifiers that are trained on episodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.classifiers.persistence import save_classifier
from lowshot.files import file_fingerprint, fingerprint
from lowshot.pipeline.stages.base import Stop
from lowshot.registry import CLASSIFIERS, GENERATORS

if TYPE_CHECKING:
    from lowshot.pipeline.low_shot_phase import LowShotPhase


def fit_generator_stop(phase: LowShotPhase, name: str, base: list[int], needs: tuple[Stop, ...]) -> Stop:
    """The fit of one generator of the recipe on one representation."""
    section, params = phase.recipe.generators[name], phase.recipe.generators[name].params_for(phase.representation)
    inputs = {
        "generator": section.generator,
        "params": params,
        "base": base,
        **phase.common_inputs,
        **_file_inputs(params),
    }
    path = phase.generator_path(name)
    subject = f"{phase.representation}/{name}"
    return Stop("fit-generator", subject, inputs, needs, (path,), lambda: _fit_generator(phase, name, base, path))


def _fit_generator(phase: LowShotPhase, name: str, base: list[int], path: Path) -> None:
    section = phase.recipe.generators[name]
    params = {"random_state": phase.recipe.seed, "cache": path.with_suffix(".cache")}
    accepted = GENERATORS.parameters(section.generator)
    local = {key: value for key, value in params.items() if key in accepted}
    generator = GENERATORS.build(section.generator, **{**local, **section.params_for(phase.representation)})
    weight = None
    if phase.checkpoint is not None:
        from lowshot.representation import load_backbone

        weight = load_backbone(phase.checkpoint).classifier.weight.detach().numpy()
    generator.fit(*phase.base_examples(base), weight)
    generator.save(path)


def fit_classifier_stop(phase: LowShotPhase, method: str, base: list[int], needs: tuple[Stop, ...]) -> Stop:
    """The training on episodes of one method's classifier on one representation."""
    inputs = {**phase.training(method), "base": base, **phase.common_inputs}
    path = phase.classifier_path(method)
    # Named by what is trained, so that a changed recipe does not try to go on from another training.
    checkpoint = path.with_name(f"{method}-{fingerprint(inputs, [need.fingerprint for need in needs])}.ckpt")
    subject = f"{phase.representation}/{method}"
    return Stop(
        "fit-classifier", subject, inputs, needs, (path,), lambda: _fit_classifier(phase, method, base, checkpoint)
    )


def _fit_classifier(phase: LowShotPhase, method: str, base: list[int], checkpoint: Path) -> None:
    section, path = phase.recipe.evaluate.methods[method], phase.classifier_path(method)
    params = {"random_state": phase.recipe.seed, "checkpoint": checkpoint}
    classifier = CLASSIFIERS.build(section.classifier, **{**params, **section.params_for(phase.representation)})
    fitted = classifier.fit_base(*phase.base_examples(base))
    save_classifier(fitted.set_params(checkpoint=None), path)  # equal classifiers are equal files, wherever they lie
    for finished in path.parent.glob(f"{method}-{'[0-9a-f]' * 16}.ckpt"):
        finished.unlink()


def _file_inputs(params: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files that parameters name, such as that of a wrapped pair of functions."""
    named = {key: value for key, value in params.items() if isinstance(value, str) and Path(value).is_file()}
    return {f"file {key}": file_fingerprint(value) for key, value in named.items()}
