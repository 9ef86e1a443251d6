"""Claims that hold for every generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from lowshot.errors import InputError
from lowshot.hallucination import AnalogyGenerator, CalibrationGenerator, DeltaEncoder, DifferenceGenerator, Generator
from lowshot.registry import GENERATORS

UNFITTED = [
    AnalogyGenerator(n_clusters=3, n_steps=3, hidden=8, device="cpu"),
    CalibrationGenerator(),
    DeltaEncoder(hidden=8, n_latent=3, n_steps=5, batch_size=16, n_codes=20, device="cpu"),
    DifferenceGenerator(max_per_class=7),
]
every_generator = pytest.mark.parametrize("unfitted", UNFITTED, ids=lambda g: type(g).__name__)


class Echo(Generator):
    """Returns the seed itself, moved by 1000 so that it is told apart from real features."""

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        self.mean_ = features.mean(axis=0)

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return seeds + 1000


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(1, 7), st.integers(0, 9))
def test_real_ones_stay_first_and_each_class_is_brought_up_to_the_number(
    labels: list[int], n_per_class: int, seed: int
) -> None:
    echo = Echo().fit(np.eye(3), [0, 1, 2])
    shots = np.arange(3.0 * len(labels)).reshape(-1, 3)
    features, all_labels = echo.generate(shots, labels, n_per_class, seed)
    np.testing.assert_array_equal(features[: len(labels)], shots)
    np.testing.assert_array_equal(all_labels[: len(labels)], labels)
    for label in set(labels):
        assert (all_labels == label).sum() == max(n_per_class, labels.count(label))
        seeds = features[len(labels) :][all_labels[len(labels) :] == label] - 1000
        assert set(map(tuple, seeds)) <= set(map(tuple, shots[np.array(labels) == label]))
    generated = all_labels[len(labels) :]
    assert (np.diff(generated) >= 0).all()
    assert features.dtype == shots.dtype


def test_every_shot_of_a_class_serves_as_seed() -> None:
    echo = Echo().fit(np.eye(2), [0, 1])
    features, _ = echo.generate(np.array([[1.0, 0], [2, 0], [3, 0]]), ["a", "a", "b"], 400)
    shares = [(features[3:401, 0] - 1000 == value).mean() for value in (1, 2)]
    assert shares == pytest.approx([0.5, 0.5], abs=0.1)


@every_generator
class TestEveryGenerator:
    def test_a_loaded_generator_is_saved_and_generates_to_the_byte_as_before(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        fitted = clone(unfitted).fit(*base)
        fitted.save(tmp_path / "first")
        loaded = Generator.load(tmp_path / "first")
        loaded.save(tmp_path / "second")
        assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
        assert type(loaded) is type(fitted)
        saved = [name for name in fitted.get_params() if name not in fitted.local_params]
        assert {k: loaded.get_params()[k] for k in saved} == {k: fitted.get_params()[k] for k in saved}
        assert loaded.provenance_ == fitted.provenance_
        shots, labels = base[0][:4], np.array([8, 8, 9, 10])
        for one, other in zip(fitted.generate(shots, labels, 6, 5), loaded.generate(shots, labels, 6, 5)):
            assert one.tobytes() == other.tobytes()
        assert type(fitted).load(tmp_path / "first").n_features_in_ == 5

    def test_the_same_fit_gives_the_same_file(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        for name in "ab":
            clone(unfitted).fit(*base).save(tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_draws_follow_the_seed(self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray]) -> None:
        fitted = clone(unfitted).fit(*base)
        made = [fitted.generate(base[0][:2], [1, 2], 6, seed)[0] for seed in (0, 0, 1, None, None)]
        np.testing.assert_array_equal(made[0], made[1])
        assert not np.array_equal(made[0], made[2])
        np.testing.assert_array_equal(made[3], made[4])

    def test_features_that_cannot_be_used_are_refused(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray]
    ) -> None:
        features, labels = base
        broken = features.copy()
        broken[7, 2] = np.nan
        huge = features.astype(np.float64)
        huge[9, 1] = 1e60
        generator = clone(unfitted)
        with pytest.raises(InputError, match="row 7 holds NaN"):
            generator.fit(broken, labels)
        with pytest.raises(InputError, match=r"row 9 holds .* too large for float32"):
            generator.fit(huge, labels)
        with pytest.raises(InputError, match="60 features but labels of shape"):
            generator.fit(features, labels[1:])
        with pytest.raises(InputError, match="non-empty"):
            generator.fit(features[:0], labels[:0])
        with pytest.raises(InputError, match="not fitted"):
            generator.generate(features, labels, 5)
        generator.fit(features, labels)
        with pytest.raises(InputError, match="4 dimensions where 5 are expected"):
            generator.generate(features[:, :4], labels, 5)
        with pytest.raises(InputError, match="row 7 holds NaN"):
            generator.generate(broken, labels, 5)
        with pytest.raises(InputError, match=r"row 9 holds .* too large for float32"):
            generator.generate(huge, labels, 5)
        with pytest.raises(InputError, match="non-empty"):
            generator.generate(features[:0], labels[:0], 5)
        with pytest.raises(InputError, match="one label each"):
            generator.generate(features, labels[1:], 5)
        for wrong in (0, -1, 2.5, True):
            with pytest.raises(InputError, match=r"n_per_class=.* must be a whole number"):
                generator.generate(features, labels, wrong)

    def test_files_that_cannot_be_used_are_refused(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        path = tmp_path / "generator.safetensors"
        with pytest.raises(InputError, match="not fitted"):
            clone(unfitted).save(path)
        with pytest.raises(InputError, match="does not exist"):
            Generator.load(path)
        clone(unfitted).fit(*base).save(path)
        content = path.read_bytes()
        for length in (0, 5, 100, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(InputError, match="truncated or not a safetensors file"):
                Generator.load(path)
        safetensors.numpy.save_file({"x": np.zeros(3)}, path)
        with pytest.raises(InputError, match="not a generator"):
            Generator.load(path)
        path.write_bytes(content.replace(b'\\"version\\": 1', b'\\"version\\": 2'))
        with pytest.raises(InputError, match="format version 2"):
            Generator.load(path)

    def test_a_file_without_all_that_was_learned_is_refused(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        path = tmp_path / "generator.safetensors"
        clone(unfitted).fit(*base).save(path)
        tensors = safetensors.numpy.load_file(path)
        assert set(tensors) == set(unfitted.fitted_arrays)
        content = path.read_bytes()
        for name in tensors:
            path.write_bytes(content)
            rewrite(path, lambda header, arrays, name=name: arrays.pop(name))
            with pytest.raises(InputError, match=f"lacks {name}"):
                Generator.load(path)

    def test_arrays_of_another_shape_or_type_or_that_are_no_numbers_are_refused(
        self, unfitted: Generator, base: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        path = tmp_path / "generator.safetensors"
        clone(unfitted).fit(*base).save(path)
        content = path.read_bytes()
        for name, array in safetensors.numpy.load_file(path).items():
            damaged = [np.delete(array, 0, axis) for axis in range(array.ndim)] + [array[..., None], array[:0]]
            damaged += [array.astype("f4" if array.dtype.kind == "i" else "i4")]
            if array.dtype.kind == "f":
                damaged += [
                    np.where(np.arange(array.size).reshape(array.shape) == 1, value, array)
                    for value in (np.nan, np.inf)
                ]
            for wrong in damaged:
                path.write_bytes(content)
                rewrite(path, lambda header, arrays, name=name, wrong=wrong: arrays.update({name: wrong}))
                with pytest.raises(InputError, match=r"generator file .*generator\.safetensors"):
                    Generator.load(path)


def test_the_claims_above_are_made_of_every_registered_generator() -> None:
    assert {type(unfitted) for unfitted in UNFITTED} == {
        entry.factory for entry in GENERATORS if entry.factory.__module__.startswith("lowshot.")
    }


@every_generator
class TestBothKindsOfFeatures:
    """Features that come out of a ReLU, and features of any sign."""

    def test_generated_features_are_of_the_same_kind(
        self,
        unfitted: Generator,
        base: tuple[np.ndarray, np.ndarray],
        signed_base: tuple[np.ndarray, np.ndarray],
    ) -> None:
        for (features, labels), signed in ((base, False), (signed_base, True), ((-base[0], base[1]), True)):
            fitted = clone(unfitted).fit(features, labels)
            assert fitted.signed_ is signed
            made, made_labels = fitted.generate(features[:3], [0, 1, 1], 200, 3)
            assert np.isfinite(made).all()
            assert np.bincount(made_labels).tolist() == [200, 200]
            if signed or isinstance(fitted, DifferenceGenerator):  # whose results may be negative, as it says
                assert made[3:].min() < 0
            else:
                assert made.min() >= 0

    def test_a_file_says_the_kind_and_an_earlier_one_that_does_not_is_read(
        self,
        unfitted: Generator,
        base: tuple[np.ndarray, np.ndarray],
        signed_base: tuple[np.ndarray, np.ndarray],
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "generator.safetensors"
        for (features, labels), signed in ((base, False), (signed_base, True)):
            fitted = clone(unfitted).fit(features, labels)
            fitted.save(path)
            with safetensors.safe_open(path, framework="numpy") as file:
                assert json.loads(file.metadata()["lowshot"])["attributes"]["signed_"] is signed
            loaded = Generator.load(path)
            assert loaded.signed_ is signed
            expected, made = (g.generate(features[:2], [0, 1], 9, 1)[0] for g in (fitted, loaded))
            assert expected.tobytes() == made.tobytes()
            if not signed:
                rewrite(path, lambda header, arrays: header["attributes"].pop("signed_"))
                assert Generator.load(path).generate(features[:2], [0, 1], 9, 1)[0].tobytes() == made.tobytes()
            rewrite(path, lambda header, arrays: header["attributes"].update(signed_="yes"))
            with pytest.raises(InputError, match="signed_: input should be a valid boolean"):
                Generator.load(path)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any]) -> None:
    """Change the header and the arrays of a generator's file."""
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["lowshot"])
    tensors = safetensors.numpy.load_file(path)
    change(header, tensors)
    safetensors.numpy.save_file(tensors, path, metadata={"lowshot": json.dumps(header)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, arrays: header.pop("generator"), "never writes: generator: field required"),
        (lambda header, arrays: header.update(generator=["difference"]), "generator: input should be a valid string"),
        (lambda header, arrays: header.pop("params"), "params: field required"),
        (lambda header, arrays: header.update(attributes=[]), "attributes: input should be a valid dictionary"),
        (lambda header, arrays: header["params"].update(colour="red"), "parameters that this version"),
        (
            lambda header, arrays: header["attributes"].pop("n_features_in_"),
            "attributes.n_features_in_: field required",
        ),
        (
            lambda header, arrays: header["attributes"].update(n_features_in_="5"),
            "attributes.n_features_in_: input should be a valid integer, got '5'",
        ),
        (
            lambda header, arrays: header["attributes"].update(n_features_in_=10**7),
            r"\(examples, 10000000\) is expected",
        ),
        (lambda header, arrays: header["attributes"].pop("provenance_"), "attributes.provenance_: field required"),
        (lambda header, arrays: header["params"].update(max_per_class="many"), "input should be a valid integer"),
        (lambda header, arrays: header["attributes"].update(fitted_arrays=3), "'fitted_arrays'"),
        (lambda header, arrays: arrays.update(examples_=arrays["examples_"][:, :1]), r"shape \(60, 1\)"),
        (lambda header, arrays: arrays.update(examples_=arrays["examples_"] * np.float32(np.nan)), "NaN or infinity"),
        (lambda header, arrays: arrays.update(examples_=np.zeros((60, 5), np.int64)), "must be an array of floats"),
        (lambda header, arrays: arrays.update(counts_=arrays["counts_"].astype("f8")), "must be an array of integers"),
        (lambda header, arrays: arrays.update(counts_=arrays["counts_"] + 1), "must be counts.*together 60"),
        (lambda header, arrays: arrays.update(counts_=np.array([-1, 61])), "each at least 1"),
        (lambda header, arrays: header["attributes"].update(generate=1), "'generate' is no name of a fitted attribute"),
        (lambda header, arrays: arrays.update(fit=np.zeros(1)), "'fit' is no name of a fitted attribute"),
        (lambda header, arrays: header["attributes"].update(counts_=[1]), "holds 'counts_' twice"),
    ],
)
def test_a_header_that_save_never_writes_is_refused(
    change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any],
    message: str,
    base: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    DifferenceGenerator().fit(*base).save(tmp_path / "file")
    rewrite(tmp_path / "file", change)
    with pytest.raises(InputError, match=message):
        Generator.load(tmp_path / "file")


def test_generated_features_that_are_not_finite_are_refused() -> None:
    class Overflow(Echo):
        def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return seeds * np.float32(1e30)

    fitted = Overflow().fit(np.eye(2), [0, 1])
    with pytest.raises(InputError, match="Overflow made NaN or infinity of shot 1"):
        fitted.generate(np.array([[1, 1], [1, 1e20]], np.float32), [0, 1], 2)


def test_a_file_of_another_generator_is_refused(base: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    DifferenceGenerator().fit(*base).save(tmp_path / "file")
    with pytest.raises(InputError, match="holds a 'difference' generator"):
        AnalogyGenerator.load(tmp_path / "file")


@every_generator
def test_one_base_class_is_not_enough_to_learn_from(unfitted: Generator) -> None:
    with pytest.raises(InputError, match="at least 2 base classes"):
        clone(unfitted).fit(np.ones((3, 2)), [1, 1, 1])


def test_a_generator_without_a_name_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a registered generator"):
        Echo().fit(np.eye(2), [0, 1]).save(tmp_path / "file")
    assert not list(tmp_path.iterdir())
