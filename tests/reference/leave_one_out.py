"""Leave-one-out scores by fitting a classifier again without each shot."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.base import clone

from lowshot.classifiers import Gaussian


def transformed(classifier, X):
    """For ``gaussian`` features and a classifier that does not transform them, so that no shot moves the centre."""
    if not isinstance(classifier, Gaussian) or classifier.n_base_classes_:
        return X, classifier
    return classifier._transformed(X), clone(classifier).set_params(feature_transform="none")


def scores(classifier, X, y):
    """(M, C) scores; minus infinity for a class without another shot."""
    found = np.full((len(X), len(classifier.classes_)), -np.inf)
    own, fresh = transformed(classifier, X)
    for row in range(len(X)):
        rest = np.arange(len(X)) != row
        if classifier.n_base_classes_:
            with_others = copy.copy(classifier)
            with_others._fit_novel(own[rest], with_others._add_novel(y[rest]))
        else:
            with_others = clone(fresh).fit(own[rest], y[rest])
        for column, label in enumerate(with_others.classes_):
            found[row, classifier.classes_.tolist().index(label)] = with_others.scores(own[row : row + 1])[0, column]
    return found
