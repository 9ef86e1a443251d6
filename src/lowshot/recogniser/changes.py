"""Changes of a recogniser's state: functions from one state to the next, which touch no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.errors import first_few
from lowshot.recogniser.embedding import Seen
from lowshot.recogniser.repeats import Repeats
from lowshot.recogniser.shots import Shots
from lowshot.recogniser.state import ClassState, State


@dataclass
class Taught:
    """What a call of :meth:`Recogniser.teach` did.

    Attributes:
        added (dict): Class → the number of photos that it was taught.
        new (list of str): The classes that were not known before.
        repeated (list of str): A line for each photo that was left out because it was taught already.
        unreadable (list of str): A line for each photo that was left out because it cannot be decoded.
    """

    added: dict[str, int] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def with_class(state: State, name: str) -> State:
    """The state with a class of this name, which may have been there."""
    if name in state.id_of:
        return state
    classes = [*state.classes, ClassState(id=state.next_id, name=name)]
    return state.model_copy(update={"classes": sorted(classes, key=lambda one: one.name), "next_id": state.next_id + 1})


def renamed(state: State, old: str, new: str) -> State:
    """The state with another name of a class, taught or base."""
    classes = [one.model_copy(update={"name": new}) if one.name == old else one for one in state.classes]
    base = state.base
    if base is not None:
        base = base.model_copy(update={"names": [new if one == old else one for one in base.names]})
    return state.model_copy(update={"classes": sorted(classes, key=lambda one: one.name), "base": base})


def without_class(state: State, shots: Shots, name: str) -> State:
    """The state without a class, taught or base, and without its shots."""
    update: dict[str, Any] = {}
    if name in state.id_of:
        rows = np.flatnonzero(shots.labels == state.id_of[name]).tolist()
        update["removed"] = sorted({*state.removed, *rows})
        update["classes"] = [one for one in state.classes if one.name != name]
    if state.base is not None and name in state.base.names:
        index = state.base.names.index(name)
        update["base"] = state.base.model_copy(update={"removed": sorted({*state.base.removed, index})})
    return state.model_copy(update=update)


def without_empty(state: State, shots: Shots) -> State:
    """The state without the taught classes that no photo is left of."""
    live = np.ones(len(shots), bool)
    live[state.removed] = False
    present = set(shots.labels[live].tolist())
    return state.model_copy(update={"classes": [one for one in state.classes if one.id in present]})


def with_photos(
    state: State, shots: Shots, seen: Sequence[tuple[str, Seen]], taught: Taught, keep_repeated: bool
) -> tuple[State, Shots, str]:
    """Add photos to a state.

    Args:
        state (State): The state.
        shots (Shots): All of its rows.
        seen (sequence of (str, Seen)): The class and the features of each photo.
        taught (Taught): The report, which is filled.
        keep_repeated (bool): True adds pictures that were taught before, unless they are the same file in one class.

    Returns:
        The new state, its new rows (none where all photos were left out), and the change in words.
    """
    known = {one.id: one.name for one in state.classes}
    repeats = Repeats(shots, {row: known[int(label)] for row, label in live_rows(state, shots)})
    chosen: list[tuple[str, Seen]] = []
    for name, one in sorted(seen, key=lambda pair: (pair[0], pair[1].digest)):
        if (line := repeats.repeated(name, one, keep_repeated)) is None:
            repeats.add(name, one)
            chosen.append((name, one))
        else:
            taught.repeated.append(line)
    before = {one.name for one in state.classes} | set(() if state.base is None else state.base.names)
    for name, _ in chosen:
        state = with_class(state, name)
        taught.added[name] = taught.added.get(name, 0) + 1
    taught.new = [name for name in taught.added if name not in before]
    if not chosen:
        return state, Shots.none(state.backbone.dim), ""
    id_of = state.id_of
    new = Shots(
        np.stack([one.feature for _, one in chosen]).astype(np.float32),  # type: ignore[misc]
        np.array([id_of[name] for name, _ in chosen], np.int64),
        [Path(one.name).name for _, one in chosen],
        [one.digest for _, one in chosen],
        np.array([one.look for _, one in chosen], np.uint64),
        [one.thumbnail for _, one in chosen],
    )
    counts = first_few([f"{name} ({count})" for name, count in taught.added.items()])
    return state, new, f"taught {len(chosen)} photos: {counts}"


def live_rows(state: State, shots: Shots) -> list[tuple[int, int]]:
    """The rows that count in a state, each with the id of its class."""
    removed = set(state.removed)
    ids = {one.id for one in state.classes}
    return [(row, label) for row, label in enumerate(shots.labels.tolist()) if row not in removed and label in ids]
