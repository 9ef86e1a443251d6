"""Mining on the CPU by a small C kernel, compiled by the machine's own compiler on first use.

It is several times faster than the same cascade in eager torch (benchmarks/mining.py) or through ``torch.compile``, is
built in a fraction of a second where that takes half a minute, and is no dependency: without a compiler,
:mod:`lowshot.hallucination.analogies.eager` computes the same.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from lowshot.files import commit, fingerprint, is_file
from lowshot.hallucination.analogies.pairs import TIE, Best, PairTable

SOURCE = Path(__file__).with_name("kernel.c")
LANES = 16  # as in kernel.c
BLOCK_VALUES = 2**21
# Maxima over finite numbers: this is what lets the compiler turn `a > b ? a : b` into one vector instruction.
MATHS = ("-ffinite-math-only", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=off")
TARGETS: tuple[tuple[str, ...], ...] = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ())


@functools.cache
def compiler() -> tuple[str, ...] | None:
    """The command of the C compiler: ``$CC``, else cc, gcc or clang; None where there is none."""
    if wanted := os.environ.get("CC"):
        command = shlex.split(wanted)
        return tuple(command) if shutil.which(command[0]) else None
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    return (found,) if found else None


@functools.cache
def load_kernel() -> ctypes.CDLL | None:
    """The compiled kernel, built once per machine in the user's cache folder; None where it cannot be built."""
    command = compiler()
    if command is None or os.name != "posix":
        return None
    for target in TARGETS:
        flags = ("-O3", "-std=c11", *MATHS, *target, "-shared", "-fPIC")
        # The macros of the target name the instructions it has, so that unlike machines with a common home folder build
        # a file each.
        probe = subprocess.run([*command, *flags, "-dM", "-E", "-xc", os.devnull], capture_output=True)
        if probe.returncode:
            continue
        name = f"mining-{fingerprint(SOURCE.read_bytes(), list(flags), probe.stdout)}.so"
        for folder in (_cache_folder(), None):
            try:
                return _declare(_built(name, [*command, *flags], folder))
            except (OSError, subprocess.CalledProcessError):
                continue
    return None


class NativeMiner:
    """Finds the best partners of one class at a time; several threads may use one instance.

    Args:
        table (PairTable): The centroids.
        kernel (ctypes.CDLL): The compiled kernel.
    """

    def __init__(self, table: PairTable, kernel: ctypes.CDLL) -> None:
        self.table = table
        self.kernel = kernel
        sizes = np.diff(table.start)
        self.stride = (sizes + LANES - 1) // LANES * LANES
        self.table_at = np.concatenate([[0], np.cumsum(sizes * self.stride)])
        self.row_at = np.concatenate([[0], np.cumsum(self.stride)])
        self.wide = np.zeros(self.table_at[-1])
        self.largest = np.zeros(self.row_at[-1], np.float32)
        self.widest = np.zeros(len(sizes))
        for c, inverse in enumerate(table.inverse_norms):
            rows = self.wide[self.table_at[c] : self.table_at[c + 1]].reshape(sizes[c], self.stride[c])
            rows[:, : sizes[c]] = inverse
            self.largest[self.row_at[c] : self.row_at[c] + sizes[c]] = inverse.max(axis=1)
            self.widest[c] = inverse.max()
        self.narrow = self.wide.astype(np.float32)

    def best_of(self, row: int) -> Best:
        """Find the best partner of every pair of centroids of class ``row`` among the pairs of all other classes."""
        table, start = self.table, self.table.start
        own = table.moved[start[row] : start[row + 1]]
        best = Best.none(len(own) * (len(own) - 1) // 2)
        for first, last in table.blocks(row, BLOCK_VALUES):
            products = own @ table.moved[start[first] : start[last]].T
            failed = self.kernel.fold_classes(
                row, first, last, products, products.shape[1], start, self.stride, self.table_at, self.row_at,
                self.wide, self.narrow, self.largest, self.widest, TIE, best.scores, best.classes, best.partners,
            )  # fmt: skip
            if failed:
                raise MemoryError("no memory for the work space of mining")
        return best


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    integer = ctypes.c_int64
    integers, doubles, floats = (
        np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS") for dtype in (np.int64, np.float64, np.float32)
    )
    library.fold_classes.restype = ctypes.c_int
    library.fold_classes.argtypes = [
        integer, integer, integer, doubles, integer, integers, integers, integers, integers,
        doubles, floats, floats, doubles, ctypes.c_double, doubles, integers, integers,
    ]  # fmt: skip
    return library


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lowshot"


def _built(name: str, command: list[str], folder: Path | None) -> ctypes.CDLL:
    """Load ``name`` from ``folder``, compiled first if it is not there; without a folder, from a temporary one."""
    if folder is not None and is_file(folder / name):
        return ctypes.CDLL(str(folder / name))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as work:
        fresh = Path(work) / name
        subprocess.run([*command, str(SOURCE), "-o", str(fresh), "-lm"], check=True, capture_output=True)
        library = ctypes.CDLL(str(fresh))
        if folder is not None:
            commit(fresh, folder / name)
        return library
