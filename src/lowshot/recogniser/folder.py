"""The folder of a recogniser: the state it is in, changes that appear whole or not at all, and the way back.

``recogniser.json`` decides: a change writes everything else first and renames that file last. The states before are
kept in ``history/``, so that the last :data:`UNDOABLE` changes can be undone.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lowshot.errors import InputError, first_few
from lowshot.files import Pathlike, exists, is_file, is_folder, locked, read_json, require_writable, write_json
from lowshot.progress import say
from lowshot.recogniser.shots import FILE as SHOTS_FILE
from lowshot.recogniser.shots import Shots, append_shots, read_shots
from lowshot.recogniser.state import Change, State, parse_state

STATE_FILE = "recogniser.json"
BASE_FILE = "base.safetensors"
CLASSIFIER_FILE = "classifier.safetensors"
BACKBONE_FILE: Final = "backbone.safetensors"
CARD_FILE = "README.md"

UNDOABLE = 10
"""The number of changes that can be undone."""

_READ_ATTEMPTS = 5


class UnwritableError(InputError):
    """The system refuses to write in the folder of a recogniser, which has not changed."""


class NothingToUndoError(InputError):
    """A recogniser has no earlier state."""


class OtherStateError(InputError):
    """A recogniser is in another state than the one that a change was meant for; it has not changed."""


def is_recogniser(folder: Pathlike) -> bool:
    """True for a folder with a ``recogniser.json``."""
    return is_file(Path(folder) / STATE_FILE)


def read_state(folder: Pathlike) -> State:
    """Read the state that a recogniser is in.

    Raises:
        InputError: There is no recogniser, or its state is damaged or of a newer version.
    """
    folder = Path(folder)
    if not is_recogniser(folder):
        what = "has no recogniser.json" if is_folder(folder) else "is not there" if not exists(folder) else "is a file"
        raise InputError(f"recogniser {folder} {what}: expected a folder that `lowshot teach {folder} PHOTOS` made")
    path = folder / STATE_FILE
    return parse_state(read_json(path, "recogniser"), str(path))


def read_all(folder: Pathlike) -> tuple[State, Shots]:
    """Read the state of a recogniser and its shots, which another process may be changing.

    Raises:
        InputError: As of :func:`read_state` and :func:`~lowshot.recogniser.shots.read_shots`.
    """
    folder = Path(folder)
    for attempt in range(_READ_ATTEMPTS):
        state = read_state(folder)
        try:
            return state, read_shots(folder, state.rows, state.backbone.dim)
        except InputError:
            if attempt == _READ_ATTEMPTS - 1 or read_state(folder).number == state.number:
                raise
    raise AssertionError


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the lock of a recogniser, so that no other process changes it meanwhile.

    Raises:
        UnwritableError: The folder cannot be written, or the system refuses a write within the block; the state has
            not changed then.
    """
    try:
        require_writable(folder, "recogniser", folder=True)
    except InputError as error:
        raise UnwritableError(str(error)) from None
    try:
        with locked(folder / ".lock", lambda: say(f"{folder} is being changed by another process: waiting for it")):
            yield
    except OSError as error:
        if isinstance(error, InputError):
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise UnwritableError(
            f"recogniser {folder} is unchanged: it cannot be written: {error.strerror or error}{where}"
        ) from None


def commit(folder: Path, state: State, what: str, new: Shots | None = None) -> State:
    """Make a changed state the present one; the lock must be held.

    Args:
        folder (Path): The folder of the recogniser.
        state (State): The new state, still with the number, rows and history of the one before.
        what (str): The change in words.
        new (Shots, optional): The new photos, which come after the rows of the state before.

    Returns:
        The state as written, with its own number, rows and history.
    """
    before = read_state(folder) if is_recogniser(folder) else None
    earlier = [] if before is None else [before, *_ancestors(folder, before)][:UNDOABLE]
    rows = 0 if before is None else before.rows
    if new is not None:
        append_shots(folder, rows, state.backbone.dim, new, _dead_rows(state, earlier))
        rows += len(new)
    number = 0 if before is None else before.number + 1
    written = state.model_copy(
        update={
            "number": number,
            "parent": None if before is None else before.number,
            "rows": rows,
            "history": [*state.history, Change(number=number, time=_now(), what=what)][-UNDOABLE:],
        }
    )
    if before is not None:
        write_json(_kept_path(folder, before.number), before.model_dump(mode="json"), indent=None)
    _write(folder, written)
    _drop_all_but(folder, earlier)
    return written


