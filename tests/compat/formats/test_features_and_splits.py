"""Features, class splits and experiments of the original: read, checked against each other, and written back."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.compat.formats.features import open_features, rewrite_features
from lowshot.compat.formats.splits import read_experiments, read_split, write_experiments
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore

LABELS = np.array([0, 1, 2, 2, 1, 0, 0, 1, 2])
NAMES = ["ant", "bee", "cat"]
PATHS = [f"{NAMES[label]}/{row}.jpg" for row, label in enumerate(LABELS)]


def original(path, labels=LABELS, padding=3, dtype="f4", chunks=None, seed=0):
    """A features file as the original leaves it: longer than its count, the rest never filled."""
    rows = len(labels) + padding
    features = np.random.default_rng(seed).random((len(labels), 4)).astype(dtype)
    with h5py.File(path, "w") as file:
        file.create_dataset("all_feats", (rows, 4), dtype, chunks=chunks)[: len(labels)] = features
        file.create_dataset("all_labels", (rows,), "i4")[: len(labels)] = labels
        file["count"] = np.array([len(labels)], "i4")
    return path


def ours(path, **attributes):
    with FeatureStore.create(path, 4, len(LABELS), class_names=NAMES, **attributes) as out:
        out.append(np.random.default_rng(0).random((len(LABELS), 4), np.float32), LABELS, PATHS)
    return FeatureStore.open(path)


# ----------------------------------------------------------------- features


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("chunks", [None, (2, 4)])
@pytest.mark.parametrize("to", ["original", "lowshot"])
def test_every_layout_becomes_rows_of_float32_without_padding(tmp_path, dtype, chunks, to):
    source = open_features(original(tmp_path / "old.hdf5", dtype=dtype, chunks=chunks))
    assert rewrite_features(source, tmp_path / "new.hdf5", to) == []
    # Read as the original does: its three names and nothing of this library.
    with h5py.File(tmp_path / "new.hdf5") as file, h5py.File(tmp_path / "old.hdf5") as old:
        assert (file["all_feats"].dtype, file["all_labels"].dtype, file["count"].dtype) == ("f4", "i4", "i4")
        assert file["all_feats"].shape == (len(LABELS), 4)
        assert file["all_feats"].chunks is None
        assert file["count"][...].tolist() == [len(LABELS)]
        np.testing.assert_array_equal(file["all_feats"][...], old["all_feats"][: len(LABELS)].astype("f4"))
        np.testing.assert_array_equal(file["all_labels"][...], LABELS)
        assert set(file) == {"all_feats", "all_labels", "count"}


def test_what_lowshot_adds_stays_in_its_format_and_is_named_when_it_goes(tmp_path):
    store = ours(tmp_path / "a.hdf5", backbone="resnet10")
    assert rewrite_features(store, tmp_path / "b.hdf5", "lowshot") == []
    assert (tmp_path / "b.hdf5").read_bytes() == (tmp_path / "a.hdf5").read_bytes()
    (note,) = rewrite_features(store, tmp_path / "c.hdf5", "original")
    assert note.endswith("image paths, class names, backbone")


def test_attributes_of_someone_elses_file_do_no_harm(tmp_path):
    path = original(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file.attrs.update({"dim": 4, "path": "elsewhere", "capacity": 1, "made_by": "me"})
    assert rewrite_features(open_features(path), tmp_path / "b.hdf5", "lowshot") == []
    assert FeatureStore.open(tmp_path / "b.hdf5").attributes["made_by"] == "me"


def test_a_label_out_of_range_is_named_with_its_row(tmp_path):
    path = original(tmp_path / "f.hdf5", labels=[0, 7, 2])
    assert len(open_features(path, 8)) == 3
    with pytest.raises(InputError, match="row 1 has label 7, but there are 3 classes: labels run from 0 to 2"):
        open_features(path, 3)
    with pytest.raises(InputError, match="row 1 has label -1, below 0"):
        open_features(original(tmp_path / "g.hdf5", labels=[0, -1, 2]))


def test_a_truncated_features_file_is_named_wherever_it_ends(tmp_path):
    path = original(tmp_path / "f.hdf5")
    whole = path.read_bytes()
    for size in (0, 1, 7, 100, 600, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"features file .*f\.hdf5"):
            open_features(path)


# -------------------------------------------------------------------- splits


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(9)), st.lists(st.integers(1, 2), min_size=4, max_size=4), st.text(max_size=5))
def test_a_class_split_is_the_same_file_for_both(tmp_path_factory, order, sizes, name):
    path = tmp_path_factory.mktemp("split") / "label_idx.json"
    cuts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    groups = dict(zip(("base_classes_1", "base_classes_2", "novel_classes_1", "novel_classes_2"), cuts, strict=True))
    value = {key: group.tolist() for key, group in groups.items()}
    base = sorted(value["base_classes_1"] + value["base_classes_2"])
    path.write_text(json.dumps({**value, "base_classes": base, "label_names": [f"{name}{i}" for i in range(9)]}))
    split = read_split(path)
    split.to_json(path)
    assert json.loads(path.read_text()) == {**value, "base_classes": base, "label_names": split.label_names}
    assert split == ClassSplit.from_json(path)


# --------------------------------------------------------------- experiments


def bare(folder, draws):
    """Files of the original: lists of lists of row numbers."""
    for number, draw in enumerate(draws, 1):
        (folder / f"splitfile_{number}.json").write_text(json.dumps(draw))
    return folder / "splitfile_{:d}.json"


DRAWS = [[[0, 5], [1, 4], [2, 3]], [[6, 0], [7, 1], [8, 2]]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 3))
def test_experiments_of_the_original_become_ours_and_the_originals_again(tmp_path_factory, seed, count, shots):
    folder = tmp_path_factory.mktemp("draws")
    drawn = Experiments.random(LABELS, None, None, count, shots, seed)
    draws = [[rows.tolist() for rows in draw] for draw in drawn.rows]
    store = ours(folder / "train.hdf5")
    read = read_experiments(bare(folder, draws), store)
    (folder / "ours").mkdir()
    write_experiments(folder / "ours" / "{:d}.json", read, bare=False)
    again = read_experiments(folder / "ours" / "{:d}.json")
    assert (again.paths, again.class_names) == ([[[PATHS[r] for r in rows] for rows in d] for d in draws], NAMES)
    (folder / "bare").mkdir()
    write_experiments(folder / "bare" / "splitfile_{:d}.json", again, bare=True)
    for number, draw in enumerate(draws, 1):
        assert json.loads((folder / "bare" / f"splitfile_{number}.json").read_text()) == draw


def test_a_single_file_goes_both_ways(tmp_path):
    pattern = bare(tmp_path, DRAWS)
    one = read_experiments(str(pattern).format(2), ours(tmp_path / "train.hdf5"))
    write_experiments(tmp_path / "ours.json", one, bare=False)
    assert read_experiments(tmp_path / "ours.json").paths == [[[PATHS[r] for r in rows] for rows in DRAWS[1]]]
    write_experiments(tmp_path / "bare.json", one, bare=True)
    assert json.loads((tmp_path / "bare.json").read_text()) == DRAWS[1]
    with pytest.raises(InputError, match="2 experiments need a pattern with a place for their number"):
        write_experiments(tmp_path / "both.json", read_experiments(pattern), bare=True)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ([[0, 5], [1, 2], [3, 8]], r"lists row 2 as a shot of class 1 \('bee'\), but the data have label 2 \('cat'\)"),
        ([[0, 5], [1, 4], [2, 99]], r"lists row 99 as a shot of class 2 \('cat'\), but the data have only 9 rows"),
        ([[5], [4], [3], [1]], "lists row 1 as a shot of class 3, but the data have label 1"),
        ([[0, 5], [1, -4], [2, 3]], "-4 is no row number"),
        ([[0, 0], [1, 4], [2, 3]], "lists row 0 more than once"),
        ([[0, 5], 1, [2, 3]], "is no row number"),
    ],
)
@pytest.mark.parametrize("single", [True, False])
def test_rows_of_other_labels_are_an_error_not_another_number(tmp_path, draw, message, single):
    pattern = bare(tmp_path, [draw])
    store = ours(tmp_path / "train.hdf5")
    with pytest.raises(InputError, match=f"(?s)splitfile.*{message}"):
        read_experiments(str(pattern).format(1) if single else pattern, store)


def test_images_in_another_order_are_found_out(tmp_path):
    store = ours(tmp_path / "train.hdf5")
    write_experiments(tmp_path / "e_{:d}.json", read_experiments(bare(tmp_path, DRAWS), store), bare=False)
    other = [5, 1, 2, 3, 4, 0, 6, 7, 8]  # labels stay right; only a path can tell
    with FeatureStore.create(tmp_path / "other.hdf5", 4, 9, class_names=NAMES) as out:
        out.append(store.features[other], LABELS[other], [PATHS[row] for row in other])
    with pytest.raises(InputError, match=r"e_.*do not fit .*other\.hdf5.*expects image 'ant/0\.jpg'"):
        read_experiments(tmp_path / "e_{:d}.json", FeatureStore.open(tmp_path / "other.hdf5"))
