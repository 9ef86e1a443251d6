"""``{epoch}.tar``: a network of the original program, as a :class:`~lowshot.representation.Backbone` and back.

The file is a torch-saved dictionary of ``epoch``, the number of the epoch that ended, from 0, and ``state``, the
parameters, each with ``module.`` before its name because they were saved from ``DataParallel``. Older files are the
``state`` alone, which says of no epoch.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowshot.compat.formats.container import save_legacy
from lowshot.compat.names import MODELS
from lowshot.errors import InputError, did_you_mean
from lowshot.files import Pathlike
from lowshot.representation import Backbone, build_backbone, load_state
from lowshot.torch_files import load_torch

# (has bottleneck blocks, number of blocks)
_BY_BLOCKS = {
    (False, 4): "ResNet10",
    (False, 8): "ResNet18",
    (False, 16): "ResNet34",
    (True, 16): "ResNet50",
    (True, 33): "ResNet101",
}
_PREFIX = "module."
# torch got these counters after the original was written; a network of batch norms without momentum alone needs them.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Checkpoint:
    """The content of an original checkpoint.

    Attributes:
        backbone (Backbone): The network with its weights, on the CPU and in evaluation mode.
        epoch (int or None): The number of the epoch it was saved after, from 0: ``89.tar`` has seen 90 epochs. None in
            a file of weights alone.
        model (str): The name of the network, one of :data:`MODELS`.
        classifier_bias (float32 tensor of shape (num_classes,) or None): The bias of the classifier in older files.
            The backbone has no place for it; the generator's training uses it.
        notes (tuple of str): A sentence for each thing that the backbone does not hold.
    """

    backbone: Backbone
    epoch: int | None
    model: str
    classifier_bias: Tensor | None = None
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> dict[str, Any]:
        """Name (without ``module.``) → tensor."""
        return self.backbone.state_dict()


def read_checkpoint(path: Pathlike, model: str | None = None, num_classes: int | None = None) -> Checkpoint:
    """Read an original checkpoint, whichever torch wrote it and on whichever device.

    Args:
        path (str or path): The ``.tar``.
        model (str or None): The network that it must hold, one of :data:`MODELS`; None recognises it by its parameters.
        num_classes (int or None): The number of classes that its classifier must have; None takes any.

    Raises:
        InputError: The file is missing, truncated, holds code or no checkpoint, or other weights than asked for.
    """
    return parse_checkpoint(load_torch(path), f"checkpoint {path}", model, num_classes)


def parse_checkpoint(content: Any, source: str, model: str | None = None, num_classes: int | None = None) -> Checkpoint:
    """Check the loaded content of a ``.tar``; messages call it ``source``. See :func:`read_checkpoint`."""
    if not is_checkpoint(content):
        found = f"holds {', '.join(map(str, content))}" if isinstance(content, Mapping) else "is not a dictionary"
        raise InputError(f"{source} {found}; a checkpoint of the original program has 'epoch' and 'state'")
    epoch, state = (None, content) if _is_state(content) else (content["epoch"], content["state"])
    if epoch is not None and (number := _whole_number(epoch)) is None:
        raise InputError(f"{source}: 'epoch' must be the number of an epoch, from 0, not {epoch!r}")
    epoch = None if epoch is None else number
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise InputError(f"{source}: 'state' must map names to tensors")
    state = {key: _as_tensor(value) for key, value in state.items()}
    shapes = {key.removeprefix(_PREFIX): tuple(getattr(value, "shape", ())) for key, value in state.items()}
    model = _checked_model(source, model, recognised(shapes))
    rows = (shapes.get("classifier.weight") or (num_classes or 1,))[0]
    if num_classes is not None and rows != num_classes:
        raise InputError(
            f"{source} has a classifier of {rows} classes, but {num_classes} were asked for: give it as many classes "
            f"as it was trained with (--num_classes {rows}), or another checkpoint"
        )
    backbone = build_backbone(model, rows)
    load_state(backbone, state, source)
    bias = next((value for key, value in state.items() if key.removeprefix(_PREFIX) == "classifier.bias"), None)
    notes = []
    if bias is not None:
        bias = bias.detach().float()
        if bias.shape != (rows,) or not bias.isfinite().all():
            raise InputError(f"{source}: classifier.bias must be {rows} finite numbers, one for each class")
        notes.append("classifier.bias was left out: the network's classifier has none")
    if epoch is None:
        notes.append("it holds weights alone, and does not say how many epochs they have seen")
    return Checkpoint(backbone.eval(), epoch, model, bias, tuple(notes))


def _whole_number(value: Any) -> int | None:
    """The number of an epoch: 3, 3.0, or a tensor or array of one such number; None for anything else."""
    if isinstance(value, Tensor | np.ndarray) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _as_tensor(value: Any) -> Any:
    """An array as a tensor, if torch has a type for its numbers; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
    except TypeError:
        return value


