"""Other people's torch files, read as data: tensors, numbers, text and plain containers, never code."""

from lowshot.torch_files.loading import load_torch, save_torch

__all__ = ["load_torch", "save_torch"]
