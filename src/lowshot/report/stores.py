"""The report of any number of result stores side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowshot.progress import say
from lowshot.report.comparison import Store, compare, open_stores
from lowshot.report.whole import Report


def write_store_report(
    sources: Sequence[str | Path], out_dir: Path, metrics: Sequence[str] | None = None, paper: bool = False
) -> Path:
    """Compare any number of result stores: print their tables side by side and write a report of them.

    Args:
        sources: folders with ``results.jsonl``, or ``.jsonl`` files.
        out_dir: for report.html and its companions.
        metrics: accuracies to show; by default all that were measured.
        paper: also set the results beside the published tables of Hariharan & Girshick.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: a source holds no results, or none has one of ``metrics``.
    """
    stores = open_stores(sources)
    found = compare(stores)
    report = Report(found.records, found.setup, metrics, found.natures if paper else None, found.episodes)
    page = report.write(
        out_dir,
        title=" · ".join(store.name for store in stores),
        description=f"Results of {len(stores)} store{'s' if len(stores) > 1 else ''} side by side.",
        training_logs={},
        examples=[],
        recipe_yaml="\n".join(f"# {store.path}\n{store.recipe_yaml}" for store in stores if store.recipe_yaml),
        provenance={store.name: _store_facts(store) for store in stores},
        notes=found.warnings,
        sections=[],
    )
    report.print()
    for warning in found.warnings:
        say(warning, style="yellow")
    say(f"report: {page}")
    return page


def _store_facts(store: Store) -> dict[str, Any]:
    last = max(store.records, key=lambda record: str(record.get("time") or ""))
    facts: dict[str, Any] = {key: last[key] for key in ("recipe", "seed", "versions", "host", "time") if key in last}
    return {"file": store.path, "records": len(store.records), **facts}
