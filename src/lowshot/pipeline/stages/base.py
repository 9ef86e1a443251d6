"""A stage of a recipe: what it depends on, what it writes, and how its work is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lowshot.files import fingerprint
from lowshot.parallel import TaskGroup

KINDS = ("split", "train", "extract", "fit-generator", "fit-classifier", "tune", "evaluate", "episodes", "report")


@dataclass(frozen=True)
class Stage:
    """One piece of work of a plan, done in one of two ways.

    With an ``action`` it is one call in this process. With ``tasks`` it is many tasks: neighbours of the same kind that
    are due run together (:func:`lowshot.parallel.run_groups`), on the engine that the user chose. ``tasks`` is called
    when everything that the stage needs is there; it returns the tasks that earlier runs have not finished, with
    ``on_done`` that writes a task's result at once and ``finish`` that writes the outputs of the stage. After a kill it
    is called again and finds in its own files what is left to do.

    Attributes:
        kind (str): One of ``KINDS``.
        subject (str): The object of the work, e.g. a representation; part of the key.
        inputs (dict): JSON-like values that the result depends on.
        needs (tuple of Stage): The stages whose results it reads.
        outputs (tuple of Path): The files that must exist afterwards.
        action (callable): Does the work.
        tasks (callable): Makes the tasks of the work, in place of ``action``.
        damage (callable): Says what has become of the outputs since they were written; None while they are intact.
    """

    kind: str
    subject: str
    inputs: Mapping[str, Any]
    needs: tuple[Stage, ...]
    outputs: tuple[Path, ...]
    action: Callable[[], None] | None = field(default=None, compare=False)
    tasks: Callable[[], TaskGroup] | None = field(default=None, compare=False)
    damage: Callable[[], str | None] = field(default=lambda: None, compare=False)

    @property
    def key(self) -> str:
        """Kind and subject, as messages and commands name the stage."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the inputs and of the stages it needs: a change upstream reaches everything downstream."""
        return fingerprint(self.kind, dict(self.inputs), [stage.fingerprint for stage in self.needs])
