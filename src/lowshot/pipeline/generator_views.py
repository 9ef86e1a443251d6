"""The report's view of each fitted generator: a few novel classes, their shots and the features made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lowshot.data import Experiments
from lowshot.features import FeatureStore
from lowshot.hallucination import Generator
from lowshot.hallucination.inspection import held_out_spread, nearest_real, project
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.report.generators import PER_CLASS, GeneratedClass, GeneratorView, Neighbour

SHOWN_CLASSES = 4


def generator_views(inputs: Inputs, phases: Mapping[str, LowShotPhase]) -> Iterator[GeneratorView]:
    """One view per representation and generator that a method of the recipe uses, of the first training."""
    for phase in (one for one in phases.values() if one.representation.number == 1):
        for generator in phase.generators:
            yield _view(inputs, phase, generator)


def _view(inputs: Inputs, phase: LowShotPhase, name: str) -> GeneratorView:
    recipe, setup, names = inputs.recipe, inputs.split.setup(inputs.recipe.evaluate.setup), inputs.class_names
    representation = phase.representation
    n_shots = min(recipe.evaluate.n_shots)
    n_per_class = max(m.n_per_class for m in recipe.evaluate.methods.values() if m.generator == name)
    train, test = (FeatureStore.open(representation.features(part)) for part in ("train", "test"))
    shot_rows = Experiments.from_files(phase.outputs.experiments, 1).shots(1, n_shots, setup.novel)
    shots, shot_labels = train.rows(shot_rows), train.labels[shot_rows]
    features, labels = Generator.load(phase.outputs.generator(phase.name, name)).generate(
        shots, shot_labels, max(n_per_class, n_shots), random_state=recipe.seed
    )
    real_rows = test.rows_of(np.concatenate([setup.base, setup.novel]))
    real, real_labels = test.rows(real_rows), test.labels[real_rows]
    is_generated = np.arange(len(labels)) >= len(shots)

    def look_at(label: int) -> GeneratedClass:
        made = features[is_generated & (labels == label)]
        plane = project(shots[shot_labels == label], made, real[real_labels == label])
        if not representation.is_extracted or not len(made):
            return GeneratedClass(names[label], [], [], plane)
        nearest, _ = nearest_real(made[:PER_CLASS], real)
        neighbours = [
            Neighbour(
                inputs.image_of("test", int(real_rows[row])), names[real_labels[row]], bool(real_labels[row] == label)
            )
            for row in nearest
        ]
        images = [inputs.image_of("train", int(row)) for row in shot_rows[shot_labels == label][:PER_CLASS]]
        return GeneratedClass(names[label], images, neighbours, plane)

    rng = np.random.default_rng(recipe.seed)
    shown = np.sort(rng.choice(setup.novel, min(SHOWN_CLASSES, len(setup.novel)), replace=False))
    novel = np.isin(real_labels, setup.novel)
    return GeneratorView(
        generator=name,
        representation=recipe.label(phase.key),
        key=f"{phase.name}+{name}",
        n_shots=n_shots,
        n_per_class=n_per_class,
        classes=[look_at(int(label)) for label in shown],
        spread=held_out_spread(features, labels, len(shots), real[novel], real_labels[novel]),
    )
