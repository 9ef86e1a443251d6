"""Any classification model of torchvision as a backbone: ``torchvision:resnet18``, ``torchvision:vit_b_16``, …"""

from __future__ import annotations

from typing import Any

from torch import nn

from lowshot.errors import InputError, LowshotError, did_you_mean
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone


@BACKBONES.register(
    "torchvision",
    "any torchvision classification model, torchvision:NAME, with its last hidden layer as features",
    takes_argument=True,
)
def torchvision_model(model: str, num_classes: int, weights: str | None = None, **options: Any) -> Backbone:
    """Build a torchvision model with lowshot's classifier instead of its last linear layer.

    Args:
        model (str): A name that ``torchvision.models.list_models`` returns.
        num_classes (int): The number of columns of the scores.
        weights (str or None): The name of published weights to start from, such as ``IMAGENET1K_V1`` or ``DEFAULT``,
            which are fetched from the network on first use; None starts from random weights.
        options (dict): Other parameters of the model's own function, such as ``dropout``.

    Raises:
        InputError: torchvision has no such model or weights, the model refuses the options, or it does not end in a
            linear layer.
        LowshotError: The weights could not be fetched.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise InputError(f"torchvision has no classification model {model!r}. {did_you_mean(model, known)}")
    published = [choice.name for choice in models.get_model_weights(model)]
    if weights is not None and weights not in (*published, "DEFAULT"):
        raise InputError(f"torchvision's {model} has no weights {weights!r}. {did_you_mean(str(weights), published)}")
    if model in ("googlenet", "inception_v3"):
        # Their auxiliary classifiers would return a second set of scores, for the classes of ImageNet.
        options = {"aux_logits": False, "init_weights": weights is None, **options}
    try:
        trunk = models.get_model(model, weights=weights, **options)
    except OSError as error:
        raise LowshotError(f"the weights {weights} of 'torchvision:{model}' could not be fetched: {error}") from error
    except Exception as error:  # the model is given any options, and may fail on them in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"backbone 'torchvision:{model}' cannot be built with options {options}: {reason}") from error
    return Backbone(trunk, _remove_head(trunk, model), num_classes)


def _remove_head(trunk: nn.Module, model: str) -> int:
    """Replace the last linear layer by an identity and return the number of its inputs."""
    children = list(trunk.named_modules())
    name, head = next(((n, m) for n, m in reversed(children) if isinstance(m, nn.Linear)), ("", None))
    if head is None:
        raise InputError(f"backbone 'torchvision:{model}' does not end in a linear layer that could be replaced")
    parent, _, leaf = name.rpartition(".")
    setattr(trunk.get_submodule(parent), leaf, nn.Identity())
    return head.in_features
