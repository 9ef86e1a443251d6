"""The original's linear classifier as it is measured there: by all its outputs, those of other classes included."""

from __future__ import annotations

import numpy as np

from lowshot.classifiers import Logistic


class AllOutputs(Logistic):
    """:class:`Logistic` that knows the labels 0..n_outputs-1, of which those out of play have no examples.

    They compete with the others when scores are compared, where :class:`Logistic` drops them after training.
    """

    def _set_outputs(self, weight: np.ndarray, bias: np.ndarray) -> None:
        further = np.setdiff1d(np.arange(len(weight)), self.classes_)
        self.classes_ = np.concatenate([self.classes_, further])
        self.coef_, self.intercept_ = weight, bias
