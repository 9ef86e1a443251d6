"""What ``recogniser.json`` says: the one file that decides which state a recogniser is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lowshot.errors import InputError
from lowshot.recogniser.class_names import check_distinct, checked_name

FORMAT = "lowshot-recogniser-1"

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class BackboneState(_Part):
    """The network that turns photos into features.

    Attributes:
        name (str): The registered name.
        options (dict): The options of the backbone.
        weights (str): The source of the weights: ``"pretrained"``, the ones that come with the name, or the file in
            the recogniser's folder.
        preprocessing (dict): What turns a photo into the network's input.
        views (str): The views of a photo whose mean feature is taken.
        dim (int): D, the width of the features.
        fingerprint (str): The fingerprint of weights, preprocessing and views.
        probe (list of float): A summary of the feature of a test picture, by which another version of a library, where
            fingerprints differ, still knows the same network.
    """

    name: str
    options: dict[str, Any] = {}
    weights: Literal["pretrained", "backbone.safetensors"] = "pretrained"
    preprocessing: dict[str, Any]
    views: Literal["one", "flip", "five_crop", "ten_crop", "affine"] = "one"
    dim: Annotated[int, Field(ge=1)]
    fingerprint: str
    probe: list[float] = []


class BaseState(_Part):
    """The base classes, which the recogniser knew before it was taught anything.

    Attributes:
        origin (str): The place that they come from, such as ``imagenet`` or a recipe's folder.
        names (list of B str): The present names, in the order of the classifier in ``base.safetensors``.
        removed (list of int): The indices of base classes that are no answers.
        biases (dict): Number of shots → what is added to the scores of taught classes with about that many; empty
            where it is chosen from the shots.
    """

    origin: str
    names: list[str]
    removed: list[Count] = []
    biases: dict[str, float] = {}

    @model_validator(mode="after")
    def _consistent(self) -> BaseState:
        if not all(key.isdigit() for key in self.biases):
            raise ValueError("the keys of biases must be numbers of shots")
        return self

    def bias_for(self, n_shots: float) -> float | None:
        """The bias for about this many shots a class; None where none was chosen before."""
        known = sorted((abs(int(n) - n_shots), int(n)) for n in self.biases)
        return self.biases[str(known[0][1])] if known else None


class ClassState(_Part):
    """A class that was taught.

    Attributes:
        id (int): The label of its shots.
        name (str): Its present name.
    """

    id: Count
    name: str


class ClassifierState(_Part):
    """The classifier.

    Attributes:
        name (str): The registered name.
        params (dict): Its parameters.
        given (bool): True where the user chose it.
        reason (str): Why it was chosen, in a sentence.
        digest (str): The digest of ``classifier.safetensors`` where that file holds it as fitted.
    """

    name: str
    params: dict[str, Any] = {}
    given: bool = False
    reason: str = ""
    digest: str = ""


class Estimate(_Part):
    """The accuracy by leave-one-out over the shots.

    Attributes:
        accuracy (float): The fraction of shots that are recognised by the others.
        low (float): The lower end of its 95 % interval.
        high (float): The upper end.
        shots (int): The number of shots that were left out in turn.
        classes (dict): Class → its own fraction.
    """

    accuracy: float
    low: float
    high: float
    shots: Count
    classes: dict[str, float] = {}


class Change(_Part):
    """A change: its number, its time in UTC and what was done, in words."""

    number: Count
    time: str
    what: str


class State(_Part):
    """A state of a recogniser.

    Attributes:
        format (str): The version of this format.
        number (int): The number of the change that led here.
        parent (int or None): The number of the state that undoing leads back to.
        backbone (BackboneState): The network.
        base (BaseState or None): The base classes.
        classes (list of ClassState): The taught classes, sorted by name.
        next_id (int): The label of the next new class.
        rows (int): The number of rows of the shots that belong to this state.
        removed (list of int): Those of them that do not count any more.
        classifier (ClassifierState): The classifier.
        bias (float): What is added to the scores of taught classes, beside base classes.
        temperature (float): The number that scores are divided by before their softmax gives probabilities.
        unknown_at (float): The highest cosine to a class mean below which a photo is "unknown".
        unknown_given (bool): True where the user chose it.
        unknown_rate (float or None): The fraction of the shots that the threshold takes for unknown, by leave-one-out.
        passed_rate (float or None): The fraction of the shots that pass the threshold where their class is not known.
        estimate (Estimate or None): The accuracy by leave-one-out; None where no class has two shots.
        thumbnails (bool): True where small pictures of the shots are kept.
        history (list of Change): The last changes, newest last.
    """

    format: Literal["lowshot-recogniser-1"] = "lowshot-recogniser-1"
    number: Count
    parent: Count | None = None
    backbone: BackboneState
    base: BaseState | None = None
    classes: list[ClassState] = []
    next_id: Count = 0
    rows: Count = 0
    removed: list[Count] = []
    classifier: ClassifierState
    bias: float = 0.0
    temperature: Annotated[float, Field(gt=0)] = 1.0
    unknown_at: Annotated[float, Field(ge=-1, le=1)] = -1.0
    unknown_given: bool = False
    unknown_rate: float | None = None
    passed_rate: float | None = None
    estimate: Estimate | None = None
    thumbnails: bool = True
    history: list[Change] = []

    @model_validator(mode="after")
    def _consistent(self) -> State:
        ids = [one.id for one in self.classes]
        if len(set(ids)) < len(ids) or max(ids, default=-1) >= self.next_id:
            raise ValueError("the ids of classes must differ and lie below next_id")
        if max(self.removed, default=-1) >= self.rows or len(set(self.removed)) < len(self.removed):
            raise ValueError("removed must name different rows")
        if self.base is not None and max(self.base.removed, default=-1) >= len(self.base.names):
            raise ValueError("base.removed must name base classes")
        taught = [one.name for one in self.classes]
        for name in taught:
            if checked_name(name) != name:
                raise ValueError(f"class name {name!r} is not in its normal form")
        if len(set(taught)) < len(taught):
            raise ValueError("a class name is listed twice")
        check_distinct(taught)
        return self

    @property
    def id_of(self) -> Mapping[str, int]:
        """Class name → label, of the taught classes."""
        return {one.name: one.id for one in self.classes}


def parse_state(content: Any, source: str) -> State:
    """Check the content of a ``recogniser.json``.

    Args:
        content (object): The parsed JSON.
        source (str): The noun for the file in error messages.

    Raises:
        InputError: It is of a newer version of lowshot, no recogniser's, or not as lowshot writes it.
    """
    if not isinstance(content, dict) or not isinstance(content.get("format"), str):
        raise InputError(f"{source} is no recogniser's: it needs the key 'format'")
    if content["format"] != FORMAT:
        newer = content["format"].startswith("lowshot-recogniser-")
        raise InputError(
            f"{source} has the format {content['format']!r}, and this version of lowshot reads {FORMAT!r}"
            + (": it was written by a newer one; update lowshot (pip install --upgrade lowshot)" if newer else "")
        )
    try:
        return State.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"{source} is not as lowshot writes it: {where}: {first['msg']}. Restore it from a copy, or copy the "
            "newest file of its folder 'history' over it"
        ) from None
