"""Checkpoints of a training run: written atomically, found by name, and read back into a backbone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowshot.errors import InputError, first_few
from lowshot.files import Pathlike
from lowshot.progress import say
from lowshot.representation.backbones import Backbone, build_backbone
from lowshot.representation.paths import checkpoint_path
from lowshot.torch_files import load_torch, save_torch

_NAME = re.compile(r"epoch_(\d+)\.ckpt")
_KEYS = {"epoch", "state", "optimizer", "schedule", "random", "backbone", "settings", "identity", "class_names"}


def save_checkpoint(folder: Path, checkpoint: Mapping[str, Any], keep: int | None) -> Path:
    """Write a checkpoint under the name of its epoch, then remove all but the newest ones.

    Checkpoints of later epochs, which can only be ones that could not be read, are removed as well.

    Args:
        folder (Path): The folder of the run.
        checkpoint (mapping): The content.
        keep (int or None): The number of checkpoints to keep; None keeps all.

    Returns:
        The path of the checkpoint.
    """
    path = checkpoint_path(folder, checkpoint["epoch"])
    save_torch(path, dict(checkpoint))
    present = _epochs(folder)
    valid = [epoch for epoch in present if epoch <= checkpoint["epoch"]]
    newest = valid if keep is None else valid[-keep:]
    for epoch, other in present.items():
        if epoch not in newest:
            other.unlink(missing_ok=True)
    return path


def latest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Find the newest checkpoint of a training folder that can be read.

    A damaged one, left by a full disk for example, is skipped with a warning.

    Returns:
        The path of the checkpoint and its content, or None if there is none.

    Raises:
        InputError: The newest readable file is not a checkpoint of this version, so nothing is known about its run.
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
    """Remove the temporary files of saves that were cut off."""
    for path in checkpoint_path(folder, 0).parent.glob(".epoch_*.part"):
        path.unlink(missing_ok=True)


def load_backbone(path: Pathlike) -> Backbone:
    """Load the backbone of a training checkpoint, on the CPU and in evaluation mode.

    Args:
        path (str or path): A file that :func:`~lowshot.representation.train_representation` wrote.

    Raises:
        InputError: The file is missing, damaged or no checkpoint of lowshot, or its weights do not fit the architecture
            it names; the message names the keys.
    """
    return rebuild_backbone(load_torch(path), source=f"checkpoint {path}").eval()


def trained_classes(path: Pathlike) -> list[str] | None:
    """The names of the classes that the classifier of a training checkpoint has rows for, in the order of its rows.

    Args:
        path (str or path): The checkpoint.

    Returns:
        The names; None where the checkpoint does not state them, as those of the original program.

    Raises:
        InputError: The file is missing or damaged.
    """
    checkpoint = load_torch(path)
    names = checkpoint.get("class_names") if isinstance(checkpoint, dict) else None
    return [str(name) for name in names] if isinstance(names, list | tuple) else None


def rebuild_backbone(checkpoint: Any, source: str) -> Backbone:
    """Build the backbone that a checkpoint describes and load its weights.

    Args:
        checkpoint (object): The content of a checkpoint, not yet checked.
        source (str): The noun for it in error messages, such as ``"checkpoint epoch_003.ckpt"``.

    Raises:
        InputError: The content is no checkpoint of lowshot, or its weights do not fit the architecture it names.
    """
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
    """Copy weights into a model with the same names and shapes.

    State dicts of the original program are accepted: a ``module.`` before every name and the ``classifier.bias`` of its
    older checkpoints are dropped, and the batch counters that PyTorch did not have then may be missing.

    Args:
        model (Module): The model that takes the weights.
        state (mapping): The tensor of each name.
        source (str): The noun for the weights in error messages, such as ``"checkpoint epoch_003.ckpt"``.

    Raises:
        InputError: Names are missing or unexpected, or shapes differ: the weights are of another architecture.
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
    """The checkpoint file of each epoch, oldest first."""
    files = checkpoint_path(folder, 0).parent.glob("epoch_*.ckpt")
    found = {int(match[1]): path for path in files if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _listed(what: str, items: list[str]) -> str:
    return f"{what.capitalize()}: {first_few(items)}." if items else ""


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"
