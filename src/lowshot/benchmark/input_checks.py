"""The check that features, class split and experiments belong together."""

from __future__ import annotations

from lowshot.data import ClassSplit, Experiments
from lowshot.data.class_names import check_same_classes, same_naming
from lowshot.errors import InputError
from lowshot.features import FeatureStore


def check_inputs(train: FeatureStore, test: FeatureStore, split: ClassSplit, experiments: Experiments) -> None:
    """Refuse features, a split and experiments that do not belong together.

    Args:
        train (FeatureStore): The features that base examples and shots are taken from.
        test (FeatureStore): The features of the queries.
        split (ClassSplit): The base and novel classes.
        experiments (Experiments): The rows of ``train`` that are shots.

    Raises:
        InputError: Widths, backbones or class names differ, a label is outside the split, or the experiments are of
            other data.
    """
    if train.dim != test.dim:
        raise InputError(
            f"{train.path} has {train.dim} features per image and {test.path} {test.dim}: "
            "they come from different backbones"
        )
    key = "backbone_fingerprint"
    if key in train.attributes and key in test.attributes and train.attributes[key] != test.attributes[key]:
        raise InputError(
            f"{train.path} and {test.path} come from different weights of the backbone: extract both again"
        )
    _check_preprocessing(train, test)
    check_same_classes(str(train.path), train.class_names, str(test.path), test.class_names)
    names = train.class_names or test.class_names
    if names is not None and same_naming(names, split.label_names):
        check_same_classes("the class split", split.label_names, str(train.path), names)
    if names is not None and experiments.class_names is not None and same_naming(names, experiments.class_names):
        check_same_classes("the experiments", experiments.class_names, str(train.path), names)
    for store in (train, test):
        try:
            split.check_labels(store.labels)
        except InputError as error:
            raise InputError(f"{store.path}: {error}") from None
    try:
        experiments.check(train.labels, train.paths)
    except InputError as error:
        raise InputError(f"{train.path}: {error}") from None


def _check_preprocessing(train: FeatureStore, test: FeatureStore) -> None:
    """Refuse features whose images were resized, cropped or normalised in different ways."""
    first, second = (store.attributes.get("preprocessing") for store in (train, test))
    if first is None or second is None or first == second:
        return
    raise InputError(
        f"{train.path} and {test.path} come from images that were preprocessed differently: {first} in the one, "
        f"{second} in the other. Extract both again with the same data.preset and data.transform"
    )
