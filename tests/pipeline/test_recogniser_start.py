"""A recogniser that starts with the base classes of a run: its network, its classifier, its calibration bias."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowshot.benchmark.results import read_records
from lowshot.data import ClassSplit, build_dataset
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline.recogniser_start import start_from_run
from lowshot.recogniser import Recogniser


@pytest.fixture
def images() -> list:
    dataset = build_dataset("glyphs", "test", classes=16, train_per_class=8, test_per_class=4, image_size=16)
    return [(int(dataset.labels[row]), dataset.load(row)) for row in range(len(dataset))]


def test_base_classes_of_a_run_are_known_and_new_ones_join(finished: Path, tmp_path: Path, images: list) -> None:
    run = finished.parent / "out"
    start = start_from_run(run, "sgm")
    split = ClassSplit.from_json(run / "split" / "label_idx.json")
    base = sorted(split.base)
    assert start.base is not None
    assert list(start.base.names) == [split.label_names[label] for label in base]
    biases = [r["prior"] for r in read_records(run / "results" / "sgm" / "linear.jsonl") if r["n_shots"] == 1]
    assert start.base.biases[1] == pytest.approx(np.mean(biases))

    opened = Recogniser.create(tmp_path / "signs", start=start)
    assert len(opened.classes) == len(base)
    known = [(label, image) for label, image in images if label in base]
    before = opened.predict_proba([image for _, image in known])
    # The network and the features are those of the run.
    store = FeatureStore.open(run / "features" / "sgm" / "test.hdf5")
    scores = start.base.classifier.scores(store.rows(store.rows_of(base)))
    assert np.array_equal(scores.argmax(1), before.argmax(1))

    novel = next(label for label in split.novel)
    opened.teach({"my sign": [image for label, image in images if label == novel][:3]})
    assert opened.classes == [*start.base.names, "my sign"]
    assert opened.state.bias in start.base.biases.values()
    loaded = Recogniser.load(opened.folder)
    queries = [image for _, image in images]
    assert np.array_equal(loaded.predict_proba(queries), opened.predict_proba(queries))
    taught = loaded.model.classifier.scores(loaded.model.examples.features)
    assert np.allclose(loaded.model.scores(loaded.model.examples.features), taught)  # a column a class, in order


def test_a_base_class_gets_further_photos_and_can_be_removed(finished: Path, tmp_path: Path, images: list) -> None:
    opened = Recogniser.create(tmp_path / "signs", start=start_from_run(finished.parent / "out", "baseline"))
    name = opened.classes[0]
    split = ClassSplit.from_json(finished.parent / "out" / "split" / "label_idx.json")
    own = [image for label, image in images if split.label_names[label] == name]
    taught = opened.teach({name: own[:2]})
    assert taught.new == []
    assert len(opened.classes) == len(split.base)
    scores = opened.model.classifier.scores(opened.model.examples.features)
    assert scores.shape[1] == len(split.base) + 1  # what the run learned of the class, and what its photos taught
    assert np.allclose(opened.model.scores(opened.model.examples.features)[:, 0], scores[:, [0, -1]].max(axis=1))
    opened.rename(name, "first")
    assert opened.classes[0] == "first"
    opened.remove("first")
    assert "first" not in opened.classes
    assert len(opened.classes) == len(split.base) - 1
    opened.undo()
    assert opened.classes[0] == "first"


@pytest.mark.parametrize(
    ("representation", "method", "message"),
    [
        (None, None, r"has 2 of them: say which with --representation \(baseline, sgm\)"),
        ("smg", None, "has no representation 'smg'. Did you mean 'sgm'"),
        ("sgm", "cosine", "has no method 'cosine'"),
    ],
)
def test_what_is_not_said_or_unknown_is_named(
    finished: Path, representation: str | None, method: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        start_from_run(finished.parent / "out", representation, method)


def test_a_folder_without_results_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run: expected the output folder of a recipe"):
        start_from_run(tmp_path)
