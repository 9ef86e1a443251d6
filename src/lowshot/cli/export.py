"""``lowshot export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowshot.escaping import printable


def export(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE.onnx", help="The file to write.")],
) -> None:
    """Write a recogniser as one ONNX file, for programs and devices without lowshot.

    The file takes the pixels of photos and gives probabilities; normalisation, network and classifier are inside, class
    names and preprocessing in its metadata. Before it is kept, its answers are compared with the recogniser's. Needs
    pip install 'lowshot\\[onnx]'. docs/export.md shows how to use it. Examples:

      lowshot export birds --onnx birds.onnx

      lowshot predict birds.onnx new.jpg
    """
    from lowshot.recogniser import Recogniser

    opened = Recogniser.load(recogniser)
    done = opened.export_onnx(onnx)
    size = done.path.stat().st_size / 1e6
    typer.echo(
        printable(
            f"{onnx}: {len(opened.classes)} classes, {size:.1f} MB. Its answers are the recogniser's: on the features "
            f"of {done.photos} taught photos and from pixels on for {done.images} images, probabilities differ by "
            f"{done.difference:.1e} at most"
        )
    )
