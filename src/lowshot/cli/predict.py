"""``lowshot predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder, or an exported .onnx file.")],
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Photos, folders of photos and zips.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of the answers: .csv, .jsonl or .parquet (default: a table here)."),
    ] = None,
) -> None:
    """Say what photos show: the class, its probability, the runner-up, and whether it is none of the classes.

    A photo that cannot be decoded gets a row with its error, and the others their answers. The columns are file, class,
    probability, runner_up, runner_up_probability, unknown, nearest (the most similar taught photo), similarity, error.
    Examples:

      lowshot predict birds new.jpg

      lowshot predict birds holiday/ -o answers.csv
    """
    from lowshot.recogniser.prediction import predict_to_file, predict_to_terminal

    if output is None:
        predict_to_terminal(recogniser, photos)
    else:
        predict_to_file(recogniser, photos, output)
