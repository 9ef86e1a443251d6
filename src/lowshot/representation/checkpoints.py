"""Checkpoints of a training run: written atomically, found by name, and read back into a backbone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from lowshot.errors import InputError, first_few
from lowshot.files import Pathlike
from lowshot.progress import say
from lowshot.representation.backbones import Backbone, attach_head, build_backbone, without_weight_sources
from lowshot.representation.paths import checkpoint_path
from lowshot.representation.weights import load_state, plain_state
from lowshot.torch_files import load_torch, save_torch

_NAME = re.compile(r"epoch_(\d+)\.ckpt")
_SPARE_NUMBERS, _SPARE_TENSORS = 2**26, 200
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
    present = checkpoint_files(folder)
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
    for path in reversed(checkpoint_files(folder).values()):
        try:
            checkpoint = load_torch(path)
        except InputError as error:
            say(f"{error}. Falling back to the checkpoint before it.", style="yellow")
            continue
        if not is_training_checkpoint(checkpoint):
            raise InputError(
                f"{path} is not a checkpoint that this version could continue. Move it away, or start anew with "
                "resume=False, which removes it."
            )
        return path, checkpoint
    return None


def is_training_checkpoint(content: Any) -> bool:
    """Return True for the loaded content of a checkpoint that this version could continue."""
    if not isinstance(content, dict) or not content.keys() >= _KEYS:
        return False
    return type(content["epoch"]) is int and isinstance(content["identity"], dict)


def remove_checkpoints(folder: Path) -> None:
    """Remove every checkpoint of a training folder."""
    for path in checkpoint_files(folder).values():
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

    No other file is opened and nothing is fetched, whatever the checkpoint says.

    Args:
        checkpoint (object): The content of a checkpoint, not yet checked.
        source (str): The noun for it in error messages, such as ``"checkpoint epoch_003.ckpt"``.

    Raises:
        InputError: The content is no checkpoint of lowshot, or its weights do not fit the architecture it names.
    """
    if not isinstance(checkpoint, dict) or not {"state", "backbone"} <= checkpoint.keys():
        raise InputError(f"{source} {_found_instead(checkpoint)}")
    try:
        described = _Description.model_validate(checkpoint["backbone"])
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        key = ".".join(map(str, ("backbone", *mistake["loc"])))
        raise InputError(
            f"{source}: 'backbone' must have name, num_classes and kwargs, but for {key}: {mistake['msg'].lower()}"
        ) from None
    state = plain_state(checkpoint["state"], source)
    try:
        with _no_larger_than(state):
            model = build_backbone(described.name, described.num_classes, **without_weight_sources(described.options))
            model = attach_head(model, [described.head] if described.head else [])
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except Exception as error:  # options from a file may make a constructor fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{source}: its backbone {described.name!r} cannot be built: {reason}") from None
    load_state(model, state, source)
    return model


class _Description(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    num_classes: Annotated[int, Field(ge=1)]
    options: dict[str, Any] = Field(alias="kwargs")
    head: dict[str, dict[str, Any]] | None = None


def _found_instead(content: Any) -> str:
    """Say what a file holds that is no checkpoint of lowshot, as the end of a sentence that begins with it."""
    if not isinstance(content, dict):
        return "is not a dictionary; lowshot's own have 'backbone', what to build, and 'state', its weights"
    inner = next((v for v in content.values() if isinstance(v, dict) and _is_plain_state(v)), content)
    if _is_plain_state(inner):
        return (
            f"holds plain weights ({first_few(list(map(str, inner)), 3)}) and does not say of which network: name it, "
            "representations.NAME: {backbone: …, pretrained: FILE}, or give features of it (docs/features.md)"
        )
    return (
        f"holds {first_few(list(map(str, content))) or 'nothing'}; lowshot's own have 'backbone', what to build, and "
        "'state', its weights"
    )


def _is_plain_state(content: dict[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


@contextmanager
def _no_larger_than(state: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuse to build much more than some weights, before memory is used: options from a file may ask for anything.

    A little more is fine, such as the head of another library's model, which is replaced.
    """
    numbers = 2 * sum(value.numel() for value in state.values()) + _SPARE_NUMBERS
    tensors = 2 * len(state) + _SPARE_TENSORS

    def count(module: nn.Module, name: str, tensor: Any) -> None:
        nonlocal numbers, tensors
        tensors -= 1
        numbers -= tensor.numel() if isinstance(tensor, Tensor) else 0
        if min(numbers, tensors) < 0:
            raise InputError("the backbone that it describes is far larger than its weights")

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def checkpoint_files(folder: Path) -> dict[int, Path]:
    """The checkpoint file of each epoch, oldest first."""
    files = checkpoint_path(folder, 0).parent.glob("epoch_*.ckpt")
    found = {int(match[1]): path for path in files if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))
