"""A features file is taken for what is in it: nothing elsewhere, nothing that was never written, nothing huge."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.features import FeatureStore, layout

FEATURES = np.arange(40, dtype="f4").reshape(10, 4)
LABELS = np.arange(10, dtype="i4")
NAMES = [b"p%d" % row for row in range(10)]
CONTENT = {"all_feats": FEATURES, "all_labels": LABELS, "count": np.array([10], "i4"), "image_paths": NAMES}
EVERY = list(CONTENT)


def file_with(path: Path, name: str, put: Callable[[h5py.File], object], **options: object) -> Path:
    """A features file of which ``put`` makes one data set."""
    with h5py.File(path, "w", **options) as file:
        for other, value in CONTENT.items():
            if other != name:
                file[other] = value
        put(file)
    return path


def read(path: Path) -> np.ndarray:
    """All that can be read of a features file."""
    store = FeatureStore.open(path)
    _ = store.paths, store.class_names
    return store.rows(range(len(store)))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another HDF5 file, with other numbers in data sets of the same names."""
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["padding"] = np.zeros(1000)
        for name, value in CONTENT.items():
            file[name] = value
        file["all_feats"][...] = 777
    return path


@pytest.mark.parametrize("name", EVERY)
def test_a_link_into_another_file_is_refused(tmp_path: Path, other: Path, name: str) -> None:
    for target in (str(other), "missing.h5", "/etc/passwd"):
        path = file_with(
            tmp_path / "f.h5", name, lambda f, t=target: f.__setitem__(name, h5py.ExternalLink(t, f"/{name}"))
        )
        with pytest.raises(InputError, match=rf"f\.h5: {name} is a link into another file"):
            read(path)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("target", ["/hidden", "/missing", "SELF"])
def test_a_link_within_the_file_and_a_loop_of_links_are_refused(tmp_path: Path, name: str, target: str) -> None:
    def put(file: h5py.File) -> None:
        file["hidden"] = CONTENT[name]
        file[name] = h5py.SoftLink(target.replace("SELF", f"/{name}"))

    with pytest.raises(InputError, match=rf"f\.h5: {name} is a link"):
        read(file_with(tmp_path / "f.h5", name, put))


@pytest.mark.parametrize("name", ["all_feats", "all_labels", "count"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_virtual_data_set_is_refused_whether_its_sources_are_there_or_not(
    tmp_path: Path, other: Path, name: str, missing: bool
) -> None:
    value = np.asarray(CONTENT[name])
    virtual = h5py.VirtualLayout(value.shape, value.dtype)
    virtual[:] = h5py.VirtualSource("missing.h5" if missing else str(other), name, value.shape)
    path = file_with(tmp_path / "f.h5", name, lambda f: f.create_virtual_dataset(name, virtual))
    with pytest.raises(InputError, match=f"{name} is a virtual data set"):
        read(path)


@pytest.mark.parametrize("name", ["all_feats", "all_labels", "count"])
def test_external_storage_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "numbers.bin").write_bytes(bytes(1000))
    value = np.asarray(CONTENT[name])

    def put(file: h5py.File) -> None:
        file.create_dataset(name, value.shape, value.dtype, external=[("numbers.bin", 0, h5py.h5f.UNLIMITED)])

    with pytest.raises(InputError, match=f"{name} is stored outside the file"):
        read(file_with(tmp_path / "f.h5", name, put))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("chunks", [None, True])
def test_a_data_set_that_was_never_written_is_refused(tmp_path: Path, name: str, chunks: bool | None) -> None:
    value = np.asarray(CONTENT[name])
    dtype = h5py.string_dtype() if name == "image_paths" else value.dtype
    for options in ({}, {"userblock_size": 512}):
        path = file_with(
            tmp_path / "f.h5", name, lambda f: f.create_dataset(name, value.shape, dtype, chunks=chunks), **options
        )
        with pytest.raises(InputError, match=f"{name} was never written"):
            read(path)


def test_a_writer_that_stopped_too_early_is_noticed(tmp_path: Path) -> None:
    def put(file: h5py.File) -> None:
        file.create_dataset("all_feats", FEATURES.shape, "f4", chunks=(2, 4))[:6] = 1

    with pytest.raises(InputError, match="all_feats has only 3 of the 5 chunks of its 10 rows"):
        read(file_with(tmp_path / "f.h5", "all_feats", put))


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 2)}, {"chunks": (4, 4), "compression": "gzip"}])
@pytest.mark.parametrize("file_options", [{}, {"userblock_size": 512}, {"libver": "latest"}])
def test_every_way_to_store_rows_in_the_file_is_read(
    tmp_path: Path, options: dict[str, object], file_options: dict[str, object]
) -> None:
    path = file_with(
        tmp_path / "f.h5",
        "all_feats",
        lambda f: f.create_dataset("all_feats", data=FEATURES, **options),
        **file_options,
    )
    np.testing.assert_array_equal(read(path), FEATURES)
    np.testing.assert_array_equal(FeatureStore.open(path).features, FEATURES)


