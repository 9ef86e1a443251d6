"""Checkpoints of a training run: written whole, found by name, and read back into a backbone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowshot.errors import InputError
from lowshot.files import Pathlike
from lowshot.progress import say
from lowshot.representation.backbones import Backbone, build_backbone
from lowshot.representation.paths import checkpoint_path
from lowshot.torch_files import load_torch, save_torch

_NAME = re.compile(r"epoch_(\d+)\.ckpt")
_KEYS = {"epoch", "state", "optimizer", "schedule", "random", "backbone", "settings", "identity", "class_names"}
_SHOWN = 5


def save_checkpoint(folder: Path, checkpoint: Mapping[str, Any], keep: int | None) -> Path:
    """Write a checkpoint under the name of its epoch, then remove all but the newest ``keep``.

    Checkpoints of later epochs, which can only be ones that could not be read, go as well.
    """
    path = checkpoint_path(folder, checkpoint["epoch"])
    save_torch(path, dict(checkpoint))
    older = [epoch for epoch in _epochs(folder) if epoch <= checkpoint["epoch"]]
    kept = set(older if keep is None else older[-keep:])
    for epoch, other in _epochs(folder).items():
        if epoch not in kept:
            other.unlink(missing_ok=True)
    return path


def latest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a training folder that can be read, and its content; None when there is none.

    A damaged one, left by a full disk for example, costs the epochs since the one before it, and a warning.

    Raises:
        InputError: the newest readable file is not what this version saves, so nothing can be said about its run.
    """
    for path in reversed(_epochs(folder).values()):
        try:
            checkpoint = load_torch(path)
        except InputError as error:
            say(f"{error}. Falling back to the checkpoint before it.", style="yellow")
            continue
        if not isinstance(checkpoint, dict) or not checkpoint.keys() >= _KEYS:
            raise InputError(
                f"{path} is not a checkpoint that this version could continue. Move it away, or start anew with "
                "resume=False, which removes it."
            )
        return path, checkpoint
    return None


def remove_checkpoints(folder: Path) -> None:
    """Remove every checkpoint of a training folder."""
    for path in _epochs(folder).values():
        path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files of saves that were cut off."""
    for path in checkpoint_path(folder, 0).parent.glob(".epoch_*.part"):
        path.unlink(missing_ok=True)


def load_backbone(path: Pathlike) -> Backbone:
    """The backbone of a training checkpoint with its weights, on the CPU and in evaluation mode.

    Args:
        path: a file that :func:`~lowshot.representation.train_representation` wrote.

    Raises:
        InputError: the file is missing, damaged, no checkpoint of lowshot, or its weights do not fit the
            architecture it names; the message names the keys.
    """
    return rebuild_backbone(load_torch(path), source=f"checkpoint {path}").eval()


def rebuild_backbone(checkpoint: Any, source: str) -> Backbone:
    """The backbone that the content of a checkpoint describes, with its weights; errors as :func:`load_backbone`."""
    if not isinstance(checkpoint, dict) or not {"state", "backbone"} <= checkpoint.keys():
        found = f"holds {', '.join(map(str, checkpoint))}" if isinstance(checkpoint, dict) else "is not a dictionary"
        raise InputError(f"{source} {found}; lowshot's own have 'backbone', what to build, and 'state', its weights")
    try:
        config = checkpoint["backbone"]
        name, num_classes, kwargs = config["name"], config["num_classes"], config["kwargs"]
    except (TypeError, KeyError):
        raise InputError(f"{source}: 'backbone' must have name, num_classes and kwargs") from None
    model = build_backbone(name, num_classes, **kwargs)
    load_state(model, checkpoint["state"], source)
    return model


def load_state(model: nn.Module, state: Mapping[str, Any], source: str) -> None:
    """Copy weights into a model whose names and shapes must agree, else name what does not.

    Accepts the state dicts of the original program: a ``module.`` before every name is dropped, so is the
    ``classifier.bias`` of its older checkpoints, and the batch counters that PyTorch did not have then may be missing.

    Args:
        model: takes the weights.
        state: name → tensor.
        source: what the messages call it, such as ``"checkpoint epoch_003.ckpt"``.

    Raises:
        InputError: missing or unexpected names, or other shapes: another architecture.
    """
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{source}: the state must map names to tensors")
    unfit = [key for key, value in state.items() if value.layout != torch.strided or value.is_complex()]
    if unfit:
        raise InputError(f"{source}: weights must be dense and real. {_listed('not so', unfit)}")
    found = dict(state)
    if found and all(key.startswith("module.") for key in found):
        found = {key.removeprefix("module."): value for key, value in found.items()}
    expected = model.state_dict()
    if "classifier.bias" not in expected:
        found.pop("classifier.bias", None)
    for key, value in expected.items():
        if key.endswith("num_batches_tracked"):
            found.setdefault(key, value)

    shapes = [
        f"{key} is {_shape(found[key])}, not {_shape(value)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    wrong = [
        _listed("missing", [key for key in expected if key not in found]),
        _listed("unexpected", [key for key in found if key not in expected]),
        _listed("of another shape", shapes),
    ]
    if any(wrong):
        config = getattr(model, "config", None)
        name = config["name"] if config else type(model).__name__
        raise InputError(
            f"{source} does not fit {name}: it is of another architecture. {' '.join(filter(None, wrong))}"
        )
    model.load_state_dict(found)


def _epochs(folder: Path) -> dict[int, Path]:
    """Epoch → checkpoint file, oldest first."""
    files = checkpoint_path(folder, 0).parent.glob("epoch_*.ckpt")
    found = {int(match[1]): path for path in files if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _listed(what: str, items: list[str]) -> str:
    if not items:
        return ""
    more = f", … ({len(items)} in all)" if len(items) > _SHOWN else ""
    return f"{what.capitalize()}: {', '.join(items[:_SHOWN])}{more}."


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"
