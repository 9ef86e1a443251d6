"""A loss that is a plain function in a Python file."""

from __future__ import annotations

from torch import Tensor

from lowshot.errors import InputError
from lowshot.plugins import plugin_functions
from lowshot.registry import LOSSES
from lowshot.representation.losses.base import AuxiliaryLoss


@LOSSES.register(
    "file", "the function loss(features, scores, labels, classifier_weight) of FILE.py", takes_argument=True
)
class FileLoss(AuxiliaryLoss):
    """Calls a function ``loss`` with the arguments of :meth:`AuxiliaryLoss.formula`.

    Args:
        path (str): The Python file. Its code is run.

    Raises:
        InputError: The file cannot be imported, or has no such function.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        (self._function,) = plugin_functions(path, "loss")

    def formula(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> Tensor:
        """Call the function, which must return a scalar."""
        value = self._function(features, scores, labels, classifier_weight)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise InputError(f"the function loss in {self.path} must return one number as a tensor, not {value!r}")
        return value.reshape(())
