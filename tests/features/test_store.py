from __future__ import annotations

import pickle
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.features import FeatureStore

CLASS_NAMES = ["ant", "bee", "çat"]


def rows(n: int = 10, dim: int = 4) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, dim)).astype(np.float32), rng.integers(0, 3, n), [f"b/{i}-é.png" for i in range(n)]


def write(path: Path, capacity: int | None = 10, **options: object) -> Path:
    features, labels, paths = rows()
    with FeatureStore.create(path, 4, capacity, class_names=CLASS_NAMES, backbone="ResNet10", **options) as out:
        out.append(features[:7], labels[:7], paths[:7])
        out.append(features[7:], labels[7:], paths[7:])
    return path


def original(path: Path, **changed: object) -> Path:
    """A file as the original program writes it, padded to 12 rows, with data sets replaced or (None) left out."""
    features, labels, _ = rows(12)
    labels[10:], features[10:] = -7, np.nan
    content = {"all_feats": features, "all_labels": labels.astype("int32"), "count": np.array([10], "int32")}
    with h5py.File(path, "w") as file:
        for name, value in {**content, **changed}.items():
            if value is not None:
                file[name] = value
    return path


@pytest.mark.parametrize("capacity", [10, 15, None])
def test_what_is_written_is_read(tmp_path: Path, capacity: int | None) -> None:
    store = FeatureStore.open(write(tmp_path / "f.h5", capacity))
    features, labels, paths = rows()
    np.testing.assert_array_equal(store.features, features)
    np.testing.assert_array_equal(store.labels, labels)
    assert (store.features.dtype, store.labels.dtype) == (np.float32, np.int64)
    assert (len(store), store.dim, store.paths, store.class_names) == (10, 4, paths, CLASS_NAMES)
    assert store.attributes["backbone"] == "ResNet10"
    store.check_finite()


