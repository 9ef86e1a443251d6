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
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from lowshot.escaping import printable


class SafeConsole(Console):
    """A console that prints names and paths as they are: ``:b:`` is no emoji, and an escape sequence has no effect."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = SafeConsole(stderr=True, soft_wrap=True)


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
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done, note="")

        def tick(steps: int = 1, note: str | None = None) -> None:
            if note is None:
                bar.update(task, advance=steps)
            else:
                bar.update(task, advance=steps, note=note)

        yield tick


def say(message: str, style: str | None = None) -> None:
    """Print one line for a person to standard error, such as what a stage did, skipped or found."""
    console.print(message, style=style, markup=False)
