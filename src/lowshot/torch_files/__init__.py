"""Reading and writing torch files as data: tensors, numbers, text and plain containers, never code.

``loading`` reads and writes, with the help of ``numpy_arrays`` for arrays and ``python2`` for files of Python 2;
``refusals`` explains why a file is not read.
"""

from lowshot.torch_files.loading import load_torch, save_torch

__all__ = ["load_torch", "save_torch"]
