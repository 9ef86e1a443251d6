"""What every generator shares: input checks, which shots need company, and files.

A generator learns from the base classes how examples of one class differ, and invents further examples of a class of
which there are few (Hariharan & Girshick 2017, section 3.2). A new one is a short file: a constructor that stores its
parameters, ``_fit`` that sets attributes ending in an underscore, and ``_hallucinate`` that turns seeds into new
features. Arrays, dictionaries of arrays and plain values among those attributes are what :meth:`Generator.save` writes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from lowshot import __version__
from lowshot.errors import InputError
from lowshot.files import fingerprint, write_bytes
from lowshot.hallucination.checks import as_count, as_features, as_labels, as_weight
from lowshot.hallucination.sampling import seed_rows
from lowshot.registry import GENERATORS

FORMAT = "lowshot-generator"
FORMAT_VERSION = 1


class Generator(BaseEstimator):
    """Base class. Constructors only store parameters; what is learned ends in an underscore.

    Attributes:
        n_features_in_: D, the width of the features it was fitted on.
        provenance_: what it was fitted on: counts, a fingerprint of the features and labels, the version of lowshot.

    A subclass may set ``min_base_classes``, the fewest it can learn from, and ``local_params``, the names of parameters
    that say where and how to compute rather than what: these stay out of files, whose bytes then tell results apart.
    ``fitted_arrays`` names the arrays without which it cannot generate, one of a dictionary as ``attribute_/key``: a
    file that lacks any is refused.
    """

    min_base_classes: ClassVar[int] = 1
    local_params: ClassVar[tuple[str, ...]] = ()
    fitted_arrays: ClassVar[tuple[str, ...]] = ()
    n_features_in_: int
    provenance_: dict[str, Any]

    def fit(self, features: Any, labels: Any, classifier_weight: Any = None) -> Self:
        """Learn from the base classes.

        Args:
            features: (N, D) float, finite.
            labels: (N,) the class of each.
            classifier_weight: (classes, D) the representation's linear classifier, whose row ``y`` scores label ``y``;
                generators that need none ignore it.

        Raises:
            InputError: NaN, infinity or numbers beyond float32, shapes that do not fit, too few base classes, or a
                parameter without meaning.
        """
        X = as_features(features, "base features").astype(np.float32, copy=False)
        y = as_labels(labels, X, "base features")
        n_classes = len(np.unique(y))
        if n_classes < self.min_base_classes:
            raise InputError(
                f"{type(self).__name__} needs at least {self.min_base_classes} base classes, but got {n_classes}"
            )
        weight = None if classifier_weight is None else as_weight(classifier_weight, X.shape[1])
        self.n_features_in_ = X.shape[1]
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
        """Bring every class with fewer than ``n_per_class`` shots up to that number.

        Args:
            features: (N, D) float: the shots.
            labels: (N,) their classes.
            n_per_class: how many examples each class is to have at least, real ones included.
            random_state: seed or generator; None takes the estimator's own ``random_state`` (0 where it has none), so
                that two calls draw alike.

        Returns:
            features (N + M, D) and labels (N + M,): the shots as given and in their order, then the generated ones,
            class by class in sorted order. Each is grown from a shot of its class drawn uniformly.

        Raises:
            InputError: not fitted, another feature width, NaN, infinity or numbers beyond float32, no shots,
                ``n_per_class`` below 1, or what was generated is not finite.
        """
        if not hasattr(self, "n_features_in_"):
            raise InputError(f"{type(self).__name__} is not fitted: call fit, or load a fitted one from a file")
        X = as_features(features, "shots", width=self.n_features_in_)
        y = as_labels(labels, X, "shots")
        rng = np.random.default_rng(getattr(self, "random_state", 0) if random_state is None else random_state)
        seeds = seed_rows(y, as_count(n_per_class, "n_per_class"), rng)
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all: the arrays, and as JSON all else that was learned.

        Raises:
            InputError: not fitted, or the class has no name in the registry, so no file could be traced back to it.
        """
        if not hasattr(self, "n_features_in_"):
            raise InputError(f"{type(self).__name__} is not fitted: there is nothing to save")
        tensors: dict[str, np.ndarray] = {}
        plain: dict[str, Any] = {}
        for name, value in sorted(vars(self).items()):
            if not name.endswith("_") or name.startswith("_"):
                continue
            if isinstance(value, np.ndarray):
                tensors[name] = np.ascontiguousarray(value)
            elif isinstance(value, dict) and value and all(isinstance(v, np.ndarray) for v in value.values()):
                tensors |= {f"{name}/{key}": np.ascontiguousarray(v) for key, v in value.items()}
            else:
                plain[name] = value
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "generator": _registered_name(type(self)),
            "params": {k: v for k, v in self.get_params(deep=False).items() if k not in self.local_params},
            "attributes": plain,
        }
        text = json.dumps(header, sort_keys=True, ensure_ascii=False, default=_plain)
        write_bytes(path, safetensors.numpy.save(tensors, metadata={"lowshot": text}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The fitted generator in a file that :meth:`save` wrote; ``Generator.load`` takes a file of any generator.

        Raises:
            InputError: missing, truncated or foreign file; one that lacks some of what was learned; one of an unknown
                generator; or, called on a subclass, one of another generator.
        """
        header, tensors = _read(path)
        factory = GENERATORS.get(header["generator"])
        if not (isinstance(factory, type) and issubclass(factory, cls)):
            raise InputError(
                f"{path} holds a {header['generator']!r} generator, which is no {cls.__name__}: "
                "Generator.load opens any kind"
            )
        try:
            generator = factory(**header["params"])
        except TypeError as error:
            raise InputError(
                f"{path} has parameters that this version's {header['generator']!r} does not take: {error}"
            ) from None
        if lacking := [name for name in factory.fitted_arrays if name not in tensors]:
            raise InputError(
                f"{path} lacks {', '.join(lacking)}, so it cannot generate: fit and save the generator again"
            )
        for name, value in header["attributes"].items():
            setattr(generator, name, value)
        for name, value in tensors.items():
            name, _, key = name.partition("/")
            if key:
                generator.__dict__.setdefault(name, {})[key] = value
            else:
                setattr(generator, name, value)
        return generator

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        """Learn from checked input: (N, D) float32, (N,), and (classes, D) float32 or None."""
        raise NotImplementedError

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(M, D): one new feature for each seed (M, D) float32, with all randomness from ``rng``."""
        raise NotImplementedError


def _registered_name(cls: type) -> str:
    for entry in GENERATORS:
        if entry.factory is cls:
            return entry.name
    raise InputError(f"{cls.__name__} is not a registered generator: decorate it with GENERATORS.register(name, text)")


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise InputError(f"generator file {path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("lowshot", "null")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        header = json.loads(text)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"generator file {path} is truncated or not a safetensors file: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path} is a safetensors file, but not a generator that lowshot saved")
    if header.get("version") != FORMAT_VERSION:
        raise InputError(
            f"{path} has generator format version {header.get('version')}; this lowshot reads {FORMAT_VERSION}. "
            "Fit and save the generator again"
        )
    _check_contents(path, header, tensors)
    return header, tensors


def _check_contents(path: str | os.PathLike[str], header: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Refuse what :meth:`Generator.save` never writes, before any of it becomes an attribute."""
    for key, expected in (("generator", str), ("params", dict), ("attributes", dict)):
        if not isinstance(header.get(key), expected):
            raise InputError(f"the header of generator file {path} needs {key!r}, of type {expected.__name__}")
    plain = header["attributes"]
    width = plain.get("n_features_in_")
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise InputError(f"generator file {path}: n_features_in_ must be a whole number of at least 1, got {width!r}")
    if not isinstance(plain.get("provenance_"), dict):
        raise InputError(f"generator file {path}: provenance_, what it was fitted on, is missing or no mapping")
    whole = {name for name in tensors if "/" not in name}
    parts = {name.partition("/")[0] for name in tensors if "/" in name}
    for name in sorted(whole | parts | plain.keys()):
        if name.startswith("_") or not name.endswith("_"):
            raise InputError(f"generator file {path}: {name!r} is no name of a fitted attribute, which end in one '_'")
        if (name in whole) + (name in parts) + (name in plain) > 1:
            raise InputError(f"generator file {path} holds {name!r} twice")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form: a fitted attribute holds arrays or plain values")
