"""The files of results: one per representation and method, which tasks add to, and one of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lowshot.benchmark.results import Record, ResultStore, update_records, write_records
from lowshot.errors import InputError
from lowshot.pipeline.bias_note import zero_bias_note
from lowshot.pipeline.outputs import Outputs
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stamps import Stamps
from lowshot.progress import say
from lowshot.recipe import Recipe


class ResultFiles:
    """The records of the evaluate and episodes stages of a recipe.

    Args:
        recipe (Recipe): The recipe.
        outputs (Outputs): Its files.
    """

    def __init__(self, recipe: Recipe, outputs: Outputs) -> None:
        self._recipe = recipe
        self._outputs = outputs
        self._next_merge = 0.0

    def episode_methods_of(self, representation: str) -> list[str]:
        """The methods that are measured on episodes with a representation, in the order of the recipe's list."""
        if (section := self._recipe.episodes) is None:
            return []
        measured = self._recipe.methods_of(representation)
        return [method for method in section.methods or measured if method in measured]

    def records(self) -> list[Record]:
        """The results of the recipe's methods so far, in the order of the recipe."""
        recipe, path = self._recipe, self._outputs.method_results
        return _read(path(name, one) for name, (key, _) in recipe.trainings.items() for one in recipe.methods_of(key))

    def episode_records(self) -> list[Record]:
        """The results on episodes so far, in the order of the recipe."""
        recipe, path = self._recipe, self._outputs.method_episodes
        return _read(path(key, one) for key in recipe.representations for one in self.episode_methods_of(key))

    def merge_results(self, last: bool) -> None:
        """Bring the file of all results up to date: at the end, and before that as long as it costs little time."""
        start = time.monotonic()
        if last or start >= self._next_merge:
            records = self.records()
            write_records(self._outputs.results, records)
            if last and (note := zero_bias_note(records, self._recipe.evaluate)):
                say(note, style="yellow")
            self._next_merge = time.monotonic() + 20 * (time.monotonic() - start)

    def merge_episodes(self, last: bool) -> None:
        """Bring the file of all episodes up to date."""
        write_records(self._outputs.episodes, self.episode_records())

    def update(self, stages: Iterable[Stage], tags: Callable[[str, str], Mapping[str, Any]]) -> None:
        """Make the files say what today's recipe says, although no stage may have had anything to do.

        A run that was killed may have left a merge for later, the recipe may have lost a method, and records that an
        earlier recipe left may still be valid: then they are this recipe's too, under its names.

        Args:
            stages (iterable of Stage): The plan.
            tags (callable): Today's tags of the records of a representation and a method.
        """
        stamps = Stamps(self._outputs.state)
        for stage in stages:
            if stage.kind in ("evaluate", "episodes") and stamps.stale(stage) is None:
                store, today = ResultStore(stage.outputs[0]), tags(*stage.subject.split("/"))
                if not store.has_tags(today):
                    with stamps.rewriting(stage):
                        store.retag(today)
        update_records(self._outputs.results, self.records())
        update_records(self._outputs.episodes, self.episode_records())


def _read(paths: Iterable[Path]) -> list[Record]:
    return [record for path in paths for record in _readable(path)]


def _readable(path: Path) -> list[Record]:
    """The records in a file; none in a damaged one, which its stage is yet to mend."""
    try:
        return ResultStore(path).records
    except InputError:
        return []
