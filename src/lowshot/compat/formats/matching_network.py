"""The original's matching-network weights, as a :class:`~lowshot.classifiers.MatchingNetwork` and back.

The file is the torch-saved state of a module with a bidirectional LSTM, which reads the support set, and an LSTM cell,
which reads it for a query. torch names the parameters of the first ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``,
``bias_hh_l0`` and the same with ``_reverse``, those of the second ``weight_ih``, ``weight_hh``, ``bias_ih``,
``bias_hh``. The original's module calls the two ``G_encoder`` and ``FCE.lstmcell``; any other prefix of
torch's names is read, and remembered for writing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from lowshot.compat.formats.container import save_legacy
from lowshot.errors import InputError
from lowshot.files import Pathlike
from lowshot.torch_files import load_torch

if TYPE_CHECKING:
    from lowshot.classifiers import MatchingNetwork

_GATES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_SUPPORT = tuple(f"{gate}_l0{direction}" for direction in ("", "_reverse") for gate in _GATES)
# Part of lowshot's network → the names that torch gives the parameters of its layer.
_PARTS = {"support_lstm": _SUPPORT, "query_lstm": _GATES}


class Names(NamedTuple):
    """The names of the two parts of the original's module, which prefix those of their parameters.

    Attributes:
        support_lstm (str): The name of the bidirectional LSTM, without the dot.
        query_lstm (str): The name of the LSTM cell.
    """

    support_lstm: str = "G_encoder"
    query_lstm: str = "FCE.lstmcell"


@dataclass(frozen=True)
class Weights:
    """The content of a file: ``state`` by lowshot's names, float32, and the file's own ``names``."""

    state: dict[str, np.ndarray]
    names: Names

    @property
    def dim(self) -> int:
        """D, the width of the features."""
        return self.state["query_lstm.weight_hh"].shape[1]


def read_weights(path: Pathlike) -> Weights:
    """Read the original's weights.

    Raises:
        InputError: The file is missing, truncated, holds code or no such network, or its parts are of different widths.
    """
    return parse_weights(load_torch(path, "matching network"), f"matching network {path}")


def read_matching_network(path: Pathlike, query_steps: int = 5, **params: Any) -> MatchingNetwork:
    """Read the original's weights into a classifier whose network they are.

    Save it with :func:`lowshot.classifiers.persistence.save_classifier` and name that file as ``pretrained`` to use it
    on base and novel classes: fitting this very object would train another network.

    Args:
        path (str or path): The file.
        query_steps (int): K, the number of query steps, which the file does not state.
        params (dict): Further parameters of the classifier.

    Returns:
        MatchingNetwork: The classifier, whose network is trained.

    Raises:
        InputError: The file is missing, truncated, holds code or no such network, or its parts are of different widths.
    """
    return classifier_of(read_weights(path), query_steps, **params)


def classifier_of(weights: Weights, query_steps: int = 5, **params: Any) -> MatchingNetwork:
    """Make a classifier whose network has these weights."""
    from lowshot.classifiers import MatchingNetwork

    network = MatchingNetwork(query_steps=query_steps, **params)
    network._weights_ = weights.state
    network.n_features_in_ = weights.dim
    network.__dict__["_original_names_"] = tuple(weights.names)
    return network


def parse_weights(content: Any, source: str) -> Weights:
    """Check the loaded content of a file; messages call it ``source``. See :func:`read_matching_network`."""
    state = _state(content)
    if state is None:
        raise InputError(f"{source} holds no weights of a bidirectional LSTM and an LSTM cell, as torch names them")
    places = {part: {last: [n for n in state if _last(n) == last] for last in lasts} for part, lasts in _PARTS.items()}
    for last, found in [item for part in places.values() for item in part.items()]:
        if len(found) != 1:
            raise InputError(f"{source} must hold one {last!r}, but holds {', '.join(found) or 'none'}")
    known = {name for part in places.values() for found in part.values() for name in found}
    if extra := sorted(state.keys() - known):
        raise InputError(f"{source} holds {', '.join(extra[:5])}, which a matching network does not have")
    arrays = {
        f"{part}.{last}": _array(state[found[0]], f"{source}: {found[0]}")
        for part, lasts in places.items()
        for last, found in lasts.items()
    }
    _check_shapes(arrays, source)
    names = [next(iter(lasts.values()))[0].rpartition(".")[0] for lasts in places.values()]
    return Weights(arrays, Names(*names))


def is_matching_network(content: Any) -> bool:
    """Return True for the loaded content of a torch file that has a parameter of an original matching network."""
    return _state(content) is not None


def write_matching_network(path: Pathlike, network: MatchingNetwork, names: Names | None = None) -> None:
    """Write a trained network's weights so that the original program reads them, under any torch.

    Args:
        path (str or path): The file; it appears whole.
        network (MatchingNetwork): A trained network, with full-context embeddings.
        names (Names or None): The names of the parts of the module that will read the weights; None takes the names
            in the file that the network was read from, else the defaults of :class:`Names`.

    Raises:
        InputError: The network is not trained, or has no LSTMs (``contextual`` is False).
    """
    weights = getattr(network, "_weights_", {})
    if not weights or not network.contextual:
        kind = "the plain variant, which the original does not have" if weights else "not trained"
        raise InputError(f"{path} cannot be written: the matching network is {kind}")
    write_weights(path, weights, names or Names(*vars(network).get("_original_names_", Names())))


def write_weights(
    path: Pathlike, state: Mapping[str, np.ndarray], names: Names | None = None, program: str | None = None
) -> None:
    """Write a network's weights so that the original program reads them, under any torch.

    Args:
        path (str or path): The file; it appears whole.
        state (mapping of str to float32 array): The weights by lowshot's names.
        names (Names or None): The names of the parts of the module that will read the weights; None takes the
            original's.
        program (str or None): The program that writes it; see
            :func:`~lowshot.compat.formats.container.is_written_by`.
    """
    before = {part: f"{name}." if name else "" for part, name in (names or Names())._asdict().items()}
    content = OrderedDict(
        (before[part] + last, torch.from_numpy(state[f"{part}.{last}"]))
        for part, lasts in _PARTS.items()
        for last in lasts
    )
    save_legacy(path, content, program)


def _state(content: Any) -> Mapping[str, Any] | None:
    """The state dictionary in a file: its content, or the one value of it that is one; None where there is none."""
    if not isinstance(content, Mapping):
        return None
    if any(isinstance(name, str) and _last(name) in _SUPPORT for name in content):
        return content
    inner = [found for value in content.values() if (found := _state(value)) is not None]
    return inner[0] if len(inner) == 1 else None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _array(value: Any, what: str) -> np.ndarray:
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{what} must be a tensor, not a {type(value).__name__}")
    array = value.detach().float().numpy()
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinity: the training went wrong; train it again")
    return array


def _check_shapes(arrays: Mapping[str, np.ndarray], source: str) -> None:
    dim = (arrays["query_lstm.weight_hh"].shape or (0,))[-1]
    for name, array in arrays.items():
        inputs = 2 * dim if name == "query_lstm.weight_ih" else dim
        expected = (4 * dim,) if ".bias" in name else (4 * dim, inputs)
        if array.shape != expected:
            raise InputError(
                f"{source}: {_last(name)} has shape {array.shape}, but a matching network of {dim}-wide features has "
                f"{expected} there"
            )
