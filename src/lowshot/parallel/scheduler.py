"""Runs many tasks on an engine: results as they come, fresh workers after a death, a failure that ends no other task.

A task group is the tasks of one stage of a recipe, in the order in which they are handed out; a task comes after those
that it needs. Only the process that calls :func:`run_groups` receives results and writes files.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from lowshot.errors import InputError, LowshotError
from lowshot.exits import system_refusal
from lowshot.parallel.cache import clear_caches
from lowshot.parallel.engines import Call, Engine, WorkersLost, one_thread
from lowshot.plugins import packed, unpacked
from lowshot.progress import Tick, progress, say

# A worker reports once it has worked this long on what it was handed, so that a kill loses no more than that.
REPORT_SECONDS = 5.0
# Engine "auto" starts workers when what is left would take this process longer: starting them takes a third of it.
HANDOVER_SECONDS = 15.0
# A task fails when this many workers died while it was the only one that ran.
MAX_WORKER_DEATHS = 2


class Task(Protocol):
    """Work that can be pickled. ``run`` gets the results of the tasks whose keys it ``needs``; tasks of one ``group``
    share what a worker holds in memory and are handed out together."""

    @property
    def key(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def needs(self) -> Sequence[str]: ...

    def run(self, *needed: Any) -> Any: ...


@dataclass
class TaskGroup:
    """The tasks of one purpose.

    Attributes:
        name (str): The name in messages.
        tasks (sequence): The tasks that are left to do.
        on_done (callable): Called with each task and its result as soon as it is there.
        finish (callable): Called after the last task, with True when no other group is left.
        known (mapping): Results of tasks that were finished before, by key, as far as others need them.
        total (int): The number of tasks, with those finished before.
    """

    name: str
    tasks: Sequence[Task]
    on_done: Callable[[Any, Any], None]
    finish: Callable[[bool], None] = lambda last: None
    known: Mapping[str, Any] = field(default_factory=dict)
    total: int = 0


def run_tasks(
    tasks: Sequence[Task], engine: Engine | None = None, on_done: Callable[[Any, Any], None] = lambda task, result: None
) -> None:
    """Run the tasks of one group; see :func:`run_groups`."""
    run_groups([TaskGroup("tasks", tasks, on_done)], engine)


def run_groups(
    groups: Sequence[TaskGroup],
    engine: Engine | None = None,
    after: Callable[[TaskGroup, float], None] = lambda group, seconds: None,
    title: str = "evaluate",
) -> None:
    """Run the tasks of all groups.

    A task that raises ends its own group; the others go on, and the error is raised after them. When a worker dies,
    unfinished tasks are handed to fresh ones; a task that no worker survives counts as one that raises.

    Args:
        groups (sequence): The groups, in the order in which their tasks are handed out.
        engine (Engine): The engine that computes the tasks; ``Engine()`` when None.
        after (callable): Called when a group is finished, with the seconds that its tasks took, added up.
        title (str): The title of the progress bar.

    Raises:
        InputError: A task raised one; the text names the task.
        LowshotError: A task raised something else, or no worker survived it.
    """
    engine = engine or Engine()
    total = sum(max(group.total, len(group.tasks)) for group in groups)
    done = total - sum(len(group.tasks) for group in groups)
    try:
        with progress(title, total, done) as tick:
            scheduler = _Scheduler([_GroupState(group) for group in groups], after, tick)
            scheduler.close_finished()
            if engine.kind in ("auto", "serial"):
                scheduler.run_here(handover=engine.kind == "auto" and engine.local_workers > 1 and not _has_gpu())
            if next(scheduler.ready(), None):
                with engine.pool() as pool:
                    scheduler.run_on(pool.results, pool.size)
    finally:
        clear_caches()
    scheduler.raise_failures()


_TaskId = tuple[int, str]  # the number of a task's group, and its key


class _Ready(NamedTuple):
    """A task that can run, with the results that it needs."""

    task_id: _TaskId
    task: Task
    needed: list[Any]


class _Outcome(NamedTuple):
    """The end of a task; ``failure`` is None, or a message and True where the user's input is at fault."""

    task_id: _TaskId
    result: Any
    seconds: float
    failure: tuple[str, bool] | None


class _GroupState:
    """The progress of one group."""

    def __init__(self, group: TaskGroup) -> None:
        self.group = group
        self.pending = {task.key: task for task in group.tasks}
        assert len(self.pending) == len(group.tasks), "keys of tasks must differ"
        self.results = dict(group.known)
        self.needed = {need for task in group.tasks for need in task.needs}
        self.seconds = 0.0
        self.closed = self.failed = False


