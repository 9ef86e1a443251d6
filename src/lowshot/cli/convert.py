"""``lowshot convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lowshot.escaping import printable


def convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file, a folder of results, or a pattern: splitfile_{:d}.json.")
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="The file to write; for results a folder, for experiments a pattern."),
    ],
    to: Annotated[
        Literal["original", "lowshot"] | None,
        typer.Option("--to", help="The program whose format is written (default: the one that SOURCE is not of)."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The network a checkpoint must hold, such as ResNet10.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option("--features", help="Train features that experiments are checked against.")
    ] = None,
    setup: Annotated[
        Literal["val", "test"],
        typer.Option("--setup", help="The setup of results, which the original's files do not state."),
    ] = "test",
    query_steps: Annotated[
        int, typer.Option("--query-steps", min=1, help="Number of query steps K of a matching network.")
    ] = 5,
    names: Annotated[
        tuple[str, str] | None,
        typer.Option("--names", help="Names that the original's module gives its LSTM and its LSTM cell."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a target that exists.")] = False,
) -> None:
    """Turn files of the original program into lowshot's, and back. The kind of SOURCE is recognised by its content.

    It may be a checkpoint, a generator, a matching network, features, a class split, experiments or results. No code
    in a file is ever run; a target appears whole or not at all; what it has no place for is listed. Examples:

      lowshot convert checkpoints/ResNet10_sgm/89.tar sgm.ckpt --model ResNet10

      lowshot convert sgm.ckpt 89.tar

      lowshot convert generation/ResNet10_sgm/generator.tar analogies.safetensors

      lowshot convert old/train.hdf5 features/train.hdf5

      lowshot convert 'old/{:d}.json' 'new/{:d}.json' --features train.hdf5

      lowshot convert results/ results.jsonl --setup test
    """
    from lowshot.compat import convert as conversion
    from lowshot.compat.formats.matching_network import Names

    options = conversion.Options(model, features, setup, query_steps, Names(*names) if names else None)
    done = conversion.convert(source, target, to, options, force)
    whose = "the original program" if done.to == "original" else "lowshot"
    typer.echo(printable(f"{source}: {done.what}\n{target}: the same for {whose}"))
    for note in done.notes:
        typer.echo(printable(f"  note: {note}"))
