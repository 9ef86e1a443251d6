"""``lowshot suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowshot.escaping import printable
from lowshot.files import exists


def suggest(
    recogniser: Annotated[
        Path, typer.Argument(metavar="RECOGNISER", help="Its folder; one that does not exist yet knows nothing.")
    ],
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Unlabelled photos, folders and zips.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of photos.")] = 20,
) -> None:
    """Say which unlabelled photos to label next: those that teach most, without repetitions.

    One name a line, the most useful first. Examples:

      lowshot suggest birds unlabelled/ -n 20

      lowshot suggest birds unlabelled/ -n 5 > next.txt
    """
    from lowshot.recogniser.before_teaching import first_photos
    from lowshot.recogniser.recogniser import Recogniser
    from lowshot.recogniser.suggestions import suggested_photos

    known = exists(recogniser)
    found = suggested_photos(Recogniser.load(recogniser), photos, n) if known else first_photos(photos, n)
    for name in found:
        typer.echo(printable(name))
    if len(found) < n:
        more = (
            f"no more than {len(found)} different photos that were not taught" if found else "all were taught already"
        )
        typer.echo(more, err=True)
