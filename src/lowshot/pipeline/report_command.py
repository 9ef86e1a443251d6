"""The command ``lowshot report``: the report of a recipe, or of result stores side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import is_file, is_folder
from lowshot.pipeline.runner import run_recipe
from lowshot.recipe import find_recipe

COMPARISON = Path("runs") / "comparison"
"""The folder for the report of several stores, unless another one is named."""


def report_on(
    sources: Sequence[str],
    *,
    force: bool = False,
    dry_run: bool = False,
    output: Path | None = None,
    metrics: Sequence[str] = (),
    paper: bool = False,
) -> None:
    """Run the report stage of a recipe, or compare result stores.

    Args:
        sources (sequence of str): A recipe and ``KEY=VALUE`` changes to it; or folders with ``results.jsonl`` and
            ``.jsonl`` files.
        force (bool): Write a recipe's report again where it is up to date.
        dry_run (bool): Print whether a recipe's report would be written and why, and change nothing.
        output (Path): The folder of the recipe's results, or for the report of the stores.
        metrics (sequence of str): Accuracies to show; all that were measured when empty.
        paper (bool): Also set the results beside the published tables of Hariharan & Girshick.

    Raises:
        InputError: Recipe and stores mixed, or any error of the two.
    """
    from lowshot.report.comparison import write_store_report

    stores = [source for source in sources if is_store(source)]
    if len(stores) == len(sources):
        if dry_run:
            raise InputError("--dry-run is for the stages of a recipe: the report of result stores is always written")
        write_store_report(stores, output or COMPARISON, metrics or None, paper)
        return
    recipe, *changes = sources
    if stores:
        others = [source for source in sources if source not in stores]
    else:
        others = [change for change in changes if "=" not in change]
    if others:
        raise InputError(
            f"{others[0]} is no result store: give either one recipe with KEY=VALUE changes, or result stores alone "
            "(folders with results.jsonl, .jsonl files); a recipe's results are in runs/NAME"
        )
    try:
        find_recipe(recipe)
    except InputError as error:
        raise InputError(
            f"{recipe} is neither results (a folder with results.jsonl, such as runs/NAME, or a .jsonl file) nor a "
            f"recipe: {error}"
        ) from None
    values: dict[str, Any] = {"report.metrics": list(metrics)} if metrics else {}
    values |= {"report.paper": True} if paper else {}
    run_recipe(recipe, changes, values=values, only="report", force=force, dry_run=dry_run, output=output)


def is_store(source: str) -> bool:
    """True for results, False for a recipe (which may share a folder's name)."""
    path = Path(source)
    return path.suffix == ".jsonl" or is_file(path / "results.jsonl") or (is_folder(path) and os.sep in source)