def test_a_compact_data_set_is_read(tmp_path: Path) -> None:
    def put(file: h5py.File) -> None:
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(FEATURES.shape)
        h5py.h5d.create(file.id, b"all_feats", h5py.h5t.IEEE_F32LE, space, how).write(
            h5py.h5s.ALL, h5py.h5s.ALL, FEATURES
        )

    np.testing.assert_array_equal(read(file_with(tmp_path / "f.h5", "all_feats", put)), FEATURES)


@pytest.mark.parametrize("type_", ["f8", ">f4", "f2", "<f4"])
def test_other_floats_are_read_as_float32(tmp_path: Path, type_: str) -> None:
    path = file_with(tmp_path / "f.h5", "all_feats", lambda f: f.__setitem__("all_feats", FEATURES.astype(type_)))
    assert FeatureStore.open(path).features.dtype == np.float32
    np.testing.assert_array_equal(read(path), FEATURES)


def test_huge_declared_sizes_take_neither_memory_nor_time(tmp_path: Path) -> None:
    def declared(path: Path, rows: int, dim: int, **options: object) -> Path:
        with h5py.File(path, "w") as file:
            file.create_dataset("all_feats", (rows, dim), "f4", **options)
            file.create_dataset("all_labels", (rows,), "i4", chunks=(min(rows, 1024),))
            file["count"] = np.array([rows], "i8")
            file["all_feats"][0, :4] = 1
            file["all_labels"][:4] = 1
        return path

    cases = [
        (declared(tmp_path / "rows.h5", 2**40, 4, chunks=(1024, 4)), "declares 1099511627776 rows of 4"),
        (declared(tmp_path / "dim.h5", 10, 2**30, chunks=(1, 1024)), "rows of 1073741824 numbers"),
        (declared(tmp_path / "large.h5", 600, 2**17, chunks=(600, 2**17), compression="gzip"), "chunks of 314572800"),
    ]
    for path, message in cases:
        with pytest.raises(InputError, match=rf"{path.name}.*{message}"):
            read(path)


@pytest.mark.parametrize("name", ["image_paths", "class_names"])
def test_text_that_is_not_utf_8_is_refused(tmp_path: Path, name: str) -> None:
    def put(file: h5py.File) -> None:
        file.create_dataset(name, data=[b"\xff\xfe"] * 10, dtype=h5py.string_dtype())

    with pytest.raises(InputError, match=f"{name} holds text that is not UTF-8"):
        read(file_with(tmp_path / "f.h5", name, put))


def test_an_attribute_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = file_with(
        tmp_path / "f.h5", "", lambda f: f.attrs.create("backbone", b"\xff\xfe", dtype=h5py.string_dtype())
    )
    with pytest.raises(InputError, match="an attribute holds text that is not UTF-8"):
        read(path)


def test_attributes_of_any_type_do_not_matter(tmp_path: Path) -> None:
    path = file_with(tmp_path / "f.h5", "", lambda f: f.attrs.update({"backbone": "ResNet10", "epoch": 3}))
    with h5py.File(path, "a") as file:
        file.attrs["array"] = np.zeros((3, 3))
        file.attrs["empty"] = h5py.Empty("f4")
        file.attrs["reference"] = file["count"].ref
        file.attrs["bytes"] = np.bytes_(b"\xff")
    assert FeatureStore.open(path).attributes == {"backbone": "ResNet10", "epoch": 3}


OPEN = "import sys; from lowshot.features import FeatureStore; FeatureStore.open(sys.argv[1])"


def test_a_file_that_is_open_for_writing_elsewhere_is_called_so(tmp_path: Path) -> None:
    path = file_with(tmp_path / "f.h5", "", lambda f: None)
    writer = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", writer, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match=r"f\.h5 is open for writing in another program: close it there"):
            FeatureStore.open(path)
        other.communicate(b"")
    read(path)  # what the message advises


