"""The base class of generators: input checks, the choice of seeds, and files.

A generator learns from the base classes how examples of one class differ, and invents further examples of a class of
which there are few (Hariharan & Girshick 2017, section 3.2). A new one is a short file: a constructor that stores its
parameters, ``_fit`` that sets attributes ending in an underscore, and ``_hallucinate`` that turns seeds into new
features. Arrays, dictionaries of arrays and plain values among those attributes are what :meth:`Generator.save` writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from lowshot import __version__
from lowshot.checks import as_classifier_weight, as_features, as_labels, check_count
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState, check_attribute, read_estimator, write_estimator
from lowshot.files import Pathlike, fingerprint
from lowshot.hallucination.sampling import seed_rows
from lowshot.registry import GENERATORS

FORMAT = "lowshot-generator"
FORMAT_VERSION = 1


class ShotGenerator(Protocol):
    """The one method that the low-shot phase calls; :class:`Generator` has it, and a plug-in's object may."""

    def generate(
        self, features: np.ndarray, labels: np.ndarray, n_per_class: int, random_state: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the shots, (N, D) with labels (N,), and after them the generated features with theirs."""


class Attributes(BaseModel):
    """The learned attributes in the header of a generator file: everything but arrays.

    Attributes:
        n_features_in_ (int): D, the width of the features.
        signed_ (bool): True where base features are negative; files of earlier versions do not say, and are not read
            as such.
        provenance_ (dict): What it was fitted on.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    n_features_in_: int = Field(ge=1)
    signed_: bool = False
    provenance_: dict[str, Any]


class GeneratorHeader(BaseModel):
    """The header of a generator file.

    Attributes:
        format (str): The format of the file.
        version (int): Its version.
        generator (str): The registered name.
        params (dict): The parameters.
        attributes (Attributes): The learned attributes but for arrays.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: str
    version: int
    generator: str
    params: dict[str, Any]
    attributes: Attributes


class Generator(BaseEstimator):
    """Base class. Constructors only store parameters; learned attributes end in an underscore.

    Attributes:
        n_features_in_ (int): D, the width of the features it was fitted on.
        signed_ (bool): The kind of the features it was fitted on. True where some are negative, as those of
            transformers, False where none is, as those that come out of a ReLU; generated features of a generator
            that heeds it are of the same kind.
        provenance_ (dict): The origin of the fit: counts, a fingerprint of the features and labels, and the version
            of lowshot.
        min_base_classes (int): The fewest base classes it can learn from. A subclass may set this and the following.
        local_params (tuple of str): The parameters that say where and how to compute. They do not change the result,
            so files, whose bytes tell results apart, leave them out.
        optional_params (mapping of str to value): The parameters that files and fingerprints leave out where they have
            the value given here. A parameter that is added later goes here with the value that changes nothing, so that
            earlier files and results keep their bytes and fingerprints.
        fitted_arrays (tuple of str): The arrays without which it cannot generate, one of a dictionary as
            ``attribute_/key``. A file that lacks any of them is refused.
    """

    min_base_classes: ClassVar[int] = 1
    local_params: ClassVar[tuple[str, ...]] = ()
    optional_params: ClassVar[Mapping[str, Any]] = {}
    fitted_arrays: ClassVar[tuple[str, ...]] = ()
    n_features_in_: int
    signed_: bool
    provenance_: dict[str, Any]

    def fit(self, features: Any, labels: Any, classifier_weight: Any = None) -> Self:
        """Learn from the base classes.

        Args:
            features (array-like, (N, D)): The base features, finite.
            labels (array-like, (N,)): The class of each.
            classifier_weight (array-like, (classes, D), optional): The weight of the representation's linear
                classifier, whose row ``y`` scores label ``y``. Generators that need none ignore it.

        Raises:
            InputError: The features hold NaN, infinity or numbers beyond float32, shapes do not fit together, there
                are too few base classes, or a parameter is out of range.
        """
        X = as_features(features, "base features").astype(np.float32, copy=False)
        y = as_labels(labels, X, "base features")
        n_classes = len(np.unique(y))
        if n_classes < self.min_base_classes:
            raise InputError(
                f"{type(self).__name__} needs at least {self.min_base_classes} base classes, but got {n_classes}"
            )
        weight = None if classifier_weight is None else as_classifier_weight(classifier_weight, X.shape[1])
        self.n_features_in_ = X.shape[1]
        self.signed_ = bool(X.min() < 0)
        self.provenance_ = {
            "lowshot": __version__,
            "n_examples": len(X),
            "n_base_classes": n_classes,
            "base_features": fingerprint(X, y if y.dtype.kind in "biu" else y.tolist()),
        }
        self._fit(X, y, weight)
        return self

    def generate(
        self, features: Any, labels: Any, n_per_class: int, random_state: int | np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generate features for every class that has fewer than ``n_per_class`` shots, up to that number.

        Args:
            features (array-like, (N, D)): The shots.
            labels (array-like, (N,)): The class of each.
            n_per_class (int): The number of examples that each class is to have at least, shots included.
            random_state (int or numpy.random.Generator, optional): The seed or generator that all draws come from.
                None takes the estimator's own ``random_state`` (0 where it has none), so that two calls draw alike.

        Returns:
            Features (N + M, D) and labels (N + M,): the shots as given and in their order, then the M generated ones,
            class by class in sorted order. Each is made from a shot of its class, its seed, drawn uniformly.

        Raises:
            InputError: The generator is not fitted, ``n_per_class`` is below 1, there are no shots, they have another
                width, NaN, infinity or numbers beyond float32, or a generated feature is not finite.
        """
        self._check_fitted("call fit, or load a fitted one from a file")
        X = as_features(features, "shots", width=self.n_features_in_)
        y = as_labels(labels, X, "shots")
        rng = np.random.default_rng(getattr(self, "random_state", 0) if random_state is None else random_state)
        seeds = seed_rows(y, check_count("n_per_class", n_per_class), rng)
        if not len(seeds):
            return X.copy(), y.copy()
        # One thread: products of this size gain little from more, and round alike. Overflow is reported below.
        with threadpool_limits(1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
            made = np.asarray(self._hallucinate(X[seeds].astype(np.float32, copy=False), rng))
        if made.shape != (len(seeds), X.shape[1]):
            raise TypeError(f"{type(self).__name__}._hallucinate returned {made.shape} for {len(seeds)} seeds")
        with np.errstate(over="ignore"):
            made = made.astype(X.dtype, copy=False)
        finite = np.isfinite(made).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{type(self).__name__} made NaN or infinity of shot {seeds[finite.argmin()]}: the shot is too large "
                "for it, or what it learned is not finite; scale the features, or fit it with other parameters"
            )
        return np.concatenate([X, made]), np.concatenate([y, y[seeds]])

    def stated_params(self) -> dict[str, Any]:
        """The parameters as files and fingerprints state them: without ``optional_params`` that change nothing."""
        optional = self.optional_params
        params = self.get_params(deep=False)
        return {name: value for name, value in params.items() if name not in optional or value != optional[name]}

    def save(self, path: Pathlike) -> None:
        """Write the fitted generator as one safetensors file, atomically; equal generators give equal bytes.

        Raises:
            InputError: The generator is not fitted, or its class is not registered, so that nothing could load it.
        """
        self._check_fitted("there is nothing to save")
        arrays: dict[str, np.ndarray] = {}
        plain: dict[str, Any] = {}
        for name, value in sorted(vars(self).items()):
            if not name.endswith("_") or name.startswith("_"):
                continue
            if isinstance(value, np.ndarray):
                arrays[name] = value
            elif isinstance(value, dict) and value and all(isinstance(v, np.ndarray) for v in value.values()):
                arrays |= {f"{name}/{key}": v for key, v in value.items()}
            else:
                plain[name] = value
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "generator": GENERATORS.name_of(type(self)),
            "params": {k: v for k, v in self.stated_params().items() if k not in self.local_params},
            "attributes": plain,
        }
        text = json.dumps(header, sort_keys=True, ensure_ascii=False, default=_plain)
        write_estimator(path, "generator", text, arrays)

    @classmethod
    def load(cls, path: Pathlike) -> Self:
        """The fitted generator in a file that :meth:`save` wrote. ``Generator.load`` takes a file of any generator.

        Raises:
            InputError: The file is missing, truncated or no generator's, lacks some of what was learned, or holds an
                unknown generator or, for a subclass, another one.
        """
        source = f"generator file {path}"
        header, arrays = read_estimator(path, "generator", GeneratorHeader, FORMAT)
        if header.version != FORMAT_VERSION:
            raise InputError(
                f"{path} has generator format version {header.version}; this lowshot reads {FORMAT_VERSION}. "
                "Fit and save the generator again"
            )
        factory = GENERATORS.get(header.generator)
        if not (isinstance(factory, type) and issubclass(factory, cls)):
            raise InputError(
                f"{path} holds a {header.generator!r} generator, which is no {cls.__name__}: "
                "Generator.load opens any kind"
            )
        try:
            generator: Self = GENERATORS.build(header.generator, **header.params)
        except InputError as error:
            raise InputError(f"{path} has parameters that this version does not take: {error}") from None
        if (seed := header.params.get("random_state")) is not None:
            check_count(f"{source}: random_state", seed, least=0)
        if lacking := [name for name in factory.fitted_arrays if name not in arrays]:
            raise InputError(
                f"{path} lacks {', '.join(lacking)}, so it cannot generate: fit and save the generator again"
            )
        generator.__dict__.update(_attributes(source, factory, header.attributes.model_dump(), arrays))
        generator._check_learned(LearnedState(source, generator, D=generator.n_features_in_))
        return generator

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        """Learn from checked input: (N, D) float32, (N,), and (classes, D) float32 or None."""
        raise NotImplementedError

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(M, D), one new feature for each seed (M, D) float32. All randomness comes from ``rng``."""
        raise NotImplementedError

    def _check_learned(self, learned: LearnedState) -> None:
        """Refuse learned attributes from a file whose shapes or values this generator would never learn.

        Args:
            learned (LearnedState): The checks, each of which raises an InputError; its size ``D`` is the width of the
                features.
        """

    def _check_fitted(self, advice: str) -> None:
        if not hasattr(self, "n_features_in_"):
            raise InputError(f"{type(self).__name__} is not fitted: {advice}")


def _attributes(
    source: str, factory: type, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The learned attributes in a file, by name; an array ``name/key`` is one of a dictionary."""
    single = {name for name in arrays if "/" not in name}
    grouped = {name.partition("/")[0] for name in arrays if "/" in name}
    for name in sorted(single | grouped | plain.keys()):
        if name.startswith("_") or not name.endswith("_"):
            raise InputError(f"{source}: {name!r} is no name of a fitted attribute, which end in one '_'")
        check_attribute(source, factory, name)
        if (name in single) + (name in grouped) + (name in plain) > 1:
            raise InputError(f"{source} holds {name!r} twice")
    attributes = dict(plain)
    for name, value in arrays.items():
        name, slash, key = name.partition("/")
        if slash:
            attributes.setdefault(name, {})[key] = value
        else:
            attributes[name] = value
    return attributes


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form: a fitted attribute holds arrays or plain values")
