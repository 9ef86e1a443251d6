from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.logistic import Logistic
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


def test_a_logistic_classifier_goes_on_with_the_steps_of_its_file(tmp_path):
    p, file = problem(), tmp_path / "base.safetensors"
    known = Logistic(n_steps=7, lr=0.05, batch_size=9, random_state=3).fit_base(*p.base)
    save_classifier(known, file)
    loaded = load_classifier(file)
    assert loaded.get_params() == known.get_params()
    other = load_classifier(file, n_steps=8)
    scores = [copy.copy(c).fit_novel(*p.novel).scores(p.queries[0]) for c in (known, loaded, other)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize("name", ["n_steps", "batch_size", "gradient_every"])
def test_a_file_asks_for_no_endless_work(name, tmp_path):
    p, file = problem(), tmp_path / "base.safetensors"
    save_classifier(Logistic(n_steps=3, batch_size=9).fit_base(*p.base), file)
    rewrite(file, lambda h, params, s, t: params.update({name: {"value": 10**9}}))
    with pytest.raises(InputError, match=f"{name}=1000000000 is more than a file may ask for") as found:
        load_classifier(file)
    assert f"load_classifier(path, {name}=...)" in str(found.value)
    assert load_classifier(file, **{name: 3}).get_params()[name] == 3


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


def rewrite(path, change):
    """Change the header, its parameters, its state and the arrays of a classifier's file."""
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["classifier"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    params, state = json.loads(header["params"]), json.loads(header["state"])
    change(header, params.get("dict", params), state, tensors)
    given = {"params": json.dumps(params), "state": json.dumps(state)}
    header = {**header, **{key: text for key, text in given.items() if isinstance(header.get(key), str)}}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, {"classifier": json.dumps(header)})


#: Arrays with as many rows as there were examples, of which nothing else tells the number.
FREE = {"_update_"}


@pytest.mark.parametrize("phase", ["base", "novel", "alone"])
@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_arrays_of_another_shape_or_type_or_that_are_no_numbers_are_refused(name, phase, tmp_path):
    p, file = problem(n_shots=3), tmp_path / "c.safetensors"
    fitted = build(name).fit(*p.novel) if phase == "alone" else build(name).fit_base(*p.base)
    save_classifier(fitted.fit_novel(*p.novel) if phase == "novel" else fitted, file)
    content = file.read_bytes()
    with safe_open(file, framework="numpy") as opened:
        arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    assert arrays
    for key, array in arrays.items():
        axes = range(1 if key in FREE else 0, array.ndim)
        damaged = [np.delete(array, -1, axis) for axis in axes if array.shape[axis]] + [array[..., None]]
        if array.dtype.kind == "f":
            damaged += [np.where(np.arange(array.size).reshape(array.shape) == 0, v, array) for v in (np.nan, np.inf)]
        if key not in ("classes_", "_base_classes_"):
            damaged.append(array.astype("f8" if array.dtype.kind == "i" else "i8"))
        for wrong in [one for one in damaged if array.size]:
            file.write_bytes(content)
            rewrite(file, lambda header, params, state, tensors, key=key, wrong=wrong: tensors.update({key: wrong}))
            with pytest.raises(InputError, match=r"^classifier file .*c\.safetensors[^\n]*$"):
                load_classifier(file)
        file.write_bytes(content)
        rewrite(file, lambda header, params, state, tensors, key=key: tensors.pop(key))
        with pytest.raises(InputError, match=r"in no form that lowshot writes"):
            load_classifier(file)


def deep(depth):
    return {"value": 0} if not depth else {"tuple": [deep(depth - 1)]}


def nested(depth):
    return 0 if not depth else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, p, s, t: h.update(classifier="5"), "unknown classifier '5'"),
        (lambda h, p, s, t: h.update(classifier=5), "classifier: input should be a valid string"),
        (lambda h, p, s, t: h.update(classifier=["ridge"]), "classifier: input should be a valid string"),
        (lambda h, p, s, t: h.pop("classifier"), "classifier: field required"),
        (lambda h, p, s, t: h.update(format="lowshot-classifier-9"), "not a classifier that lowshot saved"),
        (lambda h, p, s, t: h.update(params=7), "params: JSON input should be string"),
        (lambda h, p, s, t: h.update(params=None), "params: JSON input should be string"),
        (lambda h, p, s, t: h.update(more="x"), "more: extra inputs are not permitted"),
        (lambda h, p, s, t: p.update(alpha={"value": "much"}), "parameter 'alpha': input should be a valid number"),
        (lambda h, p, s, t: p.update(alpha={"value": -1.0}), "alpha=-1.0 must be a finite number above 0"),
        (lambda h, p, s, t: p.update(alpha={"value": float("nan")}), "params.alpha is in no form"),
        (lambda h, p, s, t: p.update(colour={"value": 1}), "has no parameter 'colour'"),
        (lambda h, p, s, t: p.update(alpha=1.0), "params.alpha is in no form"),
        (lambda h, p, s, t: p.update(class_weight={"value": "equal"}), "parameter 'class_weight'"),
        (lambda h, p, s, t: p.update(class_weight={"dict": {"a": {"value": 0}}}), r"class_weight\['a'\]=0 must be"),
        (lambda h, p, s, t: s.pop("n_features_in_"), "lacks n_features_in_"),
        (lambda h, p, s, t: s.update(n_features_in_={"value": 10**7}), "10000000.* is expected there"),
        (lambda h, p, s, t: s.update(n_features_in_={"value": "6"}), "n_features_in_='6' must be a whole number"),
        (lambda h, p, s, t: s.update(n_base_classes_={"value": 10**7}), "do not fit classes_"),
        (lambda h, p, s, t: s.update(n_base_classes_={"value": -1}), "n_base_classes_=-1 must be a whole number"),
        (lambda h, p, s, t: s.update(n_base_classes_={"value": 1.5}), "n_base_classes_=1.5 must be a whole number"),
        (lambda h, p, s, t: s.update(classes_={"value": [0, 1]}), "classes_ must be a list of labels"),
        (lambda h, p, s, t: s.update(classes_={"array": [], "dtype": "<U3"}), "classes_ must be a list of labels"),
        (lambda h, p, s, t: s.update(classes_={"array": ["a", "a"], "dtype": "<U1"}), "holds a label twice"),
        (lambda h, p, s, t: s.update(classes_={"array": [0, 1], "dtype": "<i8"}), "classes_ is in no form"),
        (lambda h, p, s, t: s.update(classes_={"array": ["a"] * 5, "dtype": "<U999999999"}), "holds a label twice"),
        (lambda h, p, s, t: s.update(coef_={"tensor": "nothing"}), "coef_ is in no form"),
        (lambda h, p, s, t: s.update(coef_={"tensor": 3}), "coef_ is in no form"),
        (lambda h, p, s, t: s.update(coef_={"tensor": "intercept_"}), r"coef_ has shape \(5,\)"),
        (lambda h, p, s, t: s.update(coef_={"value": [[0.0]]}), "coef_ must be an array of floats"),
        (lambda h, p, s, t: s.update(coef_={"code": "x"}), "coef_ is in no form"),
        (lambda h, p, s, t: s.update(coef_=[]), "coef_ is in no form"),
        (lambda h, p, s, t: s.update(odd_=deep(50)), "is in no form"),
        (lambda h, p, s, t: s.update(odd_={"value": nested(50)}), "odd_ is in no form"),
        (lambda h, p, s, t: s.update(_scores={"value": 1}), "'_scores' is no name of a fitted attribute of Ridge"),
        (lambda h, p, s, t: s.update(predict={"value": 1}), "'predict' is no name"),
        (lambda h, p, s, t: s.update(__class__={"value": 1}), "'__class__' is no name"),
        (lambda h, p, s, t: s.update(alpha={"value": 1.0}), "alpha is a parameter"),
        (lambda h, p, s, t: s.update({"a b": {"value": 1}}), "'a b' is no name"),
        (lambda h, p, s, t: s.update(novel_bias_={"value": "high"}), "novel_bias_ must be a finite number"),
        (lambda h, p, s, t: s.update(feature_names_in_={"array": ["a"], "dtype": "|O"}), "must be 6 names"),
        (lambda h, p, s, t: [s.pop(k) for k in list(s) if k != "n_features_in_"], "is not fitted"),
        (lambda h, p, s, t: t.update(extra=np.array([np.nan])), "array 'extra' holds NaN"),
    ],
)
def test_a_header_that_save_never_writes_is_refused_in_one_line(change, message, tmp_path):
    file = tmp_path / "c.safetensors"
    save_classifier(Ridge().fit(*problem().base), file)
    rewrite(file, change)
    with pytest.raises(InputError, match=message) as found:
        load_classifier(file)
    assert "\n" not in str(found.value)
    assert str(file) in str(found.value) or "unknown classifier" in str(found.value)


