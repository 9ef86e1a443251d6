"""A recogniser's folder in memory: its state, what follows from it, and changes, which other processes make as well."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from lowshot.classifiers import LowShotClassifier, load_classifier, save_classifier
from lowshot.errors import InputError
from lowshot.files import file_fingerprint, is_file
from lowshot.recogniser import folder as folders
from lowshot.recogniser.card import write_card
from lowshot.recogniser.decision import decide, refitted, undecided
from lowshot.recogniser.model import Examples, Model, live_examples
from lowshot.recogniser.shots import Shots
from lowshot.recogniser.state import State

Edit = Callable[[State, Shots], tuple[State, Shots, str]]
"""A change: from a state and all of its rows to the next state, its new rows and the change in words."""


class SyncedFolder:
    """The state of a recogniser and its fitted classifier, as they were when the folder was last read or changed.

    Args:
        folder (Path): The folder.
        read_only (bool): True refuses every change.

    Attributes:
        state (State): The state.
        shots (Shots): All rows of the state, those that were removed included.
        examples (Examples): The rows that count.
        model (Model or None): The fitted classifier; None while there is no class.

    Raises:
        InputError: There is no recogniser, it is damaged, or of a newer version of lowshot.
    """

    state: State
    shots: Shots
    examples: Examples
    model: Model | None

    def __init__(self, folder: Path, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self._read()

    @property
    def classes(self) -> list[str]:
        """The names of the classes: base classes first, then taught ones by name."""
        return list(self.model.classes) if self.model is not None else []

    def refresh(self) -> None:
        """Read the folder again where another process has changed it."""
        if folders.read_state(self.folder) != self.state:
            self._read()

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of the folder, so that no other process changes it meanwhile.

        Raises:
            InputError: The folder must not or cannot be written.
        """
        if self.read_only:
            raise InputError(
                f"recogniser {self.folder} cannot be changed, it lies in the cache of the hub: save(FOLDER) makes a "
                "copy that can"
            )
        return folders.changing(self.folder)

    def change(self, edit: Edit) -> None:
        """Make a change of the present state in the folder, which another process may have changed in the meantime."""
        with self.lock():
            self.refresh()
            state, new, what = edit(self.state, self.shots)
            if state == self.state and not len(new):
                return
            shots = self.shots.joined(new)
            if not state.thumbnails:
                new.thumbnails = [b""] * len(new)
            examples = live_examples(state, shots)
            decided, model = self._decided(state, examples)
            digest = _saved(self.folder, model)
            decided = decided.model_copy(
                update={"classifier": decided.classifier.model_copy(update={"digest": digest})}
            )
            self.state = folders.commit(self.folder, decided, what, new)
            self.shots, self.model, self.examples = shots, model, examples
            if self.model is not None:
                self.model.state = self.state
            self._write_card()

    def undo(self, number: int | None) -> str:
        """Undo the last change; see :meth:`lowshot.recogniser.Recogniser.undo`."""
        with self.lock():
            undone = folders.read_state(self.folder).history
            folders.undo(self.folder, number)
            self._read()
            if self.model is not None and _saved(self.folder, self.model) != self.state.classifier.digest:
                (self.folder / folders.CLASSIFIER_FILE).unlink(missing_ok=True)
            self._write_card()
        return undone[-1].what if undone else "the last change"

    def _decided(self, state: State, examples: Examples) -> tuple[State, Model | None]:
        base = self._base(state)
        if not len(examples.rows) and base is None:
            return undecided(state), None
        decided, classifier = decide(state, examples, base)
        return decided, Model(decided, examples, classifier)

    def _read(self) -> None:
        self.state, self.shots = folders.read_all(self.folder)
        self.examples = live_examples(self.state, self.shots)
        self.model = self._loaded_model()

    def _loaded_model(self) -> Model | None:
        state = self.state
        if not len(self.examples.rows) and state.base is None:
            return None
        path = self.folder / folders.CLASSIFIER_FILE
        if state.classifier.digest and is_file(path) and file_fingerprint(path) == state.classifier.digest:
            return Model(state, self.examples, load_classifier(path))
        return Model(state, self.examples, refitted(state, self.examples, self._base(state)))

    def _base(self, state: State) -> LowShotClassifier | None:
        return None if state.base is None else load_classifier(self.folder / folders.BASE_FILE)

    def _write_card(self) -> None:
        with contextlib.suppress(OSError):  # a change is complete without it
            write_card(self.folder, self.state, self.examples.counts(), self.classes)


def _saved(folder: Path, model: Model | None) -> str:
    """Write the fitted classifier; returns its digest."""
    if model is None:
        return ""
    path = folder / folders.CLASSIFIER_FILE
    save_classifier(model.classifier, path)
    return file_fingerprint(path)
