"""Pools that need no process, given to the scheduler by an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lowshot.parallel import Engine
from lowshot.parallel.engines import Call, Pool, WorkersLost


class InlinePool(Pool):
    """A pool that computes each call when its result is asked for.

    Attributes:
        reported (list of int): The number of tasks that each call ended, in order.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, deaths=())
        self.reported: list[int] = []

    def results(self, calls: Iterable[Call]) -> Iterator[Any]:
        for function, arguments in calls:
            result = function(*arguments)
            self.reported.append(len(result))
            yield result


class DyingPool(Pool):
    """A pool whose workers die at once.

    Attributes:
        rounds (list of int): The number of calls that each round of workers was handed.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, deaths=())
        self.rounds: list[int] = []

    def results(self, calls: Iterable[Call]) -> Iterator[Any]:
        self.rounds.append(len(list(calls)))
        raise WorkersLost("out of memory")
        yield


@dataclass(frozen=True)
class EngineWithPool(Engine):
    """An engine whose workers are those of a given pool.

    Attributes:
        given (Pool): The pool.
    """

    given: Pool = field(kw_only=True)

    @contextlib.contextmanager
    def pool(self) -> Iterator[Pool]:
        yield self.given
