"""The output folder of a recipe: the place of every file in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lowshot.parallel.shared_arrays import Scratch


@dataclass(frozen=True)
class Outputs:
    """The files of a recipe's results.

    Attributes:
        folder (Path): The output folder.
    """

    folder: Path

    @property
    def split(self) -> Path:
        """The class split."""
        return self.folder / "split" / "label_idx.json"

    @property
    def experiments(self) -> str:
        """The pattern of the experiment files, to be filled with their number."""
        return re.sub(r"([{}])", r"\1\1", f"{self.folder}/split") + "/splitfile_{:d}.json"

    def experiment(self, number: int) -> Path:
        """The file of one experiment."""
        return self.folder / "split" / f"splitfile_{number}.json"

    def experiments_beyond(self, number: int) -> list[Path]:
        """The files of experiments that an earlier recipe had more of."""
        files = (self.folder / "split").glob("splitfile_*.json")
        return [
            file
            for file in files
            if (match := re.fullmatch(r"splitfile_(\d+)\.json", file.name)) and int(match[1]) > number
        ]

    def training(self, representation: str) -> Path:
        """The folder of a training run: checkpoints and log."""
        return self.folder / "representations" / representation

    def features(self, representation: str, part: str) -> Path:
        """The features of the train or test part."""
        return self.folder / "features" / representation / f"{part}.hdf5"

    def generator(self, representation: str, name: str) -> Path:
        """A fitted generator."""
        return self.folder / "generators" / representation / f"{name}.safetensors"

    def classifier(self, representation: str, method: str) -> Path:
        """The classifier of a method after its training on episodes."""
        return self.folder / "classifiers" / representation / f"{method}.safetensors"

    def tuned(self, representation: str, method: str) -> Path:
        """The hyper-parameters that were chosen for a method; its runs lie beside it as ``.jsonl``."""
        return self.folder / "tuned" / representation / f"{method}.json"

    def method_results(self, representation: str, method: str) -> Path:
        """The records of one method on one representation."""
        return self.folder / "results" / representation / f"{method}.jsonl"

    def method_episodes(self, representation: str, method: str) -> Path:
        """The records of one method on episodes."""
        return self.folder / "episodes" / representation / f"{method}.jsonl"

    @property
    def results(self) -> Path:
        """The records of all methods."""
        return self.folder / "results.jsonl"

    @property
    def episodes(self) -> Path:
        """The records of all methods on episodes."""
        return self.folder / "episodes.jsonl"

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.folder / "report" / "report.html"

    @property
    def recipe(self) -> Path:
        """The recipe as it was run, every default filled in."""
        return self.folder / "recipe.yaml"

    @property
    def state(self) -> Path:
        """The folder of stamps and locks."""
        return self.folder / "state"

    @property
    def scratch(self) -> Scratch:
        """The arrays that worker processes share; removed when their tasks are done."""
        return Scratch(self.folder / "scratch")