class _Scheduler:
    """The state of all groups, held by the process that started them."""

    def __init__(self, states: list[_GroupState], after: Callable[[TaskGroup, float], None], tick: Tick) -> None:
        self.states = states
        self.after = after
        self.tick = tick
        self.failures: list[tuple[str, bool]] = []
        self.cause: BaseException | None = None

    @property
    def pending(self) -> int:
        return sum(len(state.pending) for state in self.states)

    def ready(self) -> Iterator[_Ready]:
        """The tasks that can run now, in the order of the groups; lazily, so that results that come meanwhile count."""
        for number, state in enumerate(self.states):
            for key, task in list(state.pending.items()):
                if key in state.pending and all(need in state.results for need in task.needs):
                    yield _Ready((number, key), task, [state.results[need] for need in task.needs])

    def run_here(self, handover: bool) -> None:
        """Work in this process; with ``handover`` until workers would pay."""
        spent, count = 0.0, 0
        with one_thread():
            while next(self.ready(), None):
                for ready in self.ready():
                    loaded = "torch" in sys.modules
                    outcome, error = _attempt(ready)
                    self.cause = self.cause or error
                    self.record_end(outcome)
                    if loaded != ("torch" in sys.modules):
                        continue  # most of its time may have been the import, which no other task has to pay for here
                    spent, count = spent + outcome.seconds, count + 1
                    if handover and self.pending > 1 and spent / count * self.pending > HANDOVER_SECONDS:
                        return

    def run_on(self, results: Callable[[Iterable[Call]], Iterator[Any]], size: int) -> None:
        """Work on a pool, in rounds: what is ready now, then what became ready or came back unfinished.

        When workers die and no task was finished, tasks are run one at a time, to find the one that kills them.
        """
        one_at_a_time = False
        deaths: Counter[_TaskId] = Counter()
        while ready := list(self.ready()):
            left = self.pending
            try:
                for outcomes in results(_calls(ready[:1] if one_at_a_time else ready, size)):
                    for outcome in outcomes:
                        self.record_end(outcome)
                one_at_a_time = False
            except WorkersLost as error:
                suspect = ready[0].task_id
                deaths[suspect] += one_at_a_time
                if deaths[suspect] == MAX_WORKER_DEATHS:
                    text = (
                        f"{MAX_WORKER_DEATHS} workers died that did nothing else ({error}): perhaps memory is short, "
                        "then fewer workers help (--workers)"
                    )
                    self.record_end(_Outcome(suspect, None, 0.0, (text, False)))
                one_at_a_time = self.pending == left
                say(f"a worker died ({error}); {self.pending} unfinished tasks go to fresh workers", style="yellow")

    def record_end(self, outcome: _Outcome) -> None:
        """Record the end of a task, and hand its result to its group."""
        number, key = outcome.task_id
        state = self.states[number]
        task = state.pending.pop(key, None)
        if task is None:  # its group has failed meanwhile
            return
        state.seconds += outcome.seconds
        if outcome.failure is not None:
            text, users = outcome.failure
            self.failures.append((f"{key}: {text}", users))
            state.failed = True
            state.pending.clear()
            return
        if key in state.needed:
            state.results[key] = outcome.result
        state.group.on_done(task, outcome.result)
        self.tick(1, key)
        self.close_finished()

    def close_finished(self) -> None:
        for state in self.states:
            if not (state.pending or state.closed or state.failed):
                state.closed = True
                try:
                    state.group.finish(all(other.closed or other.failed for other in self.states))
                    self.after(state.group, state.seconds)
                except LowshotError as error:
                    self.failures.append((f"{state.group.name}: {error}", isinstance(error, InputError)))
                    state.failed = True

    def raise_failures(self) -> None:
        if not self.failures:
            return
        text, users = self.failures[0]
        if others := self.failures[1:]:
            text += "\n" + "\n".join(f"also {other.splitlines()[0]}" for other, _ in others)
        raise (InputError if users else LowshotError)(text) from self.cause


def _calls(ready: Sequence[_Ready], size: int) -> Iterator[Call]:
    """Tasks as calls of a worker: several of one group at a time while there are many."""
    longest = max(1, len(ready) // (4 * size))
    chunk: list[_Ready] = []
    for item in ready:
        if chunk and (len(chunk) == longest or chunk[-1].task.group != item.task.group):
            yield _call(chunk)
            chunk = []
        chunk.append(item)
    if chunk:
        yield _call(chunk)


def _call(chunk: list[_Ready]) -> Call:
    return _work, ([item.task_id for item in chunk], packed(chunk))


def _work(task_ids: list[_TaskId], chunk: bytes) -> list[_Outcome]:
    """In a worker: run tasks until it is time to report."""
    try:
        tasks = unpacked(chunk)
    except Exception as error:
        return [_Outcome(task_ids[0], None, 0.0, _failure(error))]
    start, outcomes = time.perf_counter(), []
    with one_thread():
        for ready in tasks:
            outcomes.append(_attempt(ready)[0])
            if time.perf_counter() - start > REPORT_SECONDS:
                break
    return outcomes


def _attempt(ready: _Ready) -> tuple[_Outcome, BaseException | None]:
    start = time.perf_counter()
    try:
        result = ready.task.run(*ready.needed)
    except (Exception, SystemExit) as error:
        return _Outcome(ready.task_id, None, time.perf_counter() - start, _failure(error)), error
    return _Outcome(ready.task_id, result, time.perf_counter() - start, None), None


def _failure(error: BaseException) -> tuple[str, bool]:
    """The message of an exception: that of a known cause alone, anything else with its traceback."""
    if isinstance(error, InputError):
        return str(error), True
    if (refusal := system_refusal(error)) is not None:
        return refusal, False
    if isinstance(error, SystemExit):
        return f"a plug-in called sys.exit({error.code!r})", False
    frames = "".join(traceback.format_exception(error)).rstrip()
    return f"{type(error).__name__}: {error}\n{frames}", False


def _has_gpu() -> bool:
    """True where tasks may share a GPU: more processes then cost memory there and gain little."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available()
