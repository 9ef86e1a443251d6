"""Class splits: base and novel classes, each in two halves, one to tune on and one to report."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.data.halves import Half, whole_numbers
from lowshot.errors import InputError, did_you_mean, first_few
from lowshot.files import fingerprint, read_json, write_json

_OTHER_SPLIT = "Use a split of this data set, or have one drawn (split.file=null)"

GROUPS = ("base_classes_1", "base_classes_2", "novel_classes_1", "novel_classes_2")


@dataclass(frozen=True)
class Setup:
    """The classes of one evaluation.

    Attributes:
        name (str): ``"val"``, on which hyper-parameters are chosen, or ``"test"``, which is reported.
        base (int64, (B,)): The labels of the base classes.
        novel (int64, (N,)): The labels of the novel classes.
    """

    name: str
    base: np.ndarray
    novel: np.ndarray


class ClassSplit:
    """Base and novel classes, each in two halves (Hariharan & Girshick, arXiv 1606.02819).

    The representation and the generator learn from all base classes. The ``_1`` halves are the validation setup, the
    ``_2`` halves the test setup.

    Args:
        base_1 (integers, (n,)): The labels of the base classes of the validation half.
        base_2 (integers, (n,)): The labels of the base classes of the test half.
        novel_1 (integers, (n,)): The labels of the novel classes of the validation half.
        novel_2 (integers, (n,)): The labels of the novel classes of the test half.
        label_names (sequence of C str): The name of every label. A class is in one group at most, and one in no group
            takes no part.

    Attributes:
        base_1 (int64, (n,)): The labels of the base classes of the validation half, in the order given.
        base_2 (int64, (n,)): The labels of the base classes of the test half, in the order given.
        novel_1 (int64, (n,)): The labels of the novel classes of the validation half, in the order given.
        novel_2 (int64, (n,)): The labels of the novel classes of the test half, in the order given.
        label_names (list of C str): The name of every label.

    Raises:
        InputError: A group is empty, or a label is no integer, outside 0..C-1 or listed twice.
    """

    def __init__(
        self,
        base_1: Sequence[int] | np.ndarray,
        base_2: Sequence[int] | np.ndarray,
        novel_1: Sequence[int] | np.ndarray,
        novel_2: Sequence[int] | np.ndarray,
        label_names: Sequence[str],
    ) -> None:
        self.label_names = [str(name) for name in label_names]
        groups = [self._group(name, labels) for name, labels in zip(GROUPS, (base_1, base_2, novel_1, novel_2))]
        self._check_disjoint(groups)
        self.base_1, self.base_2, self.novel_1, self.novel_2 = groups

    @property
    def num_classes(self) -> int:
        """C, the size of the label space."""
        return len(self.label_names)

    @cached_property
    def base(self) -> np.ndarray:
        """The (B,) int64 labels of all base classes, sorted."""
        return np.union1d(self.base_1, self.base_2)

    @cached_property
    def novel(self) -> np.ndarray:
        """The (N,) int64 labels of all novel classes, sorted."""
        return np.union1d(self.novel_1, self.novel_2)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the groups as sets and of the label names."""
        return fingerprint(*(np.sort(group) for group in self._groups()), self.label_names)

    def setup(self, name: str) -> Setup:
        """Return the classes to evaluate on.

        Args:
            name (str): ``"val"`` to choose hyper-parameters, ``"test"`` to report.

        Raises:
            InputError: The name is neither of the two.
        """
        halves = {"val": (self.base_1, self.novel_1), "test": (self.base_2, self.novel_2)}
        if name not in halves:
            raise InputError(f"setup {name!r}: expected 'val' (to choose on) or 'test' (to report)")
        return Setup(name, *halves[name])

    def check(self, class_names: Sequence[str] | int) -> None:
        """Check that a data set has the label space of this split.

        Args:
            class_names (sequence of str, or int): The names of the data set's classes, or only their number.

        Raises:
            InputError: Their number differs, or a name does; the message gives the first difference.
        """
        count = class_names if isinstance(class_names, int) else len(class_names)
        if count > self.num_classes:
            first = "" if isinstance(class_names, int) else f" ({class_names[self.num_classes]!r})"
            raise InputError(
                f"the data set has labels outside the split: {count} classes, but the split knows {self.num_classes}, "
                f"so label {self.num_classes}{first} has no role. {_OTHER_SPLIT}"
            )
        if count < self.num_classes:
            raise InputError(
                f"the split names {self.num_classes} classes, but the data set has {count}: label "
                f"{self.describe(count)} has no images. {_OTHER_SPLIT}"
            )
        if isinstance(class_names, int):
            return
        for label, (here, there) in enumerate(zip(self.label_names, class_names)):
            if here != there:
                raise InputError(
                    f"label {label} is {here!r} in the split but {there!r} in the data set: "
                    f"they were made for different data, or the classes are in another order. {_OTHER_SPLIT}"
                )

    def check_labels(self, labels: np.ndarray) -> None:
        """Check that all labels are in the label space.

        Args:
            labels (integers, (n,)): The labels.

        Raises:
            InputError: A label is outside 0..C-1; the message gives the first and its row.
        """
        labels = np.asarray(labels)
        outside = np.flatnonzero((labels < 0) | (labels >= self.num_classes))
        if len(outside):
            row = int(outside[0])
            raise InputError(
                f"row {row} has label {labels[row]}, outside the split: it knows 0..{self.num_classes - 1}"
            )

    def describe(self, label: int) -> str:
        """Describe a label for a message by its number and its name."""
        return f"{label} ({self.label_names[label]!r})" if 0 <= label < self.num_classes else str(label)

    @classmethod
    def random(
        cls,
        class_names: Sequence[str],
        base: tuple[Half, Half],
        novel: tuple[Half, Half],
        seed: int = 0,
        *,
        only_base: Sequence[int] | np.ndarray = (),
        without: Sequence[int] | np.ndarray = (),
    ) -> ClassSplit:
        """Draw a split. Classes that are left over take no part.

        Args:
            class_names (sequence of C str): The names of the classes.
            base (two int, float or sequences of str): The base classes of each half: their number, a fraction of the
                classes, or their names.
            novel (two int, float or sequences of str): The novel classes of each half. Numbers are drawn from the
                classes that are not named.
            seed (int): The seed of the draw.
            only_base (integers, (n,)): The labels of classes that are drawn as base classes alone, because they have
                too few images for the shots.
            without (integers, (n,)): The labels of classes that are not drawn at all.

        Raises:
            InputError: More classes are asked for than there are, a half is empty, or a name is no class or is given
                twice.
        """
        (base_1, base_2), (novel_1, novel_2) = whole_numbers(base, novel, len(class_names) - len(without))
        given = (base_1, base_2, novel_1, novel_2)
        halves = [int(half) if isinstance(half, numbers.Integral) else half for half in given]
        sizes = [half if isinstance(half, int) else len(half) for half in halves]  # type: ignore[arg-type]
        shown = f"base {_shown(base)} and novel {_shown(novel)}"
        if len(sizes) != 4 or min(sizes) < 1:
            raise InputError(f"{shown}: give each two halves of at least one class{_fitting(len(class_names))}")
        if sum(sizes) > (count := len(class_names) - len(without)):
            raise InputError(f"{shown} need {sum(sizes)} classes, but the data set has {count}{_fitting(count)}")
        named = [[] if isinstance(half, int) else labels_of(half, class_names) for half in halves]  # type: ignore[arg-type]
        drawn = [half if isinstance(half, int) else 0 for half in halves]
        order = np.random.default_rng(seed).permutation(len(class_names))
        free = order[~np.isin(order, [*itertools.chain(*named), *without])]
        free = _novel_last(free, np.isin(free, only_base), sum(drawn[:2]), sum(drawn[2:]))
        groups = []
        for number, labels in zip(drawn, named):
            groups.append(np.sort(np.array([*labels, *free[:number]], dtype=np.int64)))
            free = free[number:]
        base_half_1, base_half_2, novel_half_1, novel_half_2 = groups
        return cls(base_half_1, base_half_2, novel_half_1, novel_half_2, class_names)

    @classmethod
    def from_json(cls, path: str | Path) -> ClassSplit:
        """Read the original's ``label_idx.json``.

        Raises:
            InputError: A key is missing or no list, ``base_classes`` is not the union of its halves, or the groups are
                wrong; the message names the file.
        """
        value = read_json(path, "class split")
        if not isinstance(value, dict):
            raise InputError(f"class split {path} holds a {type(value).__name__}: expected an object")
        for key in (*GROUPS, "base_classes", "label_names"):
            if not isinstance(value.get(key), list):
                raise InputError(f"class split {path} needs the key {key!r} with a list")
        try:
            base_1, base_2, novel_1, novel_2 = (value[key] for key in GROUPS)
            split = cls(base_1, base_2, novel_1, novel_2, value["label_names"])
            split._check_union(value["base_classes"])
        except InputError as error:
            raise InputError(f"class split {path}: {error}") from None
        return split

    def to_json(self, path: str | Path) -> None:
        """Write atomically the format that :meth:`from_json` and the original read."""
        groups = dict(zip(GROUPS, self._groups()))
        write_json(path, {**groups, "base_classes": self.base, "label_names": self.label_names}, indent=None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassSplit) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        sizes = "+".join(str(len(group)) for group in self._groups()[:2])
        novel = "+".join(str(len(group)) for group in self._groups()[2:])
        return f"<ClassSplit: base {sizes}, novel {novel} of {self.num_classes} classes>"

    def _groups(self) -> list[np.ndarray]:
        return [self.base_1, self.base_2, self.novel_1, self.novel_2]

    def _group(self, name: str, labels: Any) -> np.ndarray:
        labels = list(labels)
        for label in labels:
            if isinstance(label, bool) or not isinstance(label, int | np.integer):
                raise InputError(f"{name} holds {label!r}, which is no label: expected integers")
            if not 0 <= label < self.num_classes:
                raise InputError(f"{name} holds label {label}, outside 0..{self.num_classes - 1}, the named classes")
        if not labels:
            raise InputError(f"{name} is empty: each half needs at least one class")
        group = np.array(labels, dtype=np.int64)
        found, counts = np.unique(group, return_counts=True)
        if len(twice := found[counts > 1]):
            raise InputError(f"{name} lists {self._some(twice)} more than once")
        return group

    def _check_disjoint(self, groups: list[np.ndarray]) -> None:
        for (one, labels), (other, other_labels) in itertools.combinations(zip(GROUPS, groups), 2):
            if len(shared := np.intersect1d(labels, other_labels)):
                raise InputError(
                    f"{one} and {other} overlap in {self._some(shared)}: a class is base or novel, in one half"
                )

    def _check_union(self, base: list[Any]) -> None:
        if len(wrong := np.setxor1d(self._group("base_classes", base), self.base)):
            raise InputError(
                "base_classes is not the union of base_classes_1 and base_classes_2: "
                f"they differ in {self._some(wrong)}"
            )

    def _some(self, labels: np.ndarray) -> str:
        return f"label {first_few([self.describe(int(label)) for label in labels])}"