def test_the_original_program_finds_its_layout(tmp_path: Path) -> None:
    features, labels, _ = rows()
    with h5py.File(write(tmp_path / "f.h5", capacity=12)) as file:
        count = file["count"][0]
        assert (file["count"].shape, file["count"].dtype, count) == ((1,), np.int32, 10)
        assert (file["all_feats"].dtype, file["all_labels"].dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(file["all_feats"][:count], features)
        np.testing.assert_array_equal(file["all_labels"][:count], labels)


def test_a_file_of_the_original_is_read_without_its_padding(tmp_path: Path) -> None:
    store = FeatureStore.open(original(tmp_path / "f.h5"))
    assert store.features.shape == (10, 4)
    assert store.labels.min() >= 0
    assert store.paths is None
    assert store.class_names is None
    store.check_finite()


def test_contiguous_float32_is_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    store = FeatureStore.open(write(tmp_path / "f.h5"))
    assert isinstance(store.features, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.features[0, 0] = 1


def test_float16_halves_the_file_and_reads_as_float32(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    for dtype in ("float32", "float16"):
        with FeatureStore.create(tmp_path / dtype, 16, 2000, dtype) as out:
            out.append(features, np.zeros(2000, int))
    half = FeatureStore.open(tmp_path / "float16")
    assert half.features.dtype == np.float32
    np.testing.assert_array_equal(half.features, features.astype(np.float16))
    assert (tmp_path / "float16").stat().st_size < 0.6 * (tmp_path / "float32").stat().st_size


@pytest.mark.parametrize("layout", ["mapped", "chunked"])
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_rows_come_in_the_order_asked_for(
    tmp_path_factory: pytest.TempPathFactory, layout: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{layout}.h5"
    features = np.arange(20_000, dtype=np.float32)[:, None]  # several blocks
    if not path.exists():
        with FeatureStore.create(path, 1, 20_000 if layout == "mapped" else None) as out:
            out.append(features, np.zeros(20_000, int))
    index = data.draw(st.lists(st.integers(0, 19_999), max_size=20))
    np.testing.assert_array_equal(FeatureStore.open(path).rows(index), features[index])


def test_blocks_cover_the_file_in_order(tmp_path: Path) -> None:
    store = FeatureStore.open(write(tmp_path / "f.h5"))
    starts, features, labels = zip(*store.iter_blocks(size=4))
    assert starts == (0, 4, 8)
    np.testing.assert_array_equal(np.concatenate(features), store.features)
    np.testing.assert_array_equal(np.concatenate(labels), store.labels)


def test_rows_of_classes_ascend(tmp_path: Path) -> None:
    store = FeatureStore.open(write(tmp_path / "f.h5"))
    np.testing.assert_array_equal(store.rows_of([2, 0]), np.flatnonzero(store.labels != 1))
    assert store.rows_of([99]).tolist() == []


def test_the_same_rows_give_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    first = write(tmp_path / "1.h5").read_bytes()
    time.sleep(1.05)  # HDF5's time stamps count seconds
    assert write(tmp_path / "2.h5").read_bytes() == first


def test_a_store_is_pickled_as_its_path(tmp_path: Path) -> None:
    store = FeatureStore.open(write(tmp_path / "f.h5"))
    assert len(pickle.dumps(store)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).features, store.features)


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()
    with pytest.raises(InputError), FeatureStore.create(path, 4, 10) as out:
        out.append(np.zeros((10, 5)), np.zeros(10, int))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_has_the_name_before_the_writer_is_closed(tmp_path: Path) -> None:
    out = FeatureStore.create(tmp_path / "f.h5", 4)
    out.append(*rows()[:2])
    assert not (tmp_path / "f.h5").exists()
    out.close()
    out.close()
    assert len(FeatureStore.open(tmp_path / "f.h5")) == 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"all_feats": None}, "lacks the data set 'all_feats'"),
        ({"all_labels": None}, "lacks the data set 'all_labels'"),
        ({"count": None}, "lacks the data set 'count'"),
        ({"all_feats": np.zeros(12, "f4")}, "all_feats must have 2 dimensions"),
        ({"all_feats": np.zeros((12, 4), "i4")}, "all_feats must have 2 dimensions of floating point"),
        ({"all_labels": np.zeros((12, 1), "i4")}, "all_labels must have 1 dimension"),
        ({"all_labels": np.full(12, -1, "i4")}, "row 0 has label -1"),
        ({"all_labels": np.zeros(9, "i4")}, "count is 10.*all_labels 9"),
        ({"count": np.array([13], "i4")}, "count is 13"),
        ({"count": np.array([-1], "i4")}, "count is -1"),
        ({"count": np.array([0], "i4")}, "empty"),
        ({"count": np.array([1, 2], "i4")}, "one number"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    path = original(tmp_path / "wrong.h5", **changed)
    with pytest.raises(InputError, match=rf"wrong\.h5.*{message}"):
        FeatureStore.open(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    content = original(tmp_path / "f.h5").read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "part.h5").write_bytes(content[:size])
        with pytest.raises(InputError, match=r"part\.h5 is (truncated|not HDF5)"):
            FeatureStore.open(tmp_path / "part.h5")


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.h5 does not exist"):
        FeatureStore.open(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not features")
    with pytest.raises(InputError, match=r"text\.h5 is not HDF5"):
        FeatureStore.open(tmp_path / "text.h5")
    with pytest.raises(InputError, match="does not exist"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("chunks", [None, (2, 4)])
def test_nan_and_infinity_are_found_with_file_and_row(
    tmp_path: Path, value: float, chunks: tuple[int, int] | None
) -> None:
    path = original(tmp_path / "f.h5", all_feats=None)
    features = rows(12)[0]
    features[6, 3] = value
    with h5py.File(path, "a") as file:
        file.create_dataset("all_feats", data=features, chunks=chunks)
    store = FeatureStore.open(path)
    for read in (store.check_finite, lambda: store.rows([1, 6]), lambda: list(store.iter_blocks())):
        with pytest.raises(InputError, match=r"f\.h5: row 6 holds NaN or infinity"):
            read()
    assert store.rows([1, 5]).shape == (2, 4)


def test_large_finite_values_are_not_taken_for_infinity(tmp_path: Path) -> None:
    store = FeatureStore.open(original(tmp_path / "f.h5", all_feats=np.full((12, 4), 3e38, "f4")))
    store.check_finite()


def test_rows_outside_the_file_are_refused(tmp_path: Path) -> None:
    store = FeatureStore.open(original(tmp_path / "f.h5"))
    for row in (-1, 10):
        with pytest.raises(InputError, match=f"no row {row}"):
            store.rows([0, row])


@pytest.mark.parametrize(
    ("features", "labels", "paths", "message"),
    [
        (np.zeros((2, 3)), [0, 1], None, "do not fit"),
        (np.zeros((2, 4)), [0], None, "do not fit"),
        (np.zeros((2, 4)), [0, 1], ["a"], "do not fit"),
        (np.zeros((2, 4)), [0, 3], None, "labels must be integers in 0..2"),
        (np.zeros((2, 4)), [0, -1], None, "labels must be"),
        (np.zeros((2, 4)), [0.0, 1.0], None, "labels must be"),
        (np.zeros((6, 4)), [0] * 6, None, "exceed the capacity"),
        (np.full((2, 4), np.nan), [0, 1], None, "NaN"),
        (np.full((2, 4), 1e6), [0, 1], None, "infinity"),
        (np.zeros((2, 4)), [0, 1], ["a", "b"], "for all rows or for none"),
    ],
)
def test_a_writer_refuses_what_a_reader_would(
    tmp_path: Path, features: np.ndarray, labels: list[int], paths: list[str] | None, message: str
) -> None:
    with FeatureStore.create(tmp_path / "f.h5", 4, 5, "float16", class_names=CLASS_NAMES) as out:
        out.append(np.ones((1, 4)), [0])
        with pytest.raises(InputError, match=message):
            out.append(features, labels, paths)
    assert len(FeatureStore.open(tmp_path / "f.h5")) == 1


@pytest.mark.parametrize("options", [{"dim": 0}, {"dim": 4, "capacity": 0}, {"dim": 4, "dtype": "int8"}])
def test_a_writer_refuses_senseless_sizes(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"f\.h5"):
        FeatureStore.create(tmp_path / "f.h5", **options)
    assert list(tmp_path.iterdir()) == []
