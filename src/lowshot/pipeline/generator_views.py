"""The report's view of each fitted generator: measures of its features, and a few novel classes with their images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lowshot.data import Experiments
from lowshot.features import FeatureStore
from lowshot.hallucination import Generator
from lowshot.hallucination.inspection import held_out_spread, landing, nearest_real, project, worth_in_images
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.recipe import Recipe
from lowshot.report.gains import Pairing
from lowshot.report.generators import PER_CLASS, GeneratedClass, GeneratorView, Neighbour

SHOWN_CLASSES = 4
LOOKED_UP = 3000
"""The most features whose nearest test images are sought, so that hundreds of classes take seconds; from 1 a class."""


def generator_views(inputs: Inputs, phases: Mapping[str, LowShotPhase]) -> Iterator[GeneratorView]:
    """One view per representation and generator that a method of the recipe uses, of the first training."""
    for phase in (one for one in phases.values() if one.representation.number == 1):
        for generator in phase.generators:
            yield _view(inputs, phase, generator)


def pairings(recipe: Recipe) -> list[Pairing]:
    """The methods with a generator, each with the method without that has the same classifier and parameters."""
    methods = recipe.evaluate.methods
    alone = {key: method for key, method in methods.items() if method.generator is None}

    def parts(method: Any) -> tuple[Any, ...]:
        return method.classifier, method.params, method.per_representation

    found = []
    for key, method in methods.items():
        same = [other for other in alone if parts(alone[other]) == parts(method)]
        if method.generator is not None and same:
            # The one that its key begins with, as that of a product of generations does, where several are the same.
            without = next((other for other in same if key.startswith(other)), same[0])
            found.append(Pairing(method.generator, recipe.method_label(key), recipe.method_label(without)))
    return found


def _view(inputs: Inputs, phase: LowShotPhase, name: str) -> GeneratorView:
    recipe, setup, names = inputs.recipe, inputs.split.setup(inputs.recipe.evaluate.setup), inputs.class_names
    representation = phase.representation
    n_shots = min(recipe.evaluate.n_shots)
    using = [phase.section(method) for method in phase.methods if phase.section(method).generator == name]
    n_per_class = max(section.n_per_class for section in using)
    train, test = (FeatureStore.open(representation.features(part)) for part in ("train", "test"))
    shot_rows = Experiments.from_files(phase.outputs.experiments, 1).shots(1, n_shots, setup.novel)
    shots, shot_labels = train.rows(shot_rows), train.labels[shot_rows]
    features, labels = Generator.load(phase.outputs.generator(phase.name, name)).generate(
        shots, shot_labels, max(n_per_class, n_shots), random_state=recipe.seed
    )
    real_rows = test.rows_of(np.concatenate([setup.base, setup.novel]))
    real, real_labels = test.rows(real_rows), test.labels[real_rows]
    is_generated = np.arange(len(labels)) >= len(shots)
    sought = np.concatenate([np.arange(len(shots)), _first_of_each(labels, is_generated, LOOKED_UP)])
    nearest, _ = nearest_real(features[sought], real)
    shots_nearest, made_nearest = nearest[: len(shots)], nearest[len(shots) :]
    made_labels = labels[sought[len(shots) :]]

    def look_at(label: int) -> GeneratedClass:
        plane = project(
            shots[shot_labels == label], features[is_generated & (labels == label)], real[real_labels == label]
        )
        hit, times = _most_often(made_nearest[made_labels == label])
        if not representation.is_extracted or not len(hit):
            return GeneratedClass(names[label], [], [], plane)
        neighbours = [
            Neighbour(
                inputs.image_of("test", int(real_rows[row])),
                names[real_labels[row]],
                bool(real_labels[row] == label),
                int(count),
            )
            for row, count in zip(hit[:PER_CLASS], times)
        ]
        images = [inputs.image_of("train", int(row)) for row in shot_rows[shot_labels == label][:PER_CLASS]]
        return GeneratedClass(names[label], images, neighbours, plane, len(hit))

    rng = np.random.default_rng(recipe.seed)
    shown = np.sort(rng.choice(setup.novel, min(SHOWN_CLASSES, len(setup.novel)), replace=False))
    novel = np.isin(real_labels, setup.novel)
    held_out = real[novel], real_labels[novel]
    return GeneratorView(
        generator=name,
        representation=recipe.label(phase.key),
        key=f"{phase.name}+{name}",
        n_shots=n_shots,
        n_per_class=n_per_class,
        classes=[look_at(int(label)) for label in shown],
        spread=held_out_spread(features, labels, len(shots), *held_out),
        shots_landing=landing(shot_labels, real_labels[shots_nearest]),
        landing=landing(made_labels, real_labels[made_nearest]) if len(made_labels) else None,
        shots_worth=worth_in_images(shots, shot_labels, *held_out),
        worth=worth_in_images(features, labels, *held_out),
    )


def _first_of_each(labels: np.ndarray, wanted: np.ndarray, most: int) -> np.ndarray:
    """The rows of the first wanted features of each class, as many of each, up to ``most`` in all."""
    of_class = [np.flatnonzero(wanted & (labels == label)) for label in np.unique(labels)]
    each = max(1, most // len(of_class))
    return np.concatenate([rows[:each] for rows in of_class])


def _most_often(rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows and how often each occurs, the most frequent first, the lower row first among equals."""
    found, times = np.unique(rows, return_counts=True)
    order = np.argsort(-times, kind="stable")
    return found[order], times[order]
