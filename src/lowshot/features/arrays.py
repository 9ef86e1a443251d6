"""Features and labels in files that lowshot did not write: ``.npy``, ``.npz``, HDF5 of any names, torch, safetensors.

A file is told by its content. Arrays that are stored as they are, those of ``.npy``, of ``np.savez`` and contiguous
ones of HDF5, are memory-mapped; others are read whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from lowshot.errors import InputError, first_few
from lowshot.features import layout
from lowshot.files import file_fingerprint, fingerprint, is_file

_HDF5, _NUMPY, _ZIP = b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes of a zip member before its name, whose length is in the last but one field
_MAX_RATIO = 200  # of unpacked to packed bytes; features compress less than that
_SMALL = 2**26  # bytes that are unpacked whatever they were packed to


@dataclass(frozen=True)
class FeatureFiles:
    """The files of the features and of the labels of one part, which may be one file.

    Args:
        features (str): The file of the features (N, D). A name after a colon says which of the file's arrays they are,
            as in ``train.npz:embeddings``; without one it is the only array, or the one that is called "features".
        labels (str): The file of the labels (N,), whole numbers from 0; without a name after a colon it is the only
            array, or the one that is called "labels".
    """

    features: str
    labels: str

    @property
    def files(self) -> tuple[Path, Path]:
        """The path of each file, without the names of arrays."""
        return _parted(self.features)[0], _parted(self.labels)[0]

    @property
    def names(self) -> list[str | None]:
        """The name of the array of features and of that of labels, None where there is no choice."""
        return [_parted(spec)[1] for spec in (self.features, self.labels)]

    @property
    def fingerprint(self) -> str:
        """The digest of the content of the files and of the names of the arrays."""
        return fingerprint(self.names, *(file_fingerprint(path) for path in self.files))

    def absolute(self) -> FeatureFiles:
        """The same files for a process in another working folder."""
        return FeatureFiles(*(str(Path(spec).absolute()) for spec in (self.features, self.labels)))

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Open the arrays.

        Returns:
            The features (N, D) of any dtype of numbers, memory-mapped where their file allows, and the labels (N,)
            int64.

        Raises:
            InputError: A file is missing, damaged or of no known kind, has no such array, or the arrays have other
                shapes or types.
        """
        features = _read(self.features, "features")
        labels = _read(self.labels, "labels")
        if features.ndim != 2 or features.dtype.kind not in "fiu" or not features.size:
            raise InputError(f"{self.features}: expected numbers (rows, D), got {features.shape} {features.dtype}")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise InputError(
                f"{self.labels}: expected whole numbers (rows,), got {labels.shape} {labels.dtype}: save the labels "
                "with astype('int64'), numbered from 0"
            )
        if len(features) != len(labels):
            raise InputError(f"{self.features} has {len(features)} rows, but {self.labels} {len(labels)} labels")
        if features.shape[1] > layout.MAX_DIM:
            raise InputError(f"{self.features}: {features.shape[1]} features a row; at most {layout.MAX_DIM} are read")
        return features, labels.astype(np.int64)


