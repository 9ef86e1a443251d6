"""The classes and shots of a recipe that leaves them to the data: drawn so that every class has the images it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowshot.data import ClassSplit
from lowshot.data.halves import Half, whole_numbers
from lowshot.data.splits import labels_of
from lowshot.errors import InputError, first_few
from lowshot.recipe.data_sections import SplitSection

USUAL_SHOTS = (1, 2, 5, 10, 20)
"""The numbers of shots that ``evaluate.n_shots: auto`` chooses from: the paper's."""


FEWEST_CLASSES = 4
_NEEDED = "a split takes four at least: a base and a novel one in each half, to choose on (val) and to report (test)"


def check_count_of_classes(data: str, names: Sequence[str]) -> None:
    """Refuse data with too few classes for any split.

    Args:
        data (str): The name of the data in the message.
        names (sequence of str): The names of the classes.

    Raises:
        InputError: There are fewer than four.
    """
    if len(names) >= FEWEST_CLASSES:
        return
    advice = "Set data.root to a folder with more class folders (data.options.class_depth=2 for folders in folders)"
    if len(names) == 1:
        raise InputError(f"{data} has one class only, {names[0]!r}: there is nothing to tell it from. {advice}")
    raise InputError(f"{data} has {len(names)} classes, but {_NEEDED}. {advice}")


@dataclass(frozen=True)
class Classes:
    """The classes of a data set and the number of their images.

    Attributes:
        data (str): The name of the data in messages.
        names (list of C str): The names of the classes.
        train (int64, (C,)): The number of training images of each.
        test (int64, (C,)): The number of test images of each.
    """

    data: str
    names: list[str]
    train: np.ndarray
    test: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """(C,) bool: True for classes with at least one image in each part, which alone can take part."""
        usable: np.ndarray = (self.train > 0) & (self.test > 0)
        return usable

    def check_enough(self) -> None:
        """Refuse data with fewer than four classes that can take part.

        Raises:
            InputError: There are too few; the message says which classes are too small.
        """
        check_count_of_classes(self.data, self.names)
        if (enough := int(self.usable.sum())) < FEWEST_CLASSES:
            small = [self._counted(int(label)) for label in np.flatnonzero(~self.usable)]
            raise InputError(
                f"{self.data} has {len(self.names)} classes, of which {enough} have an image to train and one to test "
                f"on, but {_NEEDED}. Too small: {first_few(small)}. Give them a second image, or hold out fewer with "
                "data.options.test_per_class=auto"
            )

    def halves(self, section: SplitSection) -> tuple[tuple[Half, Half], tuple[Half, Half]]:
        """The base and novel classes of each half that a recipe asks for; by default a quarter of the classes each."""
        count = int(self.usable.sum())
        quarter = count // 4
        base, novel = section.base, section.novel
        if base is None and novel is None:
            return (quarter, quarter), (quarter, quarter)
        if base is None or novel is None:
            given = whole_numbers(base or novel or (1, 1), (1, 1), count)[0]
            rest = max(1, min(quarter, (count - sum(map(_size, given))) // 2))
            base, novel = base or (rest, rest), novel or (rest, rest)
        return whole_numbers(base, novel, count)

    def n_shots(self, section: SplitSection) -> tuple[int, ...]:
        """The usual numbers of shots for which enough classes have images.

        Raises:
            InputError: No class that could be novel has an image to spare, or a named class does not exist.
        """
        base, novel = self.halves(section)
        named = [labels_of(half, self.names) if isinstance(half, tuple | list) else [] for half in (*base, *novel)]
        drawn = sum(half for half in novel if isinstance(half, int))
        free = self.usable.copy()
        free[[label for labels in named for label in labels]] = False
        sizes = np.sort(self.train[free])[::-1]
        room = [int(self.train[label]) for labels in named[2:] for label in labels]
        room += [int(sizes[min(drawn, len(sizes)) - 1])] if drawn and len(sizes) else []
        return self.fitting_shots(min(room, default=0), section.max_shots)

    def fitting_shots(self, room: int, max_shots: int) -> tuple[int, ...]:
        """The usual numbers of shots up to those that the smallest novel class has.

        Raises:
            InputError: It has none.
        """
        if room < 1:
            raise InputError(
                f"{self.data}: no number of shots fits, because a novel class has no training image: name other "
                "classes in split.novel, or hold out fewer images with data.options.test_per_class=auto"
            )
        return tuple(n for n in USUAL_SHOTS if n <= min(room, max_shots))

    def draw(self, section: SplitSection, seed: int, n_shots: int) -> ClassSplit:
        """Draw the classes of a recipe.

        Classes with too few images are drawn as base classes alone, and those without an image in either part not at
        all, if there are enough others: a plain draw that has none of them where it matters is kept.

        Args:
            section (SplitSection): The classes asked for.
            seed (int): The seed of the draw.
            n_shots (int): The training images that a novel class needs.

        Raises:
            InputError: There are too few classes, or more are asked for than there are.
        """
        self.check_enough()
        base, novel = self.halves(section)
        plain = self.plain_draw(section, seed)
        if self._fits(plain, n_shots):
            return plain
        only_base = np.flatnonzero(self.train < n_shots)
        try:
            fitted = ClassSplit.random(
                self.names, base, novel, seed, only_base=only_base, without=np.flatnonzero(~self.usable)
            )
        except InputError:  # too few classes are left; the caller says which are too small
            return plain
        return fitted if self._fits(fitted, n_shots) else plain

    def plain_draw(self, section: SplitSection, seed: int) -> ClassSplit:
        """Draw the classes of a recipe without a look at the number of their images."""
        base, novel = self.halves(section)
        return ClassSplit.random(self.names, base, novel, seed)

    def unused(self, split: ClassSplit) -> list[str]:
        """The classes that take no part because a part lacks images of them, with the number of their images."""
        taking_part = np.isin(np.arange(len(self.names)), [*split.base, *split.novel])
        return [self._counted(int(label)) for label in np.flatnonzero(~self.usable & ~taking_part)]

    def _fits(self, split: ClassSplit, n_shots: int) -> bool:
        everything = np.concatenate([split.base, split.novel])
        return bool(self.usable[everything].all() and (self.train[split.novel] >= n_shots).all())

    def _counted(self, label: int) -> str:
        count = int(self.train[label] + self.test[label])
        return f"{self.names[label]} ({count} image{'' if count == 1 else 's'})"


def _size(half: Half) -> int:
    return half if isinstance(half, int) else len(half) if isinstance(half, Sequence) else 0
