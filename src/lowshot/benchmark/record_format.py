"""The entries of a result record that lowshot counts, sorts, shows or looks up by, with their types.

Other entries may hold anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_Count = Annotated[int, Field(ge=1, le=2**31)]
_Number = int | float
_ACCURACY = re.compile(r".*_top\d+|accuracy|half_width")
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number from 1",
    "greater_than_equal": "a whole number from 1",
    "less_than_equal": "a whole number below 2147483648",
    "float_type": "a number",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "a list",
    "missing": "an entry of that name",
}


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class _Data(_Part):
    train: str
    test: str
    split: str
    base: _Count
    novel: _Count


class _Example(_Part):
    row: Annotated[int, Field(ge=0)]
    true: Annotated[int, Field(ge=0)]
    predicted: Annotated[int, Field(ge=0)]


_Label = Annotated[int, Field(ge=0, le=2**31)]


class _Classes(_Part):
    base: list[_Label]
    novel: list[_Label]


class _AnsweredAs(_Part):
    base: Annotated[list[_Label], Field(min_length=3, max_length=3)]
    novel: Annotated[list[_Label], Field(min_length=3, max_length=3)]


class _Record(_Part):
    unit: str
    unit_size: _Count
    task: str = ""
    representation: str = ""
    method: str = ""
    classifier: str = ""
    setup: str = ""
    shots: str = ""
    features: str = ""
    recipe: str | None = None
    part: str = ""
    tasks: str = ""
    time: str | None = None
    n_shots: _Count = 1
    experiment: _Count = 1
    n_way: _Count = 1
    n_query: _Count = 1
    n_tasks: _Count = 1
    n_per_class: Annotated[int, Field(ge=0, le=2**31)] | None = None
    seconds: _Number = 0
    base_seconds: _Number = 0
    stage_seconds: _Number = 0
    prior: _Number | None = None
    params: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    data: _Data = Field(None, validate_default=False)  # type: ignore[assignment]
    examples: list[_Example] = []
    training: _Count = 1
    answers: str = ""
    classes: _Classes = Field(None, validate_default=False)  # type: ignore[assignment]
    class_names: list[str] = []
    queries_by_class: list[_Label] = []
    top1_by_class: list[_Label] = []
    top5_by_class: list[_Label] = []
    novel_only_top1_by_class: list[_Label] = []
    novel_only_top5_by_class: list[_Label] = []
    all_prior_top1_by_class: list[_Label] = []
    all_prior_top5_by_class: list[_Label] = []
    answered_as: _AnsweredAs = Field(None, validate_default=False)  # type: ignore[assignment]
    answered_as_prior: _AnsweredAs = Field(None, validate_default=False)  # type: ignore[assignment]
    confusions: list[Annotated[list[_Label], Field(min_length=4, max_length=4)]] = []


_COUNTS = {
    *("classes", "answered_as", "answered_as_prior", "confusions"),
    *(name for name in _Record.model_fields if name.endswith("_by_class")),
}


def record_mistake(record: Any) -> str | None:
    """The first mistake in a record, as the end of an error message that begins with its place, or None."""
    if not isinstance(record, Mapping) or not {"unit", "unit_size"} <= record.keys():
        return " is not a record of lowshot"
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in mistake["loc"] if part not in ("int", "float"))
        expected = _EXPECTED.get(mistake["type"], mistake["msg"].lower())
        if str(mistake["loc"][0]) in ("seconds", "base_seconds", "stage_seconds", "prior"):
            expected = "a number"
        if mistake["loc"][0] in _COUNTS:
            expected = "what `lowshot evaluate` writes there: lists of whole numbers from 0, of its lengths,"
        return f": {key} is {_short(mistake['input'])}, but {expected} is expected"
    for key, value in record.items():
        if _ACCURACY.fullmatch(key) and not (value is None or type(value) in (int, float)):
            return f": {key} is {_short(value)}, but a number or null is expected"
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