@dataclass(frozen=True)
class _Array:
    """An array of an open file, not yet read."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


def _read(spec: str, usual: str) -> np.ndarray:
    """The array that a specification names."""
    path, name = _parted(spec)
    if not is_file(path):
        raise InputError(f"{usual} file {path} does not exist")
    with _opened(path) as arrays:
        if name is None:
            name = next(iter(arrays)) if len(arrays) == 1 else usual
        if name not in arrays:
            found = first_few([f"{one} {array}" for one, array in arrays.items()], most=8) or "none"
            raise InputError(
                f"{path} has no array {name!r}. Name one of its arrays after a colon, as in {path}:NAME; there are: "
                f"{found}"
            )
        return arrays[name].read()


def _parted(spec: str) -> tuple[Path, str | None]:
    """The path and the name of an array of ``file:name``; a file whose own name has the colon comes first."""
    before, colon, name = spec.rpartition(":")
    return (Path(before), name) if colon and name and before and not is_file(spec) else (Path(spec), None)


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, _Array]]:
    """The arrays of a file by name.

    Raises:
        InputError: The file is damaged or of no known kind.
    """
    with open(path, "rb") as file:
        head = file.read(16)
    try:
        if head.startswith(_NUMPY):
            yield _in_memory({"array": np.load(path, mmap_mode="r", allow_pickle=False)})
        elif head.startswith(_ZIP) and _is_npz(path):
            with zipfile.ZipFile(path) as archive:
                members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
                yield {info.filename.removesuffix(".npy"): _npz(path, archive, info) for info in members}
        elif head.startswith(_HDF5):
            with layout.opened(path) as stored:
                yield {name: array for name in stored if (array := _hdf5(path, stored, name)) is not None}
        elif head[8:9] == b"{":
            yield _safetensors(path)
        else:
            yield _torch(path)
    except InputError:
        raise
    except Exception as error:  # on damaged bytes readers raise errors of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is truncated or damaged, or holds something else than numbers: {reason}") from None


def _in_memory(arrays: Mapping[str, np.ndarray]) -> dict[str, _Array]:
    return {name: _Array(array.shape, array.dtype, partial(np.asanyarray, array)) for name, array in arrays.items()}


# ------------------------------------------------------------------------------------------------------- NumPy


def _is_npz(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def _npz(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Array:
    """A member of an ``.npz``, which is mapped where it is not packed."""
    with archive.open(info) as member:
        shape, fortran_order, dtype = _npy_header(member)
        start = member.tell()
    if dtype.hasobject or start + int(np.prod(shape, dtype=object)) * dtype.itemsize != info.file_size:
        raise InputError(f"{path}: {info.filename} holds Python objects, or is of another size than it declares")

    def mapped() -> np.ndarray:
        order: Any = "F" if fortran_order else "C"
        return np.memmap(path, dtype, "r", _position(path, info) + start, shape, order)

    def unpacked() -> np.ndarray:
        _check_packing(path, info.filename, info.compress_size, info.file_size)
        with archive.open(info) as member:
            array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
        return array

    return _Array(shape, dtype, mapped if info.compress_type == zipfile.ZIP_STORED else unpacked)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype] = read(file)
    return header


def _position(path: Path, info: zipfile.ZipInfo) -> int:
    """The position of a member's bytes; its own header may be of another length than the directory says."""
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
    return info.header_offset + _LOCAL_HEADER + sum(int.from_bytes(header[i : i + 2], "little") for i in (26, 28))


def _check_packing(path: Path, name: str, packed: int, unpacked: int) -> None:
    if unpacked > max(_SMALL, _MAX_RATIO * packed):
        raise InputError(f"{path}: {name} unpacks from {packed} to {unpacked} bytes, which no features do")


# -------------------------------------------------------------------------------------- HDF5, torch, safetensors


def _hdf5(path: Path, file: h5py.File, name: str) -> _Array | None:
    """A data set of numbers, or None for anything else under that name."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        return None
    rank, dtype = file[name].ndim, file[name].dtype
    if not rank or dtype.kind not in "fiu":
        return None

    def read() -> np.ndarray:
        found = layout.dataset(file, path, name, rank, "fiu")
        layout.require_rows(found, path, len(found))
        if (offset := layout.contiguous_at(found)) is not None:
            return np.memmap(path, found.dtype, "r", offset, found.shape)
        _check_packing(path, name, found.id.get_storage_size(), found.size * found.dtype.itemsize)
        array: np.ndarray = found[...]
        return array

    return _Array(file[name].shape, dtype, read)


def _safetensors(path: Path) -> dict[str, _Array]:
    from safetensors.torch import load_file

    return _in_memory({name: array for name, value in load_file(path).items() if (array := _numpy(value)) is not None})


def _torch(path: Path) -> dict[str, _Array]:
    from lowshot.torch_files import load_torch

    content = load_torch(path, "file")
    named = content if isinstance(content, Mapping) else {"array": content}
    return _in_memory({str(name): array for name, value in named.items() if (array := _numpy(value)) is not None})


def _numpy(value: Any) -> np.ndarray | None:
    """A tensor or array of numbers as an array; None for anything else."""
    import torch

    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_complex():
        return None
    value = value.detach()
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        raise InputError("a tensor repeats its numbers: save it with .clone()")
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