def test_headers_of_no_sense_are_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    for text in ["", "[]", "5", "{", '{"format": []}', "[" * 100_000, '{"format": ' + "9" * 6000 + "}", '"\\ud800"']:
        save_file({"x": np.zeros(1)}, file, {"classifier": text})
        with pytest.raises(InputError, match=r"c\.safetensors"):
            load_classifier(file)


def test_a_network_that_does_not_fit_is_refused_as_pretrained(tmp_path):
    p, file = problem(), tmp_path / "c.safetensors"
    save_classifier(build("prototypical").fit_base(*p.base), file)
    content = file.read_bytes()
    for change, message in [
        (lambda h, params, s, t: t.update({"_weights_.linear.weight": np.full((6, 6), np.nan)}), "NaN or infinity"),
        (lambda h, params, s, t: s["_weights_"]["dict"].pop("linear.weight"), "_weights_ lacks"),
        (lambda h, params, s, t: s.update(_weights_={"value": [1]}), "must be a mapping of arrays"),
        (lambda h, params, s, t: params.update(hidden={"value": 10**9}), "_weights_ lacks"),
        (lambda h, params, s, t: params.update(hidden={"value": 10**30}), "no network with these parameters"),
        (lambda h, params, s, t: h.update(classifier="matching_network"), "a 'prototypical' is needed here"),
    ]:
        file.write_bytes(content)
        rewrite(file, change)
        with pytest.raises(InputError, match=message):
            build("prototypical").set_params(pretrained=file).fit_base(*p.base)


def test_a_file_names_no_place_to_write_to(tmp_path):
    p = problem()
    fitted = build("prototypical").set_params(checkpoint=tmp_path / "training.ckpt").fit_base(*p.base)
    save_classifier(fitted, tmp_path / "c.safetensors")
    assert load_classifier(tmp_path / "c.safetensors").checkpoint is None


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_what_is_not_fitted_or_not_finite_is_not_saved(name, tmp_path):
    with pytest.raises(InputError, match="is not fitted, so there is nothing to save"):
        save_classifier(build(name), tmp_path / "c.safetensors")
    fitted = build(name).fit(*problem().base)
    fitted.odd_ = np.array([np.inf])
    with pytest.raises(InputError, match="odd_ holds NaN or infinity"):
        save_classifier(fitted, tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_unregistered_class_and_an_odd_attribute_are_refused_and_leave_no_file(tmp_path):
    class Unregistered(LowShotClassifier):
        pass

    odd = NearestMean().fit(*problem().base)
    odd.odd_ = object()
    for classifier, error in [(Unregistered(), InputError), (odd, LowshotError)]:
        with pytest.raises(error):
            save_classifier(classifier, tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []
