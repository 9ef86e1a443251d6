"""The JSON of the API. The fields of an answer have the names that the files of ``lowshot predict`` have."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class Choice(_Part):
    """A class and its probability."""

    class_: str = Field(alias="class")
    probability: float


class Neighbour(_Part):
    """A taught photo that is similar: ``photo`` is ``CLASS/FILE``, ``digest`` the address of its small picture."""

    photo: str
    class_: str = Field(alias="class")
    digest: str
    similarity: float


class AnswerBody(_Part):
    """What the recogniser says about a photo; ``error`` says why there is no answer."""

    file: str
    class_: str | None = Field(alias="class")
    probability: float | None
    runner_up: str | None
    runner_up_probability: float | None
    unknown: bool | None
    nearest: str | None
    similarity: float | None
    error: str | None
    top: list[Choice] | None = Field(None, description="The likeliest classes; only where `top` was asked for.")
    neighbours: list[Neighbour] | None = Field(
        None, description="The most similar taught photos; only where `nearest` was asked for."
    )


class Answers(_Part):
    """The answers for photos, in order, all of one state."""

    state: int
    answers: list[AnswerBody]


class ClassItem(_Part):
    """A class: the number of its photos, whether it was known before any was taught, and some small pictures."""

    name: str
    photos: int
    base: bool
    thumbnails: list[str] = Field(description="The digests of the first photos that have a small picture.")


class Classes(_Part):
    """All classes, and the change that POST /undo would take back."""

    state: int
    undo: str | None
    classes: list[ClassItem]


class TaughtPhoto(_Part):
    """A taught photo as ``CLASS/FILE``, and its digest."""

    photo: str
    digest: str


class ClassPhotos(_Part):
    """One class with its photos."""

    state: int
    name: str
    base: bool
    photos: list[TaughtPhoto]


class Taught(_Part):
    """What was taught: photos per class, the classes that are new, and a line for each photo that was left out."""

    state: int
    added: dict[str, int]
    new: list[str]
    repeated: list[str]
    unreadable: list[str]
    undo: str | None


class Changed(_Part):
    """The state after a change, and the change that POST /undo would take back."""

    state: int
    undo: str | None


class Undone(Changed):
    """The state after an undo, and what was undone."""

    undone: str


class NewName(_Part):
    """The new name of a class."""

    name: str


class OtherClass(_Part):
    """The class that a photo goes to."""

    class_: str = Field(alias="class")


class Token(_Part):
    """The token of the server."""

    token: str


class Health(_Part):
    """The state of the server. Without a token, where one is needed, ``status``, ``version`` and ``token`` alone."""

    status: Literal["ok", "stale"]
    version: str
    token: bool = Field(description="True where a token is needed.")
    detail: str | None = Field(None, description="Why the state is stale: the folder cannot be read any more.")
    recogniser: str | None = None
    classes: int | None = None
    photos: int | None = None
    state: int | None = None
    read_only: bool | None = None
    kind: Literal["folder", "onnx"] | None = None


class Fix(_Part):
    """A request that mends a finding."""

    label: str
    method: Literal["PATCH", "DELETE"]
    path: str
    body: dict[str, Any] | None


class FindingBody(_Part):
    """Something to look at."""

    kind: str
    photos: list[str]
    digests: list[str]
    classes: list[str]
    text: str
    advice: str
    fixes: list[Fix]


class Accuracy(_Part):
    """The accuracy to expect by leave-one-out over ``n`` photos, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


class CheckBody(_Part):
    """The findings about the taught photos, the gravest first."""

    state: int
    findings: list[FindingBody]
    accuracy: Accuracy | None
    not_checked: list[str]
