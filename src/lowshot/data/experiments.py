"""Experiments: the draws of shots over which every accuracy is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.data.experiment_files import Draw, files_to_read, files_to_write, read_draw, write_draw
from lowshot.errors import InputError

MOST_EXPERIMENTS = 10_000
"""The largest number of experiments; each is a file."""

MOST_ROWS = 20_000_000
"""The largest number of rows that all experiments together list: a gigabyte in memory."""


class Experiments:
    """E draws of shots: for each class a list of rows of the training features, of which the first n are its n shots.

    The rows come with the paths of their images if those are known, so that :meth:`check` refuses the same images in
    another order, which would give wrong numbers.

    Args:
        rows (E lists of C lists): The row numbers of each class in each experiment.
        paths (E lists of C lists, or None): The image paths of those rows; None in the original's files.
        class_names (sequence of C str, or None): The names of the classes for messages.

    Raises:
        InputError: The draws differ in their number of classes, a row is no integer from 0 on or is listed twice in a
            draw, or paths and rows differ in shape.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Sequence[int] | np.ndarray]],
        paths: Sequence[Sequence[Sequence[str]]] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        if not rows:
            raise InputError("there is no experiment: at least one draw of shots is needed")
        self.num_classes = len(rows[0])
        self.class_names = None if class_names is None else [str(name) for name in class_names]
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise InputError(f"{len(self.class_names)} class names for experiments of {self.num_classes} classes")
        self.rows = [self._draw(number, draw) for number, draw in enumerate(rows, 1)]
        self.paths = None if paths is None else [[list(images) for images in draw] for draw in paths]
        if self.paths is not None and _shape(self.paths) != _shape(self.rows):
            raise InputError("experiments need one image path per row: rows and paths differ in number")

    @classmethod
    def random(
        cls,
        labels: np.ndarray,
        paths: Sequence[str] | None,
        class_names: Sequence[str] | None = None,
        n_experiments: int = 5,
        max_shots: int = 20,
        seed: int = 0,
    ) -> Experiments:
        """Draw ``min(max_shots, available)`` rows of each class without replacement, independently per experiment.

        Experiment e depends on the seed and on e alone, so the first experiments do not change when more are drawn.

        Args:
            labels (integers, (N,)): The label of each row.
            paths (sequence of N str, or None): The path of each row's image.
            class_names (sequence of C str, or None): The names of the classes. Without them C is the largest label + 1.
            n_experiments (int): The number E of experiments.
            max_shots (int): The largest number of rows to list per class.
            seed (int): The seed that all draws derive from.

        Raises:
            InputError: A number is below 1, there are more than ``MOST_EXPERIMENTS`` or they would list more than
                ``MOST_ROWS`` rows, or a label is outside the named classes.
        """
        if n_experiments < 1 or max_shots < 1:
            raise InputError(f"{n_experiments} experiments of {max_shots} shots: both must be at least 1")
        labels = np.asarray(labels, dtype=np.int64)
        size = len(class_names) if class_names is not None else int(labels.max(initial=0)) + 1
        if len(outside := labels[(labels < 0) | (labels >= size)]):
            raise InputError(f"label {outside[0]} is outside 0..{size - 1}, the named classes")
        listed = int(np.minimum(np.bincount(labels, minlength=size), max_shots).sum())
        if (most := min(MOST_EXPERIMENTS, MOST_ROWS // max(listed, 1))) < n_experiments:
            raise InputError(
                f"{n_experiments} experiments that list {listed} images each are too many: set "
                f"split.experiments={most} at most{', or a smaller split.max_shots' if most < MOST_EXPERIMENTS else ''}"
            )
        order = np.argsort(labels, kind="stable")
        classes = np.split(order, np.searchsorted(labels[order], np.arange(1, size)))
        draws = []
        for number in range(1, n_experiments + 1):
            rng = np.random.default_rng([seed, number])
            draws.append([rng.permutation(rows)[:max_shots] for rows in classes])
        images = None if paths is None else [[[paths[row] for row in rows] for rows in draw] for draw in draws]
        return cls(draws, images, class_names)

    @classmethod
    def from_files(cls, pattern: str | Path, n_experiments: int | None = None) -> Experiments:
        """Read one file per experiment, numbered from 1, in lowshot's format or as the original's lists of row numbers.

        Args:
            pattern (str or Path): The path with a place for the number, such as ``splitfile_{:d}.json``.
            n_experiments (int or None): The number of files to read; None reads all there are.

        Raises:
            InputError: A file is missing, not JSON or no experiment, or the files do not belong together.
        """
        files = files_to_read(pattern, n_experiments)
        found = [read_draw(file) for file in files]
        for file, one in zip(files, found):
            if (one.paths is None) != (found[0].paths is None) or one.class_names != found[0].class_names:
                raise InputError(f"experiments {files[0]} and {file} were made for different data")
        paths = [one.paths for one in found if one.paths is not None]
        try:
            return cls([one.rows for one in found], paths or None, found[0].class_names)
        except InputError as error:
            raise InputError(f"experiments {pattern}: {error}") from None

    def write(self, pattern: str | Path, bare: bool = False) -> list[Path]:
        """Write one file per experiment, numbered from 1, each atomically.

        Args:
            pattern (str or Path): The path with a place for the number.
            bare (bool): True writes the original's format, a list of lists of row numbers, without paths and names.

        Returns:
            The paths of the files.

        Raises:
            InputError: Files with higher numbers exist, which would be read as part of this set.
        """
        files = files_to_write(pattern, len(self))
        for index, file in enumerate(files):
            rows = [shots.tolist() for shots in self.rows[index]]
            paths = None if self.paths is None else self.paths[index]
            write_draw(file, Draw(rows, paths, self.class_names), bare)
        return files

    def check(self, labels: np.ndarray, paths: Sequence[str] | None = None) -> None:
        """Check that data (images or features) have the rows that the experiments were drawn from, in the same order.

        Args:
            labels (integers, (N,)): The label of each row of the data.
            paths (sequence of N str, or None): The path of each row's image, if known.

        Raises:
            InputError: A listed row is missing, or has another label or path than expected.
        """
        labels = np.asarray(labels)
        for number, draw in enumerate(self.rows, 1):
            rows = np.concatenate(draw) if draw else np.zeros(0, np.int64)
            wanted = np.repeat(np.arange(self.num_classes), [len(shots) for shots in draw])
            inside = rows < len(labels)
            right = np.zeros(len(rows), dtype=bool)
            right[inside] = labels[rows[inside]] == wanted[inside]
            if not right.all():
                first = int(np.flatnonzero(~right)[0])
                row, cls = int(rows[first]), self.describe(int(wanted[first]))
                found = f"label {self.describe(int(labels[row]))}" if inside[first] else f"only {len(labels)} rows"
                raise InputError(
                    f"experiment {number} lists row {row} as a shot of class {cls}, but the data have {found} "
                    "there: the experiments were made for other data, or the images were in another order"
                )
            if self.paths is not None and paths is not None:
                self._check_paths(number, rows, wanted, paths)

    def shots(self, experiment: int, n_shots: int, classes: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the rows of the shots of some classes in one experiment.

        Args:
            experiment (int): The number of the experiment, from 1.
            n_shots (int): The number of shots per class. A larger number starts with the shots of a smaller one.
            classes (integers, (n,)): The labels of the classes.

        Returns:
            (n · n_shots,) int64 rows, class after class in the order given.

        Raises:
            InputError: There is no such experiment or class, or a class lists fewer images than ``n_shots``.
        """
        if not 1 <= experiment <= len(self):
            raise InputError(f"experiment {experiment} does not exist: there are 1..{len(self)}")
        if n_shots < 1:
            raise InputError(f"n_shots is {n_shots}: at least one shot is needed")
        draw = self.rows[experiment - 1]
        chosen = []
        for label in np.asarray(classes, dtype=np.int64).tolist():
            if not 0 <= label < self.num_classes:
                raise InputError(f"experiment {experiment} has no class {label}: it lists 0..{self.num_classes - 1}")
            if len(draw[label]) < n_shots:
                raise InputError(
                    f"class {self.describe(label)} has {len(draw[label])} images in experiment {experiment}, "
                    f"but {n_shots} shots are asked for: use fewer shots or leave the class out of the split"
                )
            chosen.append(draw[label][:n_shots])
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)

    def describe(self, label: int) -> str:
        """Describe a class for a message by its label, and its name if it is known."""
        named = self.class_names is not None and 0 <= label < self.num_classes
        return f"{label} ({self.class_names[label]!r})" if named else str(label)  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Experiments: {len(self)} draws of {self.num_classes} classes>"

    def _draw(self, number: int, draw: Any) -> list[np.ndarray]:
        if not isinstance(draw, Sequence) or len(draw) != self.num_classes:
            raise InputError(f"experiment {number} must be a list of {self.num_classes} lists, one per class")
        classes = [self._shots(number, label, shots) for label, shots in enumerate(draw)]
        rows, counts = np.unique(np.concatenate(classes) if classes else np.zeros(0), return_counts=True)
        if (counts > 1).any():
            raise InputError(f"experiment {number} lists row {int(rows[counts > 1][0])} more than once")
        return classes

    def _shots(self, number: int, label: int, shots: Any) -> np.ndarray:
        if isinstance(shots, np.ndarray):
            return shots.astype(np.int64)
        listed = isinstance(shots, list | tuple)
        if wrong := [row for row in shots if type(row) is not int or not 0 <= row < 2**53] if listed else [shots]:
            raise InputError(
                f"experiment {number}, class {self.describe(label)}: {wrong[0]!r} is no row number: "
                "expected a list of integers from 0 on"
            )
        return np.array(shots, dtype=np.int64)

    def _check_paths(self, number: int, rows: np.ndarray, wanted: np.ndarray, paths: Sequence[str]) -> None:
        listed = [path for images in (self.paths or [])[number - 1] for path in images]
        for row, label, path in zip(rows.tolist(), wanted.tolist(), listed):
            if paths[row] != path:
                raise InputError(
                    f"experiment {number} expects image {path!r} (class {self.describe(label)}) in row {row}, but the "
                    f"data have {paths[row]!r} there: the experiments were made for other data, or "
                    "the images were in another order"
                )


def _shape(value: Sequence[Sequence[Any]]) -> list[list[int]]:
    return [[len(shots) for shots in draw] for draw in value]