def test_a_lock_that_no_writer_holds_is_ignored_as_the_message_advises(tmp_path: Path) -> None:
    path = file_with(tmp_path / "f.h5", "", lambda f: None)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="environment variable HDF5_USE_FILE_LOCKING=FALSE"):
            FeatureStore.open(path)
        advised = {**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"}
        subprocess.run([sys.executable, "-c", OPEN, path], check=True, env=advised)


def test_a_file_whose_writer_was_killed_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    writer = (
        "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver='latest'); f.flush(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", writer, path])
    with pytest.raises(InputError, match="its writer still runs, or was killed"):
        FeatureStore.open(path)


# ------------------------------------------------------------------------------------- texts, read without HDF5

VERSIONS = [{}, {"libver": "earliest"}, {"libver": ("v108", "v108")}, {"libver": "latest"}, {"userblock_size": 1024}]
TEXTS = ["", "a", "é\u4e2d", "x" * 5000, "GCOL\x01", "same", "same", *(f"{n:08d}" for n in range(3000))]


@pytest.mark.parametrize("options", VERSIONS)
def test_texts_are_read_as_hdf5_reads_them(tmp_path: Path, options: dict[str, object]) -> None:
    with h5py.File(tmp_path / "t.h5", "w", **options) as file:
        file.create_dataset("texts", data=TEXTS, dtype=h5py.string_dtype())
        file["fixed"] = np.array([text.encode() for text in TEXTS])
    with layout.opened(tmp_path / "t.h5") as file:
        assert layout.texts(file, tmp_path / "t.h5", "texts") == file["texts"].asstr()[:].tolist() == TEXTS
        assert layout.texts(file, tmp_path / "t.h5", "texts", 4) == TEXTS[:4]
        assert layout.texts(file, tmp_path / "t.h5", "fixed") == TEXTS
        assert layout.texts(file, tmp_path / "t.h5", "none") is None


@pytest.mark.parametrize("number", [1, 7, 8])
@pytest.mark.parametrize("options", VERSIONS)
def test_attributes_are_read_as_hdf5_reads_them(tmp_path: Path, options: dict[str, object], number: int) -> None:
    values = {f"name é{n}": "value é" * n for n in range(number)} | {"epoch": 3, "share": 0.5, "final": True}
    values = dict(list(values.items())[-8:])  # more would be stored elsewhere in newer versions
    with h5py.File(tmp_path / "a.h5", "w", **options) as file:
        file.attrs.update(values)
        file["x"] = 1
        file.attrs.update({name: value for name, value in values.items() if name.startswith("name")})  # moves them
    with layout.opened(tmp_path / "a.h5") as file:
        assert layout.attributes(file, tmp_path / "a.h5") == values == dict(file.attrs.items())


def test_any_number_of_attributes_of_a_writer_is_read(tmp_path: Path) -> None:
    values = {f"name{n}": f"value{n}" for n in range(100)}
    with FeatureStore.create(tmp_path / "f.h5", 4, **values) as out:
        out.append(FEATURES, LABELS)
    assert FeatureStore.open(tmp_path / "f.h5").attributes.items() >= values.items()


def test_a_damaged_heap_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    """HDF5 itself takes 2 GB for the first kind and never returns from the second."""
    path = file_with(tmp_path / "f.h5", "image_paths", lambda f: f.create_dataset("image_paths", data=["x"] * 10))
    with h5py.File(path, "a") as file:
        file.attrs["backbone"] = "r"
        at = file["image_paths"].id.get_offset()
    good = path.read_bytes()
    heap = int.from_bytes(good[at + 4 : at + 12], "little")
    damages = {
        "a length": (at, 0x7FFFFFFF, 4),
        "an address": (at + 4, 2**62, 8),
        "a collection's size": (heap + 8, 2**62, 8),
        "an object's size": (heap + 24, 2**62, 8),
    }
    for what, (place, value, size) in damages.items():
        path.write_bytes(good[:place] + value.to_bytes(size, "little") + good[place + size :])
        with pytest.raises(InputError, match="damaged"):
            _ = read(path), what
    for place in range(heap + 16, heap + 64):  # numbers and sizes of 0, for one
        path.write_bytes(good[:place] + bytes(8) + good[place + 8 :])
        with contextlib.suppress(InputError):
            read(path)
