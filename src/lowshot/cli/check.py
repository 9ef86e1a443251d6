"""``lowshot check``."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowshot.errors import counted
from lowshot.escaping import printable

if TYPE_CHECKING:
    from lowshot.recogniser.findings import Report


def check(
    what: Annotated[
        Path, typer.Argument(metavar="RECOGNISER|PHOTOS", help="A recogniser, or labelled photos to look at before.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="Findings of a kind that are listed.")] = 20,
) -> None:
    """Find photos and classes to look at: wrong labels, duplicates, poor pictures, confused classes, too few photos.

    A label is doubted where the others of its class speak against it. Every finding says what mends it, as options of
    `lowshot classes`. Nothing is changed. Examples:

      lowshot check birds

      lowshot check photos/
    """
    from lowshot.recogniser.before_teaching import check_photos
    from lowshot.recogniser.findings import check_recogniser
    from lowshot.recogniser.folder import is_recogniser
    from lowshot.recogniser.recogniser import Recogniser

    report = check_recogniser(Recogniser.load(what)) if is_recogniser(what) else check_photos(what)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1, ensure_ascii=True))
    else:
        typer.echo(printable(listing(report, most, what if is_recogniser(what) else None)))


def listing(report: Report, most: int, recogniser: Path | None) -> str:
    """A report in lines for people."""
    size = f"{counted(report.photos, 'photo')} of {counted(report.classes, 'class')}"
    lines = [f"{size}; expected accuracy {report.accuracy}"]
    for kind, group in groupby(report.findings, key=lambda finding: finding.kind):
        found = list(group)
        lines.append(f"\n{kind} ({len(found)})")
        for finding in found[:most]:
            fix = f"lowshot classes {recogniser} {finding.fix}" if finding.fix.startswith("--") else finding.fix
            shown = fix if recogniser is not None or not finding.fix.startswith("--") else ""
            lines.append(f"  {finding.text}" + (f"\n      {shown}" if shown else ""))
        if len(found) > most:
            lines.append(f"  and {len(found) - most} more (--most {len(found)})")
    if not report.findings:
        lines.append("nothing to look at")
    lines += [f"not checked: {reason}" for reason in report.not_checked]
    return "\n".join(lines)
