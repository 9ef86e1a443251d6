"""The files of results: one per representation and method, which sweeps add to, and one of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.benchmark.results import Record, ResultStore, update_records, write_records
from lowshot.pipeline.stages.base import Stamps, Stop
from lowshot.recipe import Recipe


def result_path(folder: Path, representation: str, method: str) -> Path:
    """Where the records of one method on one representation lie."""
    return folder / "results" / representation / f"{method}.jsonl"


def episodes_path(folder: Path, representation: str, method: str) -> Path:
    """Where the records of one method on episodes lie."""
    return folder / "episodes" / representation / f"{method}.jsonl"


class ResultFiles:
    """What the evaluate and the episodes stops of a recipe have found.

    Attributes:
        results: all results of the recipe, a record a line.
        episodes: all results on episodes, a record per method and number of shots.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._next_merge = 0.0
        self.results = recipe.folder / "results.jsonl"
        self.episodes = recipe.folder / "episodes.jsonl"

    @property
    def episode_methods(self) -> Sequence[str]:
        """The methods that are measured on episodes."""
        section = self._recipe.episodes
        return () if section is None else section.methods or tuple(self._recipe.evaluate.methods)

    def records(self) -> list[Record]:
        """The results of the recipe's methods so far, in the order of the recipe."""
        return self._of(self._recipe.evaluate.methods, result_path)

    def episode_records(self) -> list[Record]:
        """The results on episodes so far, in the order of the recipe."""
        return self._of(self.episode_methods, episodes_path)

    def merge_results(self, last: bool) -> None:
        """Bring the file of all results up to date: at the end, and before that as long as it costs little time."""
        start = time.monotonic()
        if last or start >= self._next_merge:
            write_records(self.results, self.records())
            self._next_merge = time.monotonic() + 20 * (time.monotonic() - start)

    def merge_episodes(self, last: bool) -> None:
        """Bring the file of all episodes up to date."""
        write_records(self.episodes, self.episode_records())

    def catch_up(self, stops: Iterable[Stop], tags: Callable[[str, str], Mapping[str, Any]]) -> None:
        """Make the files say what today's recipe says, whether or not a stop had anything to do.

        A sweep that was killed may have left a merge for later, the recipe may have lost a method, and records that an
        earlier recipe left may still stand: then they are this recipe's too, under its names.

        Args:
            stops: the plan.
            tags: today's tags of the records of a representation and a method.
        """
        stamps = Stamps(self._recipe.folder / "state")
        for stop in stops:
            if stop.kind in ("evaluate", "episodes") and stamps.stale(stop) is None:
                ResultStore(stop.outputs[0]).retag(tags(*stop.subject.split("/")))
        update_records(self.results, self.records())
        update_records(self.episodes, self.episode_records())

    def _of(self, methods: Iterable[str], path: Callable[[Path, str, str], Path]) -> list[Record]:
        return [
            record
            for name in self._recipe.representations
            for method in methods
            for record in ResultStore(path(self._recipe.folder, name, method)).records
        ]
