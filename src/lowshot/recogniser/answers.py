"""Answers of a recogniser, and the files that they are written to."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TextIO

from lowshot.escaping import csv_cell, printable


@dataclass(frozen=True)
class Answer:
    """What a recogniser says about a photo.

    Attributes:
        file (str): The name of the photo.
        class_ (str or None): The likeliest class, also where ``unknown`` is true; None where there is an error.
        probability (float or None): Its probability.
        runner_up (str or None): The second likeliest class; None where the recogniser knows one class alone.
        runner_up_probability (float or None): Its probability.
        unknown (bool or None): True where the photo is like none of the classes.
        nearest (str or None): The taught photo that is most similar, as ``CLASS/FILE``.
        similarity (float or None): The cosine of the two features, at most 1.
        error (str or None): The reason why there is no answer.
    """

    file: str
    class_: str | None = None
    probability: float | None = None
    runner_up: str | None = None
    runner_up_probability: float | None = None
    unknown: bool | None = None
    nearest: str | None = None
    similarity: float | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields under the names that files and the web API have, with four decimals."""
        values = dataclasses.asdict(self)
        return {
            name.rstrip("_"): round(value, 4) if isinstance(value, float) else value for name, value in values.items()
        }


COLUMNS = tuple(field.name.rstrip("_") for field in dataclasses.fields(Answer))
"""The names of the fields in CSV, JSON and Parquet."""


def write_csv(answers: Iterable[Answer], out: TextIO, header: bool = True) -> None:
    """Write answers as CSV. No cell is a formula to a spreadsheet."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    for answer in answers:
        writer.writerow({name: _cell(value) for name, value in answer.as_dict().items()})


def write_jsonl(answers: Iterable[Answer], out: TextIO) -> None:
    """Write answers as JSON lines."""
    for answer in answers:
        values = answer.as_dict()
        values["file"] = printable(values["file"])
        out.write(json.dumps(values, ensure_ascii=False) + "\n")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return csv_cell(value)
