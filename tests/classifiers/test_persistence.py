from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.classifiers.ridge import Ridge
from lowshot.errors import InputError, LowshotError
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import build, problem


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_what_fit_base_learned_can_be_saved_and_used_for_novel_classes(name, tmp_path):
    p = problem()
    known = build(name).fit_base(*p.base)
    save_classifier(known, tmp_path / "base.safetensors")
    loaded = load_classifier(tmp_path / "base.safetensors")
    assert loaded.get_params() == known.get_params()
    fresh, again = (copy.copy(c).fit_novel(*p.novel).scores(p.queries[0]) for c in (known, loaded))
    assert np.array_equal(fresh, again)


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_a_finished_recogniser_can_be_saved_with_labels_of_any_kind(name, tmp_path):
    X, y = problem().base
    fitted = build(name).fit(X, np.array(["ant", "bee", "cat", "dog", "eel"])[y // 2])
    save_classifier(fitted, tmp_path / "animals.safetensors")
    loaded = load_classifier(tmp_path / "animals.safetensors")
    assert np.array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.classes_.tolist() == ["ant", "bee", "cat", "dog", "eel"]


def test_equal_classifiers_are_equal_bytes_and_files_of_the_first_format_are_read(tmp_path):
    fitted = Ridge(0.1).fit(*problem().base)
    files = [tmp_path / f"{i}.safetensors" for i in range(6)]
    for file in files:
        save_classifier(fitted, file)
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], framework="numpy") as file:
        metadata = json.loads(file.metadata()["classifier"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, tmp_path / "old.safetensors", metadata={**metadata, "format": "lowshot-classifier-1"})
    old, new = (load_classifier(file) for file in (tmp_path / "old.safetensors", files[0]))
    assert old.get_params() == new.get_params()
    assert np.array_equal(old.predict(problem().queries[0]), new.predict(problem().queries[0]))


def test_parameters_can_be_replaced_when_loading(tmp_path):
    save_classifier(Ridge(0.1).fit(*problem().base), tmp_path / "r.safetensors")
    assert load_classifier(tmp_path / "r.safetensors", alpha=3.0).alpha == 3.0


@pytest.mark.parametrize("damage", ["truncated", "garbage", "missing", "foreign"])
def test_a_file_that_is_no_classifier_is_named(damage, tmp_path):
    file = tmp_path / "c.safetensors"
    save_classifier(NearestMean().fit(*problem().base), file)
    data = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        file.write_bytes(b"\x80\x04" + data)
    elif damage == "missing":
        file.unlink()
    else:
        save_file({"x": np.zeros(2)}, file)
    with pytest.raises(InputError, match=r"c\.safetensors"):
        load_classifier(file)


def test_an_unregistered_class_and_an_odd_attribute_are_refused_and_leave_no_file(tmp_path):
    class Unregistered(LowShotClassifier):
        pass

    odd = NearestMean().fit(*problem().base)
    odd.odd_ = object()
    for classifier, error in [(Unregistered(), InputError), (odd, LowshotError)]:
        with pytest.raises(error):
            save_classifier(classifier, tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []
