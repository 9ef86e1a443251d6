"""What a recogniser starts from: a network, and maybe base classes that it knows before it is taught anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.classifiers import LowShotClassifier, save_classifier
from lowshot.errors import InputError
from lowshot.recogniser.class_names import checked_name
from lowshot.recogniser.folder import BACKBONE_FILE, BASE_FILE
from lowshot.recogniser.state import BackboneState, BaseState, ClassifierState, State

DEFAULT_BACKBONE = "efficientnet_lite0"

if TYPE_CHECKING:
    from lowshot.data import Transforms
    from lowshot.representation import Backbone


@dataclass(frozen=True)
class BaseClasses:
    """Base classes that a classifier has learned.

    Attributes:
        origin (str): The place that they come from, such as a recipe's folder.
        names (sequence of B str): Their names.
        classifier (LowShotClassifier): The classifier after ``fit_base``, with the labels 0 to B - 1.
        biases (mapping): Number of shots → what is added to the scores of taught classes with that many; empty where
            it is chosen from the shots.
    """

    origin: str
    names: Sequence[str]
    classifier: LowShotClassifier
    biases: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """A network, and maybe base classes.

    Attributes:
        name (str): The registered name of the backbone.
        options (mapping): Its options.
        backbone (Backbone): The network.
        transforms (Transforms): What turns a photo into its input.
        own_weights (bool): True where the weights are none that the name stands for, so that a recogniser keeps a copy.
        base (BaseClasses or None): The base classes.
    """

    name: str
    options: Mapping[str, Any]
    backbone: Backbone
    transforms: Transforms
    own_weights: bool = False
    base: BaseClasses | None = None


def pretrained_start(backbone: str, options: Mapping[str, Any]) -> Start:
    """Start from a network with its published weights, without base classes.

    Args:
        backbone (str): The registered name.
        options (mapping): The options of the backbone.

    Raises:
        InputError: As of :func:`lowshot.representation.load_pretrained`.
        LowshotError: As there.
    """
    from lowshot import representation

    found = representation.load_pretrained(backbone, True, **options)
    return Start(backbone, options, found.backbone, found.preprocessing.transforms())


def first_state(folder: Path, start: Start, views: str, classifier: ClassifierState | None, thumbnails: bool) -> State:
    """The state of a recogniser that was taught nothing; writes the files that it refers to.

    Args:
        folder (Path): The folder of the recogniser.
        start (Start): What it starts from.
        views (str): The views of a photo.
        classifier (ClassifierState or None): The classifier that was asked for.
        thumbnails (bool): True keeps small pictures of photos.

    Raises:
        InputError: Another classifier than that of the base classes was asked for.
    """
    from lowshot.features import Embedder
    from lowshot.recogniser.embedding import probe

    embedder = Embedder(start.backbone, start.transforms, views=views)
    if start.own_weights:
        _save_trunk(start.backbone, folder / BACKBONE_FILE)
    network = BackboneState(
        name=start.name,
        options=dict(start.options),
        weights=BACKBONE_FILE if start.own_weights else "pretrained",
        preprocessing=dict(start.transforms.description),
        views=views,  # type: ignore[arg-type]
        dim=embedder.dim,
        fingerprint=embedder.fingerprint,
        probe=probe(embedder),
    )
    base = None
    if start.base is not None:
        base, classifier = _base_state(folder, start.base, classifier)
    chosen = classifier or ClassifierState(name="nearest_mean")
    return State(number=0, backbone=network, base=base, classifier=chosen, thumbnails=thumbnails)


def _base_state(folder: Path, base: BaseClasses, asked: ClassifierState | None) -> tuple[BaseState, ClassifierState]:
    from lowshot.registry import CLASSIFIERS

    name = CLASSIFIERS.name_of(type(base.classifier))
    if asked is not None and asked.name != name:
        raise InputError(
            f"the base classes were learned by {name}: no other classifier ({asked.name}) can take them over"
        )
    names = [checked_name(one.replace("/", "∕")) for one in base.names]
    save_classifier(base.classifier, folder / BASE_FILE)
    state = BaseState(
        origin=base.origin, names=_distinct(names), biases={str(n): bias for n, bias in base.biases.items()}
    )
    return state, ClassifierState(name=name, given=True, reason="the base classes were learned by it")


def _distinct(names: Sequence[str]) -> list[str]:
    """Names with a number behind those that others have already, as two kinds of crane in ImageNet."""
    found: list[str] = []
    for name in names:
        number, own = 2, name
        while own in found:
            own, number = f"{name} ({number})", number + 1
        found.append(own)
    return found


def _save_trunk(backbone: Backbone, path: Path) -> None:
    import safetensors.torch

    from lowshot.files import write_bytes

    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in backbone.trunk.state_dict().items()}
    write_bytes(path, safetensors.torch.save(state))
