"""``lowshot demo``."""

from __future__ import annotations

from lowshot.cli.app import app
from lowshot.cli.options import ENGINE, Walk, walks


@app.command()
@walks("overrides", "output", *ENGINE, recipe="glyphs")
def demo(walk: Walk) -> None:
    """Walk the whole road on the embedded data set, in a few minutes on two cores. Nothing is downloaded.

    The same as [bold]lowshot run glyphs[/]: renders characters as a camera would see them, trains two
    representations, extracts features, learns the novel characters from 1 to 20 pictures each, prints the table and
    writes report/report.html.
    """
    walk()
