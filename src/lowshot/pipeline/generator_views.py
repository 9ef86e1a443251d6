"""What the report shows of each fitted generator: a few novel classes, their shots and what was made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lowshot.data import Experiments
from lowshot.features import FeatureStore
from lowshot.hallucination import Generator
from lowshot.hallucination.inspection import held_out_spread, nearest_real, project
from lowshot.report.generators import PER_CLASS, GeneratedClass, GeneratorView, Neighbour

if TYPE_CHECKING:
    from lowshot.pipeline.low_shot_phase import LowShotPhase
    from lowshot.pipeline.plan import Road

SHOWN_CLASSES = 4


def generator_views(road: Road) -> Iterator[GeneratorView]:
    """One view per representation and generator that a method of the recipe uses."""
    for name in road.recipe.representations:
        phase = road.phase(name)
        for generator in phase.generators:
            yield _view(road, phase, generator)


def _view(road: Road, phase: LowShotPhase, name: str) -> GeneratorView:
    recipe, setup = road.recipe, road.inputs.split.setup(road.recipe.evaluate.setup)
    names = road.inputs.class_names
    n_shots = min(recipe.evaluate.n_shots)
    n_per_class = max(m.n_per_class for m in recipe.evaluate.methods.values() if m.generator == name)
    train, test = FeatureStore.open(phase.features["train"]), FeatureStore.open(phase.features["test"])
    shot_rows = Experiments.from_files(phase.experiment_pattern, 1).shots(1, n_shots, setup.novel)
    shots, shot_labels = train.rows(shot_rows), train.labels[shot_rows]
    features, labels = Generator.load(phase.generator_path(name)).generate(
        shots, shot_labels, max(n_per_class, n_shots), random_state=recipe.seed
    )
    real_rows = test.rows_of(np.concatenate([setup.base, setup.novel]))
    real, real_labels = test.rows(real_rows), test.labels[real_rows]
    is_generated = np.arange(len(labels)) >= len(shots)
    has_images = recipe.representations[phase.representation].features is None

    def look_at(label: int) -> GeneratedClass:
        made = features[is_generated & (labels == label)]
        plane = project(shots[shot_labels == label], made, real[real_labels == label])
        if not has_images or not len(made):
            return GeneratedClass(names[label], [], [], plane)
        nearest, _ = nearest_real(made[:PER_CLASS], real)
        neighbours = [
            Neighbour(
                road.inputs.image_of("test", int(real_rows[row])),
                names[real_labels[row]],
                bool(real_labels[row] == label),
            )
            for row in nearest
        ]
        images = [road.inputs.image_of("train", int(row)) for row in shot_rows[shot_labels == label][:PER_CLASS]]
        return GeneratedClass(names[label], images, neighbours, plane)

    rng = np.random.default_rng(recipe.seed)
    shown = np.sort(rng.choice(setup.novel, min(SHOWN_CLASSES, len(setup.novel)), replace=False))
    novel = np.isin(real_labels, setup.novel)
    return GeneratorView(
        generator=name,
        representation=recipe.label(phase.representation),
        key=f"{phase.representation}_{name}",
        n_shots=n_shots,
        n_per_class=n_per_class,
        classes=[look_at(int(label)) for label in shown],
        spread=held_out_spread(features, labels, len(shots), real[novel], real_labels[novel]),
    )
