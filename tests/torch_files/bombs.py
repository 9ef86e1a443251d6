"""Objects that run code when they are unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np


class Bomb:
    """Writes a marker file when it is unpickled: the least that code in a pickle could do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


class Eval(Bomb):
    def __reduce__(self):
        return (eval, (f"open({str(self.marker)!r}, 'w')",))


class Hidden(Bomb):
    """Asks an object array of numpy to bring the bomb along."""

    def __reduce__(self):
        array = np.empty(1, dtype=object)
        array[0] = Bomb(self.marker)
        return array.__reduce__()