def _novel_last(free: np.ndarray, only_base: np.ndarray, n_base: int, n_novel: int) -> np.ndarray:
    """The drawn classes in an order that has the base classes first, and novel ones of which none is ``only_base``.

    The order stays as it is where it does that already, or where no order can.
    """
    if not only_base[n_base : n_base + n_novel].any() or (~only_base).sum() < n_novel or n_base + n_novel > len(free):
        return free
    novel = free[~only_base][-n_novel:]
    rest = free[~np.isin(free, novel)]
    return np.concatenate([rest[:n_base], novel, rest[n_base:]])


def labels_of(names: Sequence[str], class_names: Sequence[str]) -> list[int]:
    """The labels of classes that are chosen by name.

    Raises:
        InputError: No class has one of the names.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    for name in names:
        if name not in label_of:
            raise InputError(
                f"split.base or split.novel names {name!r}, which is no class of the data. "
                f"{did_you_mean(name, class_names)}"
            )
    return [label_of[name] for name in names]


def _shown(halves: Sequence[Half]) -> str:
    return f"({', '.join(str(half) if isinstance(half, int | float) else f'{len(half)} by name' for half in halves)})"


def _fitting(count: int) -> str:
    """The end of a message about a split that does not fit: one that does."""
    if count < 4:
        return ". A split takes four classes at least, a base and a novel one in each half"
    base = count // 4
    novel = (count - 2 * base) // 2
    return f". For {count} classes set split.base=[{base},{base}] split.novel=[{novel},{novel}]"
