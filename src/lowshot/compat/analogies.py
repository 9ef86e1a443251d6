"""The work of ``train_analogy_generator``: cluster base classes, mine analogies, train a network on them.

The steps are those of :class:`~lowshot.hallucination.AnalogyGenerator`, in the original's variants: k-means starts from
random directions, batches of analogies follow one permutation, the classifier may have a bias, and all is float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lowshot.compat.base_classifier import base_classifier
from lowshot.compat.formats.checkpoint import read_checkpoint
from lowshot.compat.formats.container import is_written_by
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.generator import write_stored
from lowshot.compat.formats.splits import read_split
from lowshot.compat.memory import keep_freed_memory
from lowshot.compat.overwriting import require_own
from lowshot.compat.precision import only_float32
from lowshot.compat.program import Flags
from lowshot.compat.steps import steps
from lowshot.compat.stored_analogies import StoredAnalogies
from lowshot.devices import pick_device
from lowshot.errors import InputError
from lowshot.files import require_writable
from lowshot.hallucination.analogies.clusters import Centroids, fit_centroids
from lowshot.hallucination.analogies.mining import Analogies, mine_analogies
from lowshot.hallucination.analogies.regressor import TrainingSettings, train_regressor
from lowshot.progress import say

PROGRAM = "train_analogy_generator"
N_STEPS = 120_000
N_CLASSIFIER_STEPS = 10_000
N_CLUSTERS, N_ROUNDS = 100, 20
SEED = 0

Classifier = tuple[np.ndarray, np.ndarray | None]
"""Weight (num_classes, D) and bias (num_classes,) or None, float32."""


def fit(given: Flags) -> None:
    """Run the program.

    Raises:
        InputError: A flag or file is missing or unfit. Nothing is written then.
        LowshotError: The training diverged.
    """
    if given.outdir is None:
        raise InputError("--outdir is missing: the folder for generators")
    split = read_split(given.lowshotmeta)
    train = open_features(given.trainfile, given.numclasses)
    folder = Path(given.outdir) / train.path.parent.name
    target = folder / "generator.tar"
    require_writable(folder, "--outdir", folder=True)
    _require_own_generator(target)
    split.check_labels(train.labels)
    classifier = None if given.networkfile is None else _classifier_of(given.networkfile, given.numclasses, train.dim)
    if len(absent := np.setdiff1d(split.base, train.labels)):
        raise InputError(f"{train.path} has no image of base class {split.describe(int(absent[0]))}")
    rows = train.rows_of(split.base)
    features, labels = train.rows(rows), train.labels[rows]
    if features.max() <= 0:
        raise InputError(
            f"{train.path} has no positive feature of a base class, but the generator makes no others: its last layer "
            "is a ReLU, as that of the network that makes features"
        )
    only_float32()
    keep_freed_memory()
    cache = folder / "cache"
    if classifier is None:
        classifier = base_classifier(features, labels, given.numclasses, steps(N_CLASSIFIER_STEPS), cache)
    centroids = fit_centroids(
        features, labels, N_CLUSTERS, N_ROUNDS, init="random_directions", random_state=SEED, cache=cache
    )
    analogies = mine_analogies(centroids, device=pick_device(), cache=cache)
    if not len(analogies):
        raise InputError(f"{train.path}: no two differences of centroids point the same way, so there are no analogies")
    stored = _train(given, centroids, analogies, classifier, np.unique(labels))
    _require_own_generator(target)  # again: hours have passed
    for note in write_stored(target, stored, PROGRAM):
        say(note, style="yellow")
    say(f"{target}: {len(analogies)} analogies of {len(split.base)} base classes")


def _require_own_generator(target: Path) -> None:
    require_own(target, "--outdir", lambda path: is_written_by(path, PROGRAM))


def _train(
    given: Flags, centroids: Centroids, analogies: Analogies, classifier: Classifier, classes: np.ndarray
) -> StoredAnalogies:
    weight, bias = classifier
    weights, _ = train_regressor(
        centroids.values,
        analogies,
        weight,
        classes[centroids.class_of],
        TrainingSettings(lr=given.initlr, n_steps=steps(N_STEPS), precision="highest", batches="permutation"),
        classifier_bias=bias,
        random_state=SEED,
        device=pick_device(),
    )
    return StoredAnalogies(centroids.values, centroids.counts, weights)


def _classifier_of(path: str, num_classes: int, dim: int) -> Classifier:
    """The classifier in a checkpoint; an older one has a bias."""
    checkpoint = read_checkpoint(path, num_classes=num_classes)
    weight = checkpoint.backbone.classifier.weight.detach().numpy()
    if weight.shape[1] != dim:
        raise InputError(
            f"the network in {path} has {weight.shape[1]} features, but the features file has {dim}: "
            "give the network that made the features"
        )
    return weight, None if checkpoint.classifier_bias is None else checkpoint.classifier_bias.numpy()