def undo(folder: Path, number: int | None = None) -> State:
    """Return to the state before the last change that was not undone; the lock must be held.

    Args:
        folder (Path): The folder.
        number (int, optional): The number of the state that is meant; none takes the present one.

    Raises:
        NothingToUndoError: There is no such state.
        OtherStateError: The state is another one by now.
    """
    state = read_state(folder)
    if number is not None and number != state.number:
        raise OtherStateError(f"the state is {state.number} by now, not {number}: something else was changed since")
    earlier = _ancestors(folder, state)
    if not earlier:
        raise NothingToUndoError(f"recogniser {folder} has no earlier state: the last {UNDOABLE} changes can be undone")
    restored = earlier[0].model_copy(update={"number": state.number + 1})
    _write(folder, restored)
    _drop_all_but(folder, earlier[1:])
    return restored


def undoable(folder: Path, state: State) -> str | None:
    """The change that undoing would take back, in words; None where there is nothing to undo."""
    if not state.history or state.parent is None or not is_file(_kept_path(folder, state.parent)):
        return None
    return state.history[-1].what


def check_vacant(folder: Path) -> None:
    """Refuse a folder that a new recogniser cannot take.

    Raises:
        InputError: It is a file, a recogniser already, or holds other files.
    """
    if is_recogniser(folder):
        raise InputError(f"recogniser {folder} exists already")
    if exists(folder) and not is_folder(folder):
        raise InputError(f"recogniser {folder} is a file: expected a folder, or a name that does not exist yet")
    if is_folder(folder) and (others := [path.name for path in folder.iterdir() if not path.name.startswith(".")]):
        if set(others) <= {SHOTS_FILE, "history", BASE_FILE, CLASSIFIER_FILE, BACKBONE_FILE}:
            return  # a creation that was killed left them
        raise InputError(
            f"{folder} holds other files ({first_few(sorted(others), 3)}) and no recogniser: give a new folder first, "
            f"then the photos: lowshot teach NEW {folder}"
        )


def _write(folder: Path, state: State) -> None:
    """Write a state, unless it is one that could not be read again."""
    values = state.model_dump(mode="json")
    parse_state(values, str(folder / STATE_FILE))
    write_json(folder / STATE_FILE, values)


def _kept_path(folder: Path, number: int) -> Path:
    return folder / "history" / f"{number}.json"


def _ancestors(folder: Path, state: State) -> list[State]:
    """The kept states that undoing leads to, newest first."""
    found: list[State] = []
    while len(found) < UNDOABLE and state.parent is not None and is_file(_kept_path(folder, state.parent)):
        path = _kept_path(folder, state.parent)
        parent = parse_state(read_json(path, "recogniser's history"), str(path))
        if parent.number != state.parent or parent.rows > state.rows:
            raise InputError(f"{path} is not the state before change {state.number}: remove the folder 'history'")
        found.append(parent)
        state = parent
    return found


def _drop_all_but(folder: Path, states: list[State]) -> None:
    numbers = {one.number for one in states}
    for path in (folder / "history").glob("*.json"):
        if path.stem.isdigit() and int(path.stem) not in numbers:
            with contextlib.suppress(OSError):
                path.unlink()


def _dead_rows(state: State, earlier: list[State]) -> list[int]:
    """The rows that neither a state nor one that it can return to refers to."""
    dead = set(state.removed)
    for one in earlier:
        dead = {row for row in dead if row >= one.rows} | dead.intersection(one.removed)
    return sorted(dead)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
