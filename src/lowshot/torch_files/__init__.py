"""Reading and writing torch files as data: tensors, numbers, text and plain containers, never code.

``loading`` reads and writes; ``numpy_arrays`` lets it read arrays, ``python2`` what Python 2 wrote; ``refusals`` explains
why a file is not read.
"""

from lowshot.torch_files.loading import load_torch, save_torch

__all__ = ["load_torch", "save_torch"]
