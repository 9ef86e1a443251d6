"""Fitted classifiers as torch modules, as exports need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowshot.errors import InputError

if TYPE_CHECKING:
    import torch


class TorchForm:
    """Mixin of :class:`~lowshot.classifiers.LowShotClassifier`: :meth:`as_torch`."""

    classes_: np.ndarray
    n_base_classes_: int

    def as_torch(self) -> torch.nn.Module:
        """The fitted classifier as a torch module in float32 on the CPU, as an ONNX file needs it.

        Returns:
            A module from (N, D) features to (N, C) scores. They are those of :meth:`scores`, up to a number per query,
            which changes neither answers nor probabilities.

        Raises:
            InputError: This kind of classifier has no such module.
        """
        check_is_fitted(self, "classes_")
        module = self._as_torch()
        if bias := getattr(self, "novel_bias_", 0.0):
            from lowshot.classifiers.torch_modules import Biased

            module = Biased(module, np.where(np.arange(len(self.classes_)) < self.n_base_classes_, 0, bias))
        return module.cpu().eval()

    def _as_torch(self) -> torch.nn.Module:
        """A torch module from (N, D) features to (N, C) scores; see :meth:`as_torch`."""
        raise InputError(f"{type(self).__name__} has no form in torch, and so none in ONNX: it defines no _as_torch")
