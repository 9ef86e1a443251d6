"""The stage that trains a classifier on episodes of base classes."""

from __future__ import annotations

from lowshot.classifiers.persistence import save_classifier
from lowshot.contents import by_content
from lowshot.files import exists, fingerprint
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.stage import Stage
from lowshot.registry import CLASSIFIERS


def fit_classifier_stage(phase: LowShotPhase, method: str, base: list[int], needs: tuple[Stage, ...]) -> Stage:
    """The training on episodes of one method's classifier on one representation."""
    section = phase.section(method)
    depends = {**by_content(phase.training(method)), "base": base, **phase.common_inputs}
    path = phase.classifier_path(method)
    # Named by what is trained, so that a changed recipe does not try to go on from another training.
    checkpoint = path.with_name(f"{method}-{fingerprint(depends, [need.fingerprint for need in needs])}.ckpt")

    def action() -> None:
        params = {"random_state": phase.recipe.seed, "checkpoint": checkpoint, **section.params_for(phase.key)}
        fitted = CLASSIFIERS.build(section.classifier, **params).fit_base(*phase.base_examples(base))
        save_classifier(fitted.set_params(checkpoint=None), path)  # equal classifiers are equal files
        for finished in path.parent.glob(f"{method}-{'[0-9a-f]' * 16}.ckpt"):
            finished.unlink()

    def left() -> str:
        return "some episodes" if exists(checkpoint) else ""

    return Stage("fit-classifier", f"{phase.name}/{method}", depends, needs, (path,), action, left=left)
