"""The fingerprint of the part of a network that features depend on."""

from __future__ import annotations

import torch
from torch import nn

from lowshot.files import fingerprint


def trunk_fingerprint(backbone: nn.Module) -> str:
    """Compute the digest of all that features of an image depend on in a backbone: its architecture and trunk.

    The classifier is left out, and so are its kind and its number of classes, so that a pretrained network that is
    built twice has one fingerprint although the classifier on top of it, which no feature depends on, is drawn anew.

    Args:
        backbone (Module): The backbone. ``config``, if it has one, names its architecture; what is not under the name
            ``classifier`` is its trunk.
    """
    config = getattr(backbone, "config", {"name": type(backbone).__name__})
    architecture = {key: value for key, value in config.items() if key not in ("num_classes", "head")}
    parts = (
        part
        for name, tensor in backbone.state_dict().items()
        if name.partition(".")[0] != "classifier"
        for part in (name, tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    )
    return fingerprint(architecture, *parts)
