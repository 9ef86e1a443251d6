"""Features and labels in files of other programs are read like a features file, whatever their format."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.numpy
import torch

from lowshot.errors import InputError
from lowshot.features import FeatureFiles, FeatureStore

X = np.random.default_rng(0).normal(size=(50, 4)).astype("f4")
Y = np.repeat(np.arange(10), 5)


def npy(folder: Path, x: Any, y: Any) -> FeatureFiles:
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return FeatureFiles(str(folder / "x.npy"), str(folder / "y.npy"))


def npz(folder: Path, x: Any, y: Any, save: Callable[..., None] = np.savez) -> FeatureFiles:
    save(folder / "xy.npz", features=x, labels=y, other=x)
    return FeatureFiles(str(folder / "xy.npz"), str(folder / "xy.npz"))


def packed(folder: Path, x: Any, y: Any) -> FeatureFiles:
    return npz(folder, x, y, np.savez_compressed)


def hdf5(folder: Path, x: Any, y: Any, **options: Any) -> FeatureFiles:
    with h5py.File(folder / "xy.h5", "w") as file:
        file.create_dataset("emb", data=x, **options)
        file["targets"] = y
    return FeatureFiles(f"{folder / 'xy.h5'}:emb", f"{folder / 'xy.h5'}:targets")


def gzipped(folder: Path, x: Any, y: Any) -> FeatureFiles:
    return hdf5(folder, x, y, chunks=(3, 2), compression="gzip")


def pt(folder: Path, x: Any, y: Any) -> FeatureFiles:
    torch.save({"features": torch.from_numpy(x), "labels": torch.from_numpy(y)}, folder / "xy.pt")
    return FeatureFiles(str(folder / "xy.pt"), str(folder / "xy.pt"))


def bare_pt(folder: Path, x: Any, y: Any) -> FeatureFiles:
    torch.save(torch.from_numpy(x), folder / "x.pt")
    torch.save(torch.from_numpy(y), folder / "y.pt")
    return FeatureFiles(str(folder / "x.pt"), str(folder / "y.pt"))


def tensors(folder: Path, x: Any, y: Any) -> FeatureFiles:
    safetensors.numpy.save_file({"features": x, "labels": y}, folder / "xy.safetensors")
    return FeatureFiles(str(folder / "xy.safetensors"), str(folder / "xy.safetensors"))


FORMATS = [npy, npz, packed, hdf5, gzipped, pt, bare_pt, tensors]


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("write", FORMATS)
def test_every_format_is_read_like_a_features_file(
    tmp_path: Path, write: Callable[..., FeatureFiles], dtype: str
) -> None:
    store = FeatureStore.open(write(tmp_path, X.astype(dtype), Y))
    wanted = X.astype(dtype).astype("f4")
    np.testing.assert_array_equal(store.features, wanted)
    np.testing.assert_array_equal(store.labels, Y)
    np.testing.assert_array_equal(store.rows([40, 3, 3]), wanted[[40, 3, 3]])
    assert (store.features.dtype, store.labels.dtype, store.dim, len(store)) == (np.float32, np.int64, 4, 50)
    assert (store.paths, store.class_names, store.attributes) == (None, None, {})
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.rows([7]), wanted[[7]])
    assert again.fingerprint == store.fingerprint


@pytest.mark.parametrize("write", [npy, npz, hdf5])
def test_what_stands_in_a_file_as_it_is_is_memory_mapped(tmp_path: Path, write: Callable[..., FeatureFiles]) -> None:
    assert isinstance(FeatureStore.open(write(tmp_path, X, Y)).features, np.memmap)


@pytest.mark.parametrize("write", [npy, npz])
def test_columns_first_are_read_right(tmp_path: Path, write: Callable[..., FeatureFiles]) -> None:
    np.testing.assert_array_equal(FeatureStore.open(write(tmp_path, np.asfortranarray(X), Y)).features, X)


def test_bfloat16_of_torch_becomes_float32(tmp_path: Path) -> None:
    torch.save({"features": torch.from_numpy(X).bfloat16(), "labels": torch.from_numpy(Y)}, tmp_path / "xy.pt")
    store = FeatureStore.open(FeatureFiles(str(tmp_path / "xy.pt"), str(tmp_path / "xy.pt")))
    np.testing.assert_array_equal(store.features, torch.from_numpy(X).bfloat16().float().numpy())


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first = FeatureStore.open(npy(tmp_path / "a", X, Y)).fingerprint
    assert FeatureStore.open(npy(tmp_path / "b", X, Y)).fingerprint == first
    assert FeatureStore.open(npy(tmp_path / "c", X, Y[::-1])).fingerprint != first


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[0], Y, "expected numbers .rows, D., got .4,. float32"),
        (X[:, :0], Y, "expected numbers"),
        (X, Y[:-1], "has 50 rows, but .* 49 labels"),
        (X, Y.astype("f4"), r"expected whole numbers .*save the labels with astype\('int64'\)"),
        (X, Y[:, None], "expected whole numbers"),
        (X, Y - 1, "row 0 has label -1, below 0"),
    ],
)
@pytest.mark.parametrize("write", [npy, npz, hdf5, pt])
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, write: Callable[..., FeatureFiles], x: Any, y: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FeatureStore.open(write(tmp_path, np.ascontiguousarray(x), np.ascontiguousarray(y)))


def test_nan_is_refused_with_its_row(tmp_path: Path) -> None:
    x = X.copy()
    x[6, 3] = np.nan
    with pytest.raises(InputError, match=r"x\.npy: row 6 holds NaN"):
        FeatureStore.open(npy(tmp_path, x, Y)).check_finite()


@pytest.mark.parametrize("write", [npz, packed, hdf5, pt, tensors])
def test_an_unknown_name_is_answered_with_those_there_are_and_one_of_them_helps(
    tmp_path: Path, write: Callable[..., FeatureFiles]
) -> None:
    good = write(tmp_path, X, Y)
    path = good.files[0]
    with pytest.raises(InputError, match=r"has no array 'none'\. Name one of its arrays after a colon") as caught:
        FeatureStore.open(FeatureFiles(f"{path}:none", good.labels))
    listed = str(caught.value).partition("there are: ")[2]
    (name,) = re.findall(r"(features|emb) \(50, 4\) float32", listed)
    FeatureStore.open(FeatureFiles(f"{path}:{name}", good.labels))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels file .*none\.npy does not exist"):
        FeatureStore.open(FeatureFiles(npy(tmp_path, X, Y).features, str(tmp_path / "none.npy")))


class Ran:
    def __reduce__(self) -> Any:
        return print, ("this must not run",)


def test_nothing_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = npy(tmp_path, X, Y)
    objects = np.array([Ran()] * 50, object)
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "objects.npz", labels=objects, allow_pickle=True)
    (tmp_path / "objects.pt").write_bytes(pickle.dumps({"labels": Ran()}))
    for name in ("objects.npy", "objects.npz", "objects.pt"):
        with pytest.raises(InputError, match=name):
            FeatureStore.open(FeatureFiles(good.features, str(tmp_path / name)))
    assert "must not run" not in capsys.readouterr().out


def test_declared_sizes_beyond_the_file_are_refused(tmp_path: Path) -> None:
    good = npy(tmp_path, X, Y)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**50, 2**10)})
    (tmp_path / "huge.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("features.npy", header.getvalue())
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        zeros = io.BytesIO()
        np.save(zeros, np.zeros((20_000, 1000), "f4"))
        archive.writestr("features.npy", zeros.getvalue())
    torch.save({"features": torch.zeros(1, 1).expand(2**20, 2**20)}, tmp_path / "huge.pt")
    for name, message in (
        ("huge.npy", "damaged"),
        ("huge.npz", "another size than it declares"),
        ("bomb.npz", "unpacks from"),
        ("huge.pt", "repeats its numbers"),
    ):
        with pytest.raises(InputError, match=f"{name}.*{message}|{message}"):
            FeatureStore.open(FeatureFiles(str(tmp_path / name), good.labels))


@pytest.mark.parametrize("write", FORMATS)
def test_a_truncated_file_is_refused(tmp_path: Path, write: Callable[..., FeatureFiles]) -> None:
    source = write(tmp_path, X, Y)
    content = source.files[0].read_bytes()
    for size in (0, 5, 20, len(content) // 2, len(content) - 9):
        source.files[0].write_bytes(content[:size])
        with pytest.raises(InputError):
            FeatureStore.open(source)
