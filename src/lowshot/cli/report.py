"""``lowshot report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowshot.cli.options import DryRun, Force


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|RESULTS",
            help="A recipe, with KEY=VALUE changes if any; or result stores: folders with results.jsonl, .jsonl files.",
        ),
    ],
    force: Force = False,
    dry_run: DryRun = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the recipe's results, or for the comparison of result stores."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Accuracy to show, such as all_top5; repeatable.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also compare with the published tables of Hariharan & Girshick.")
    ] = False,
) -> None:
    """Print the tables and write report.html, PNG, PDF, Markdown and CSV, of a recipe or of several result stores.

    Result stores are compared, whoever made them; where data or draws of shots differ, the report says so. Examples:

      lowshot report cifar100 data.root=cifar100.zip --paper
      lowshot report runs/cifar100 runs/other/results.jsonl --metric all_top5 -o runs/comparison
    """
    from lowshot.pipeline.report_command import report_on

    report_on(sources, force=force, dry_run=dry_run, output=output, metrics=metric or (), paper=paper)
