"""Any image model of the timm library as a backbone: ``timm:resnet18``, ``timm:convnext_tiny``, …"""

from __future__ import annotations

from typing import Any

from lowshot.errors import InputError, LowshotError, did_you_mean
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone, without_weight_sources


@BACKBONES.register(
    "timm", "any timm model, timm:NAME, with its pooled features (needs the extra 'timm')", takes_argument=True
)
def timm_model(model: str, num_classes: int, pretrained: bool = False, **options: Any) -> Backbone:
    """Build a timm model with lowshot's linear classifier instead of its head.

    Args:
        model (str): A timm name, with or without a tag for its weights (``resnet18`` or ``resnet18.a1_in1k``).
        num_classes (int): The number of columns of the scores.
        pretrained (bool): True starts from timm's weights, which are fetched from the network on first use.
        options (dict): Other parameters of ``timm.create_model``, such as ``img_size`` or ``drop_path_rate``.

    Raises:
        InputError: timm is not installed, has no such model, or the model refuses the options.
        LowshotError: The weights could not be fetched.
    """
    try:
        import timm
    except ImportError:
        raise InputError(
            f"backbone 'timm:{model}' needs the timm library, which is not installed: pip install 'lowshot[timm]'"
        ) from None

    if not timm.is_model(model):
        raise InputError(f"timm {timm.__version__} has no model {model!r}. {did_you_mean(model, timm.list_models())}")
    try:
        trunk = timm.create_model(model, pretrained=False, num_classes=0, **without_weight_sources(options))
    except Exception as error:  # the model is given any options, and may fail on them in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"backbone 'timm:{model}' cannot be built with options {options}: {reason}") from error
    if pretrained or options.keys() != without_weight_sources(options).keys():
        try:
            trunk = timm.create_model(model, pretrained=pretrained, num_classes=0, **options)
        except Exception as error:  # timm's downloads fail with errors of several libraries
            raise LowshotError(f"the weights of 'timm:{model}' could not be loaded: {error}") from error
    # The head of a few models widens the features once more; num_features is then the width before it.
    feature_dim: Any = getattr(trunk, "head_hidden_size", None) or getattr(trunk, "num_features", None)
    if feature_dim is None:
        raise InputError(
            f"backbone 'timm:{model}' with options {options} has no single vector of features: leave features_only out"
        )
    return Backbone(trunk, feature_dim, num_classes)
