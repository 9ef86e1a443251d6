"""Weights of a network: read from a file without running anything in it, and copied into a model that they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowshot.errors import InputError, first_few
from lowshot.files import Pathlike, is_file
from lowshot.torch_files import load_torch

_WRAPPERS = ("state_dict", "model", "state", "model_state", "state_dict_ema", "model_ema", "teacher", "module")
_PREFIXES = ("module.", "trunk.", "backbone.", "_orig_mod.")


def read_weights(path: Pathlike) -> dict[str, Tensor]:
    """Read the weights in a file: safetensors, or a torch file, from which nothing is run.

    What training programs put around the weights is taken off: an outer ``state_dict`` or ``model``, and a ``module.``
    or ``trunk.`` before every name. Of a checkpoint of lowshot the trunk remains, without its classifier.

    Args:
        path (str or path): The file.

    Returns:
        dict of str to Tensor: The weights by name, on the CPU.

    Raises:
        InputError: The file is missing or damaged, or holds something else than dense, real tensors.
    """
    path = Path(path).expanduser()
    if not is_file(path):
        raise InputError(f"weights {path} do not exist: give a file of safetensors or torch, or pretrained: true")
    content = _read_safetensors(path) if _is_safetensors(path) else load_torch(path, what="weights")
    found = _unwrapped(content)
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        keys = first_few(list(map(str, content))) if isinstance(content, Mapping) else type(content).__name__
        raise InputError(f"weights {path} hold no tensors by name (they hold {keys}): expected a state dict")
    state: dict[str, Tensor] = plain_state(found, f"weights {path}")
    if any(name.startswith("trunk.") for name in state):
        state = {name: value for name, value in state.items() if name.startswith("trunk.")}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    if (versions := getattr(found, "_metadata", None)) is not None and state.keys() == found.keys():
        state = OrderedDict(state)
        state._metadata = versions  # type: ignore[attr-defined]  # by which modules know the names of their time
    return state


def load_published(model: nn.Module, state: Mapping[str, Tensor], source: str, name: str) -> None:
    """Copy weights into a model of another library, which may know them under the names of earlier versions.

    Args:
        model (Module): The model that takes the weights.
        state (mapping): The tensor of each name.
        source (str): The noun for the weights in error messages.
        name (str): The name of the model in error messages.

    Raises:
        InputError: As for :func:`load_state`.
    """
    try:
        model.load_state_dict(state)
    except Exception as error:  # models of other libraries may fail on unknown weights in any way
        load_state(model, state, source, name)  # says which names and shapes do not fit
        raise InputError(f"{source} does not fit {name}: {' '.join(str(error).split())[:300]}") from error
    if broken := [key for key, value in model.state_dict().items() if not value.isfinite().all()]:
        raise InputError(f"{source} holds NaN or infinity in {broken[0]}: fetch it again, or take another file")


def _unwrapped(content: Any) -> Any:
    """The innermost mapping of tensors of what a training program saved."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            return _unwrapped(content[key])
    return content


def _is_safetensors(path: Path) -> bool:
    """True where a file begins as safetensors do: the size of a JSON header, and its bracket."""
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"weights {path} are damaged: {' '.join(str(error).split())}") from None


def plain_state(state: Any, source: str) -> dict[str, Tensor]:
    """The weights of a file, as far as they can be checked without an architecture.

    Args:
        state (object): The content of a file, not yet checked.
        source (str): The noun for it in error messages.

    Raises:
        InputError: The content is no mapping from names to dense, real tensors.
    """
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{source}: the state must map names to tensors")
    if unfit := [str(key) for key, value in state.items() if not _is_plain(value)]:
        raise InputError(f"{source}: weights must be dense and real. {_listed('not so', unfit)}")
    return {str(key): value for key, value in state.items()}


def _is_plain(tensor: Tensor) -> bool:
    """False for what is sparse, complex or quantised, and for few numbers that are declared to be many."""
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def load_state(model: nn.Module, state: Mapping[str, Any], source: str, name: str | None = None) -> None:
    """Copy weights into a model with the same names and shapes.

    State dicts of the original program are accepted: a ``module.`` before every name and the ``classifier.bias`` of its
    older checkpoints are dropped, and the batch counters that PyTorch did not have then may be missing.

    Args:
        model (Module): The model that takes the weights.
        state (mapping): The tensor of each name.
        source (str): The noun for the weights in error messages, such as ``"checkpoint epoch_003.ckpt"``.
        name (str or None): The name of the model in error messages; None takes that of a backbone's ``config``, or of
            its class.

    Raises:
        InputError: Names are missing or unexpected, shapes differ (the weights are of another architecture), or a
            weight is NaN or infinite.
    """
    found = plain_state(state, source)
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
        name = name or (config["name"] if config else type(model).__name__)
        raise InputError(
            f"{source} does not fit {name}: it is of another architecture. {' '.join(filter(None, wrong))}"
        )
    if broken := [name for name in expected if not found[name].isfinite().all()]:
        raise InputError(f"{source} holds NaN or infinity in {broken[0]}: its training diverged; take an earlier one")
    named = OrderedDict(found)
    # Names and shapes are today's, and so are the versions by which modules would look for older names.
    named._metadata = expected._metadata  # type: ignore[attr-defined]
    model.load_state_dict(named)


def _listed(what: str, items: list[str]) -> str:
    return f"{what.capitalize()}: {first_few(items)}." if items else ""


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"
