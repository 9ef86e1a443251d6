"""``lowshot predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowshot.cli.options import Address, Workers
from lowshot.errors import InputError, counted
from lowshot.escaping import printable

if TYPE_CHECKING:
    from lowshot.recogniser import Answer
    from lowshot.recogniser.prediction import Summary


def predict(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder, or an exported .onnx file.")],
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Photos, folders of photos and zips.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of the answers: .csv, .jsonl or .parquet (default: lines here)."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="serial|loky|ray",
            help="With -o: answer in worker processes (loky) or on a Ray cluster (default: here, on all cores).",
        ),
    ] = None,
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Say what photos show: the class, its probability, the runner-up, and whether it is none of the classes.

    A photo that cannot be decoded gets a row with its error, and the others their answers. The columns are file, class,
    probability, runner_up, runner_up_probability, unknown, nearest (the most similar taught photo), similarity, error.
    Written to a file, a call that was interrupted goes on where it was. Examples:

      lowshot predict birds new.jpg

      lowshot predict birds holiday/ -o answers.csv

      lowshot predict birds /archive -o answers.parquet --engine ray --workers 32
    """
    from lowshot.parallel.engines import Engine
    from lowshot.recogniser.prediction import predict_to_file, summary_of

    if output is None:
        if engine or workers or address:
            raise InputError("--engine, --workers and --address go with --output: they share out the parts of a file")
        from lowshot.recogniser.opening import open_recogniser
        from lowshot.recogniser.photos import photos_at

        opened = open_recogniser(recogniser)
        opened.require_classes()
        answers = []
        for answer in opened.answers(photos_at(photos)):
            typer.echo(printable(line(answer)), err=answer.error is not None)
            answers.append(answer)
        summary = summary_of(answers)
        if summary.errors:
            print(_unread(summary), file=sys.stderr)
        return
    chosen = Engine(engine or "loky", workers, address) if engine or workers or address else None
    summary = predict_to_file(recogniser, photos, output, chosen)
    typer.echo(printable(f"{output}: {counted(summary.photos, 'photo')}, {summary.unknown} of them unknown"))
    if summary.errors:
        print(printable(f"{_unread(summary)}, such as: {summary.first_error}"), file=sys.stderr)


def line(answer: Answer) -> str:
    """An answer for people.

    Of an unknown photo it has no probabilities: they compare the known classes with each other, and would look like
    certainty.
    """
    if answer.error is not None:
        return f"{answer.file}: {answer.error}"
    assert answer.probability is not None
    near = "" if answer.nearest is None else f"  (nearest: {answer.nearest}, {answer.similarity:.2f})"
    second = answer.runner_up if (answer.runner_up_probability or 0) >= 0.005 else None
    if answer.unknown:
        return f"{answer.file}: unknown, most like {answer.class_}{f' or {second}' if second else ''}{near}"
    also = f", or {second} {100 * (answer.runner_up_probability or 0):.0f} %" if second else ""
    return f"{answer.file}: {answer.class_} {100 * answer.probability:.0f} %{also}{near}"


def _unread(summary: Summary) -> str:
    return f"{summary.errors} of {counted(summary.photos, 'photo')} could not be read"
