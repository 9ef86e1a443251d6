"""ImageDataset: views have the rows, labels and pixels they name; the fingerprint sees what matters."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.data import ImageDataset
from lowshot.errors import InputError
from tests.data.conftest import MemoryImages, pixels

labels_and_rows = st.lists(st.integers(0, 4), min_size=1, max_size=12).flatmap(
    lambda labels: st.tuples(st.just(labels), st.lists(st.integers(0, len(labels) - 1), max_size=8))
)


@settings(deadline=None, max_examples=40)
@given(labels_and_rows, st.data())
def test_a_view_of_a_view_shows_the_rows_it_names(case: tuple[list[int], list[int]], data: st.DataObject) -> None:
    labels, rows = case
    dataset = MemoryImages(labels, 5)
    view = dataset.subset(rows)
    inner = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)) if rows else []
    twice = view.subset(inner)
    wanted = [rows[i] for i in inner]
    assert twice.paths == [dataset.paths[row] for row in wanted]
    assert twice.labels.tolist() == [labels[row] for row in wanted]
    assert twice.class_names == dataset.class_names
    everything = pixels(dataset)
    assert all(np.array_equal(image, everything[row]) for image, row in zip(pixels(twice), wanted))
    assert twice.fingerprint == dataset.subset(wanted).fingerprint


def test_of_classes_has_all_rows_of_those_classes_in_order_and_the_label_space() -> None:
    view = MemoryImages([2, 0, 1, 0, 2], 3).of_classes([2, 0])
    assert view.paths == ["2/0.png", "0/1.png", "0/3.png", "2/4.png"]
    assert view.num_classes == 3
    assert len(MemoryImages([0, 0], 2).of_classes([1])) == 0


def test_a_view_of_all_rows_has_the_fingerprint_of_the_data_set() -> None:
    dataset = MemoryImages([0, 1, 1], 2)
    assert dataset.subset(range(3)).fingerprint == dataset.fingerprint
    assert len(dataset.fingerprint) == 16


def test_the_fingerprint_sees_paths_labels_content_names_and_options() -> None:
    def of(**changed: object) -> str:
        fields = {"paths": ["a", "b"], "labels": [0, 1], "class_names": ["x", "y"], "content": [7, 8], **changed}
        return ImageDataset(**fields).fingerprint  # type: ignore[arg-type]

    others = [
        of(paths=["a", "c"]),
        of(labels=[1, 0]),
        of(class_names=["x", "z"]),
        of(content=[7, 9]),
        of(options={"ink": 1}),
        of(decode_size=64),
    ]
    assert len({of(), *others}) == 1 + len(others)
    assert of(max_pixels=10) == of()


def test_labels_outside_the_classes_are_refused_by_row() -> None:
    with pytest.raises(InputError, match=r"image b \(row 1\) has label 2, outside 0\.\.1"):
        ImageDataset(["a", "b"], [0, 2], ["x", "y"])


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="2 images, 1 labels"):
        ImageDataset(["a", "b"], [0], ["x"])


@pytest.mark.parametrize("rows", [[3], [-1]])
def test_rows_and_classes_outside_the_data_are_refused(rows: list[int]) -> None:
    dataset = MemoryImages([0, 1, 2], 3)
    with pytest.raises(InputError, match=rf"row {rows[0]} is outside 0\.\.2"):
        dataset.subset(rows)
    with pytest.raises(InputError, match=rf"class {rows[0]} is outside 0\.\.2"):
        dataset.of_classes(rows)


def test_a_view_survives_pickling() -> None:
    view = MemoryImages([0, 1, 2], 3).subset([2, 0])
    copy = pickle.loads(pickle.dumps(view))
    assert copy.fingerprint == view.fingerprint
    assert all(np.array_equal(a, b) for a, b in zip(pixels(copy), pixels(view)))