def is_checkpoint(content: Any) -> bool:
    """Return True for the loaded content of an original checkpoint; lowshot's have a key ``backbone`` as well."""
    if _is_state(content):
        return True
    return isinstance(content, Mapping) and {"epoch", "state"} <= content.keys() and "backbone" not in content


def _is_state(content: Any) -> bool:
    """Return True for the weights of a network alone."""
    return isinstance(content, Mapping) and any(
        isinstance(name, str) and name.removeprefix(_PREFIX).startswith(("trunk.", "classifier.")) for name in content
    )


def recognised(names: Mapping[str, Any]) -> str | None:
    """Return the one of :data:`MODELS` whose blocks have these parameter names, or None."""
    blocks = [match[1] for name in names if (match := re.fullmatch(r"trunk\.(\d+)\.C1\.weight", name))]
    return _BY_BLOCKS.get((any(name.endswith(".C3.weight") for name in names), len(blocks)))


def write_checkpoint(path: Pathlike, backbone: Backbone, epoch: int, program: str | None = None) -> None:
    """Write a checkpoint that the original program reads, under any torch.

    Args:
        path (str or path): The ``.tar``; it appears whole.
        backbone (Backbone): A network of :data:`MODELS`, with the stem for ImageNet.
        epoch (int): The number of the epoch that ended, from 0.
        program (str or None): The program that writes it; see
            :func:`~lowshot.compat.formats.container.is_written_by`.

    Raises:
        InputError: The original has no name for the network.
    """
    name, options = str(backbone.config.get("name")), backbone.config.get("kwargs", {})
    if name not in [model.lower() for model in MODELS] or options.get("stem", "imagenet") != "imagenet":
        described = "".join(f", {key}={value}" for key, value in options.items())
        raise InputError(
            f"{path} cannot be written: the original program has no network {name!r}{described}; "
            f"it knows {', '.join(MODELS)}, with the stem for ImageNet"
        )
    if head := backbone.config.get("head"):
        raise InputError(f"{path} cannot be written: the original program has no {next(iter(head))}, only a linear one")
    if epoch < 0:
        raise InputError(f"{path} cannot be written: the original counts epochs from 0, and no epoch has ended yet")
    state = OrderedDict(
        (_PREFIX + name, value) for name, value in backbone.state_dict().items() if not name.endswith(_COUNTER)
    )
    save_legacy(path, {"epoch": epoch, "state": state}, program)


def _checked_model(source: str, asked: str | None, found: str | None) -> str:
    if asked is None:
        if found is None:
            raise InputError(
                f"{source} holds none of the original's networks ({', '.join(MODELS)}): its parameters have other "
                "names, or another number of blocks"
            )
        return found
    name = {model.lower(): model for model in MODELS}.get(asked.lower())
    if name is None:
        raise InputError(f"unknown model {asked!r}. {did_you_mean(asked, MODELS)}")
    if found is not None and found != name:
        raise InputError(f"{source} holds a {found}, but {name} was asked for: give --model {found}")
    return name
