"""Any classification model of torchvision as a backbone: ``torchvision:resnet18``, ``torchvision:vit_b_16``, …"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from torch import nn

from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError, did_you_mean
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone, Head, is_sketch
from lowshot.representation.published import url_file
from lowshot.representation.weights import load_published, read_weights

_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


BIBTEX = """
@misc{torchvision2016,
  author = {{TorchVision maintainers and contributors}},
  title = {{TorchVision}: {PyTorch}'s Computer Vision Library},
  year = {2016},
  url = {https://github.com/pytorch/vision},
}
"""


@BACKBONES.register(
    "torchvision",
    "any torchvision classification model, torchvision:NAME, with its last hidden layer as features, pretrained or not",
    takes_argument=True,
    bibtex=BIBTEX,
)
def torchvision_model(
    model: str, num_classes: int, weights: str | None = None, pretrained: bool | str = False, **options: Any
) -> Backbone:
    """Build a torchvision model with lowshot's classifier instead of its last linear layer.

    Args:
        model (str): A name that ``torchvision.models.list_models`` returns.
        num_classes (int): The number of columns of the scores.
        weights (str or None): The name of published weights to start from, such as ``IMAGENET1K_V1`` or ``DEFAULT``.
            None starts from random ones, or with ``pretrained`` from ``DEFAULT``.
        pretrained (bool or str): True starts from published weights, which are taken from torch's cache or fetched; a
            text is the file of a state dict, with the names that torchvision gives its weights.
        options (dict): Other parameters of the model's own function, such as ``dropout``.

    Raises:
        InputError: torchvision has no such model or weights, the model refuses the options, it does not end in a linear
            layer, or a file is of another architecture.
        LowshotError: The weights could not be fetched.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise InputError(f"torchvision has no classification model {model!r}. {did_you_mean(model, known)}")
    choices = models.get_model_weights(model)
    published = [choice.name for choice in choices]
    if weights is not None and weights not in (*published, "DEFAULT"):
        raise InputError(f"torchvision's {model} has no weights {weights!r}. {did_you_mean(str(weights), published)}")
    if pretrained is True and not published:
        raise InputError(f"torchvision has published no weights of {model!r}: give a file (pretrained: FILE)")
    own = choices[weights or "DEFAULT"] if published else None  # they state the preprocessing, loaded or not
    name = f"torchvision:{model}"
    state, source, path, names = None, None, "", None
    if is_sketch():
        pass
    elif isinstance(pretrained, str):
        state, source, path = read_weights(pretrained), pretrained, pretrained
    elif own is not None and (pretrained or weights is not None):
        source, path, names = "hub", str(url_file(name, own.url)), list(own.meta["categories"])
        state = read_weights(path)
    if model in ("googlenet", "inception_v3"):
        # Their auxiliary classifiers would return a second set of scores, for the classes of ImageNet.
        options = {"aux_logits": False, "init_weights": state is None, **options}
        if state is not None:
            state = {key: value for key, value in state.items() if not key.startswith(("aux", "AuxLogits"))}
            options["transform_input"] = True  # as TensorFlow's images were, which the weights were trained on
    rows = 1000 if state is None else _rows(state)
    try:
        trunk = models.get_model(model, weights=None, **{"num_classes": rows, **options})
    except Exception as error:  # the model is given any options, and may fail on them in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"backbone {name!r} cannot be built with options {options}: {reason}") from error
    if state is not None:
        load_published(trunk, _today(state), f"weights {path}", name)
    head = _remove_head(trunk, model)
    backbone = Backbone(trunk, head.in_features, num_classes)
    if "transform_input" in options:
        backbone.config = {"kwargs": {"transform_input": options["transform_input"]}}
    backbone.preprocessing = None if own is None else Preprocessing.from_torchvision(own.transforms())
    if state is not None:
        backbone.head, backbone.source = Head.of_linear(head, None if names is None else partial(list, names)), source
    return backbone


def _today(state: dict[str, Any]) -> dict[str, Any]:
    """Take the second dot out of the names of DenseNet's layers, with which its weights were published."""
    if not any(_OLD_DENSENET.match(key) for key in state):
        return state
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def _rows(state: dict[str, Any]) -> int:
    """The number of classes of a state dict: the rows of its last matrix."""
    matrices = [len(value) for key, value in state.items() if key.endswith("weight") and value.ndim == 2]
    return matrices[-1] if matrices else 1000


def _remove_head(trunk: nn.Module, model: str) -> nn.Linear:
    """Replace the last linear layer by an identity and return it."""
    children = list(trunk.named_modules())
    name, head = next(((n, m) for n, m in reversed(children) if isinstance(m, nn.Linear)), ("", None))
    if head is None:
        raise InputError(f"backbone 'torchvision:{model}' does not end in a linear layer that could be replaced")
    parent, _, leaf = name.rpartition(".")
    setattr(trunk.get_submodule(parent), leaf, nn.Identity())
    return head
