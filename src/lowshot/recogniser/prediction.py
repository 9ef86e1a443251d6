"""Answers for many photos, written to a file: in parts that survive a kill, here or on the workers of an engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.errors import InputError
from lowshot.files import atomic_path, fingerprint, is_file, read_json, require_writable, resolved, write_json
from lowshot.parallel import Engine, run_tasks
from lowshot.progress import progress, say
from lowshot.recogniser.answers import COLUMNS, Answer, write_csv, write_jsonl
from lowshot.recogniser.opening import open_recogniser
from lowshot.recogniser.photos import Photo, PhotoList, photos_at

if TYPE_CHECKING:
    from lowshot.recogniser.onnx_model import OnnxRecogniser
    from lowshot.recogniser.recogniser import Recogniser

PART = 1000
"""The number of photos whose answers are lost at most when the program is killed, per worker."""

SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Summary:
    """What was answered.

    Attributes:
        photos (int): The number of photos.
        unknown (int): Those that are like none of the classes.
        errors (int): Those that could not be decoded.
        first_error (str or None): The first of their errors.
    """

    photos: int
    unknown: int
    errors: int
    first_error: str | None


def predict_to_file(
    recogniser: str | Path, photos: Sequence[str], output: str | Path, engine: Engine | None = None
) -> Summary:
    """Write the answers for photos to a file.

    If the program is killed, the same call goes on where it was. Memory follows the batch and the names of the photos.

    Args:
        recogniser (path-like): The folder of the recogniser, or an exported ``.onnx`` file.
        photos (sequence of str): Photos, folders of photos, and zips.
        output (path-like): The file: ``.csv``, ``.jsonl`` or ``.parquet``.
        engine (Engine, optional): The engine whose workers share the photos; none answers here, on all cores.

    Raises:
        InputError: The file has another ending or cannot be written, a path does not exist, or no photo could be read.
    """
    target = Path(output)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"output {output}: expected a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if target.suffix.lower() == ".parquet":
        _pyarrow()
    require_writable(target, "output")
    opened = open_recogniser(recogniser)
    opened.require_classes()
    found = photos_at(photos)
    parts = target.parent / f".{target.name}.parts"
    _prepare(parts, opened, found)
    starts = [start for start in range(0, len(found), PART) if not is_file(_part(parts, start))]
    done = len(found) - sum(min(PART, len(found) - start) for start in starts)
    if done:
        say(f"{target}: {done} answers from an earlier call")
    if engine is None:
        with progress("predict", len(found), done) as tick:
            for start in starts:
                _write_part(opened, found[start : start + PART], _part(parts, start), tick)
    else:
        path = str(resolved(Path(recogniser)))
        tasks = [_Part(path, opened.fingerprint, found, start, str(parts)) for start in starts]
        run_tasks(tasks, engine)
    _join(parts, range(0, len(found), PART), target)
    summary = _summary(target, _answers(parts, range(0, len(found), PART)), len(found))
    shutil.rmtree(parts, ignore_errors=True)
    return summary


def summary_of(answers: Sequence[Answer]) -> Summary:
    """Count answers.

    Raises:
        InputError: None of the photos could be decoded.
    """
    return _summary(None, iter(answers), len(answers))


def _summary(target: Path | None, answers: Iterator[Answer], total: int) -> Summary:
    unknown = errors = 0
    first: str | None = None
    for answer in answers:
        unknown += bool(answer.unknown)
        errors += answer.error is not None
        first = first or answer.error
    if errors == total:
        raise InputError("no photo could be read" + (f": {first}; {target} says so of each" if target else ""))
    return Summary(total, unknown, errors, first)


@dataclass(frozen=True)
class _Part:
    """The task of answering the photos from ``start`` on, for a worker that sees the same files."""

    recogniser: str
    fingerprint: str
    photos: PhotoList
    start: int
    parts: str

    @property
    def key(self) -> str:
        return f"photos {self.start + 1} to {min(self.start + PART, len(self.photos))}"

    @property
    def group(self) -> str:
        return self.key

    @property
    def needs(self) -> Sequence[str]:
        return ()

    def run(self) -> None:
        photos = self.photos[self.start : self.start + PART]
        _write_part(_opened(self.recogniser, self.fingerprint), photos, _part(Path(self.parts), self.start))

    def __getstate__(self) -> dict[str, Any]:
        """Only its own photos travel to a worker."""
        own = self.photos[self.start : self.start + PART]
        return {**self.__dict__, "photos": _Window(own, self.start, len(self.photos))}


@dataclass(frozen=True)
class _Window:
    """Some consecutive photos of a longer list, under the numbers that they have there."""

    photos: list[Photo]
    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: slice) -> list[Photo]:
        return self.photos[index.start - self.first : index.stop - self.first]


@lru_cache(maxsize=1)
def _opened(recogniser: str, expected: str) -> Recogniser | OnnxRecogniser:
    opened = open_recogniser(recogniser)
    if opened.fingerprint != expected:
        raise InputError(
            f"recogniser {recogniser} was changed while it answered: start again, for answers of one state"
        )
    return opened


def _prepare(parts: Path, opened: Recogniser | OnnxRecogniser, photos: PhotoList) -> None:
    """Keep the parts of an earlier call of the same recogniser and photos; remove any others."""
    job = {"job": fingerprint(opened.fingerprint, PART, *(photo.name for photo in photos))}
    described = parts / "job.json"
    if not is_file(described) or read_json(described) != job:
        shutil.rmtree(parts, ignore_errors=True)
        write_json(described, job)


def _part(parts: Path, start: int) -> Path:
    return parts / f"{start:012d}.jsonl"


def _write_part(
    opened: Recogniser | OnnxRecogniser, photos: Sequence[Photo], path: Path, tick: Any = lambda steps: None
) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        for answer in opened.answers(photos):
            write_jsonl([answer], out)
            tick(1)


def _answers(parts: Path, starts: range) -> Iterator[Answer]:
    for start in starts:
        with open(_part(parts, start), encoding="utf-8") as file:
            for line in file:
                values = json.loads(line)
                yield Answer(class_=values.pop("class"), **values)


def _join(parts: Path, starts: range, target: Path) -> None:
    with atomic_path(target) as temporary:
        if target.suffix.lower() == ".parquet":
            _write_parquet(parts, starts, temporary)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as out:
            if target.suffix.lower() == ".csv":
                write_csv(_answers(parts, starts), out)
            else:
                for start in starts:
                    with open(_part(parts, start), encoding="utf-8") as file:
                        shutil.copyfileobj(file, out)


def _write_parquet(parts: Path, starts: range, path: Path) -> None:
    pyarrow, parquet = _pyarrow()
    kinds = {"probability": pyarrow.float64(), "runner_up_probability": pyarrow.float64()}
    kinds |= {"similarity": pyarrow.float64(), "unknown": pyarrow.bool_()}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in starts:
            rows = [answer.as_dict() for answer in _answers(parts, range(start, start + 1, PART))]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("Parquet needs the package pyarrow: pip install pyarrow; or write .csv or .jsonl") from None
    return pyarrow, parquet
