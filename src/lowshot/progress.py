"""The progress bar, which shows on a terminal only, and the lines that go to standard error around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from lowshot.escaping import printable


class SafeConsole(Console):
    """A console that prints names and paths as they are: ``:b:`` is no emoji, and an escape sequence has no effect."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = SafeConsole(stderr=True, soft_wrap=True)


NARROW = 100
"""On a terminal of fewer columns a bar is short and the time that has passed is left out, so that the note has room."""


class Tick(Protocol):
    """Advances a progress bar by ``steps``; ``note`` is a short text after the bar, such as a loss."""

    def __call__(self, steps: int = 1, note: str | None = None) -> None: ...


@contextmanager
def progress(title: str, total: int | None, done: int = 0, enabled: bool = True) -> Iterator[Tick]:
    """Show a progress bar and yield the function that advances it, a :class:`Tick`.

    Args:
        title (str): The text before the bar.
        total (int or None): The number of steps; None when it is not known.
        done (int): The number of steps that an earlier run finished.
        enabled (bool): False shows nothing.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda steps=1, note=None: None
        return
    with Progress(*_columns(console.width < NARROW), console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done, note="")

        def tick(steps: int = 1, note: str | None = None) -> None:
            if note is None:
                bar.update(task, advance=steps)
            else:
                bar.update(task, advance=steps, note=note)

        yield tick


class _Note(ProgressColumn):
    """The note of a bar in what room is left of the line, cut where that is too little."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], style="dim", no_wrap=True, overflow="ellipsis")


def _columns(narrow: bool) -> list[ProgressColumn]:
    """The parts of a bar, of which the note alone gives way where the line is too short."""
    elapsed = [] if narrow else [TimeElapsedColumn(table_column=Column(no_wrap=True))]
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(10 if narrow else 30, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        *elapsed,
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        _Note(),
    ]


def say(message: str, style: str | None = None) -> None:
    """Print one line for a person to standard error, such as what a stage did, skipped or found."""
    console.print(message, style=style, markup=False)
