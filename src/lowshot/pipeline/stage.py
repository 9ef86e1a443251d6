"""A stage of a recipe: what it depends on, what it writes, and how its work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lowshot.files import fingerprint
from lowshot.parallel import Engine, TaskGroup

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
        outputs (tuple of Path): The files that later stages read; they must exist afterwards, and are this stage's
            alone.
        action (callable): Does the work.
        distributed (callable): Does the work of ``action`` on an engine, where the user asks for a Ray cluster.
        tasks (callable): Makes the tasks of the work, in place of ``action``.
        shared (tuple of Path): Files that several stages write together; they must exist afterwards.
        side_outputs (callable): Lists the further files that the work left, such as logs: this stage's alone as well.
        irreplaceable (tuple of Path): Side outputs that nothing but the whole work could write again; the stamp has a
            copy of their text.
        show (callable): Prints the results to standard output, after the stage; called with True where the stage ran or
            was asked for alone.
        collective (bool): True where every rank of a torchrun or SLURM launch takes part; other stages use one rank.
        resumes (bool): True where the work goes on from files that an earlier run left, so that those of them which
            are damaged must be out of its way.
        left (callable): Says what an interrupted run has left to go on from, such as ``3 of 8 epochs``; empty where it
            has left nothing.
    """

    kind: str
    subject: str
    inputs: Mapping[str, Any]
    needs: tuple[Stage, ...]
    outputs: tuple[Path, ...]
    action: Callable[[], None] | None = field(default=None, compare=False)
    distributed: Callable[[Engine], None] | None = field(default=None, compare=False)
    tasks: Callable[[], TaskGroup] | None = field(default=None, compare=False)
    shared: tuple[Path, ...] = ()
    side_outputs: Callable[[], Iterable[Path]] = field(default=tuple, compare=False)
    irreplaceable: tuple[Path, ...] = ()
    show: Callable[[bool], None] = field(default=lambda asked: None, compare=False)
    collective: bool = False
    resumes: bool = False
    left: Callable[[], str] = field(default=str, compare=False)

    @property
    def key(self) -> str:
        """Kind and subject, as messages and commands name the stage."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the inputs and of the stages it needs: a change upstream reaches everything downstream."""
        return fingerprint(self.kind, dict(self.inputs), [stage.fingerprint for stage in self.needs])
