"""The low-shot benchmark: every experiment and number of shots of one method on one representation."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone

from lowshot import __version__
from lowshot.benchmark.arena import Arena, check_inputs
from lowshot.benchmark.identity import code_of, identity, plain, registered_name
from lowshot.benchmark.prior import Validation, choose_prior, prior_metrics
from lowshot.benchmark.results import Record, ResultStore
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.io import fingerprint
from lowshot.progress import progress
from lowshot.registry import CLASSIFIERS, GENERATORS

N_SHOTS = (1, 2, 5, 10, 20)
_SETUPS = ("val", "test")


class ShotGenerator(Protocol):
    """What ``generator`` needs to be; see ``lowshot.hallucination``."""

    def generate(
        self, features: np.ndarray, labels: np.ndarray, n_per_class: int, random_state: Any = None
    ) -> tuple[np.ndarray, np.ndarray]: ...


def run_benchmark(
    train: FeatureStore,
    test: FeatureStore,
    split: ClassSplit,
    experiments: Experiments,
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None = None,
    *,
    n_shots: Sequence[int] = N_SHOTS,
    setup: str = "test",
    prior: bool = True,
    prior_target: str = "all_top5",
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    examples: int = 0,
) -> list[Record]:
    """Run the protocol of Hariharan & Girshick (arXiv 1606.02819, section 4.1) for one method.

    What the method learns from the base classes it learns once per setup. The experiments of one number of shots are
    one unit of work, whose runs may be trained together; a unit that ``store`` has is not computed again.

    Args:
        train: features that base examples and shots are taken from.
        test: features of the queries.
        split: which classes are base and novel.
        experiments: which rows of ``train`` are shots; checked against its labels and paths.
        classifier: an estimator, which is cloned, or a registered name.
        params: parameters of the classifier that differ from its own.
        n_shots: numbers of shots.
        setup: "test", or "val" to report on the classes that hyper-parameters are chosen on.
        prior: on setup "test", also run setup "val", choose a prior there for each number of shots, and report
            ``all_prior_top1`` and ``all_prior_top5``.
        prior_target: what the prior maximises: "all_top5" or "all_top1".
        generator: a fitted generator that adds to the shots of each run.
        n_per_class: with ``generator``, shots and generated features together per novel class.
        seed: of everything random in the runs.
        store: where records are kept and found again.
        tags: further entries of every record. Without them ``representation`` is the name of the folder that holds
            ``train``, as in the original, and ``method`` the names of generator and classifier.
        examples: how many novel queries to keep with their predictions, in experiment 1, for a report.

    Returns:
        One record per setup, number of shots and experiment, validation first.

    Raises:
        InputError: features, split and experiments do not belong together, or a class has too few images.
    """
    known = CLASSIFIERS.build(classifier, **(params or {})) if isinstance(classifier, str) else classifier
    if not isinstance(known, LowShotClassifier):
        raise InputError(f"{type(known).__name__} is no LowShotClassifier (see lowshot.classifiers.base)")
    if params and not isinstance(classifier, str):
        known = clone(known).set_params(**params)
    if (generator is None) != (n_per_class == 0):
        raise InputError("generator and n_per_class go together: give both or neither")
    check_inputs(train, test, split, experiments)
    setups = ("val", "test") if prior and setup == "test" else (setup,)
    method = _Method(known, generator, n_per_class, seed, examples)
    target = prior_target if prior else None
    tags = {"representation": train.path.parent.name, "method": method.name, **(tags or {})}
    # All units are named before the first runs: what is wrong with the last one shows now.
    arenas = [Arena(train, test, split, experiments, name) for name in setups]
    units = [(arena, n, method.unit(arena, n, target)) for arena in arenas for n in n_shots]
    records: list[Record] = []
    biases: dict[int, float] = {}
    with progress("evaluate", len(units)) as tick:
        for arena, n, unit in units:
            found = store.find(unit) if store else None
            if found is None:
                found = method.run(arena, n, unit, biases.get(n), target, tags)
                found = store.add(found) if store else found
            if arena.setup == "val" and prior:
                biases[n] = found[0]["prior"]
            records += found
            tick(1, f"{arena.setup}, n={n}")
    return records


@dataclass
class _Method:
    """A classifier with, maybe, a generator before it."""

    classifier: LowShotClassifier
    generator: ShotGenerator | None
    n_per_class: int
    seed: int
    examples: int

    def __post_init__(self) -> None:
        self._known: tuple[str, LowShotClassifier, float] | None = None
        self.classifier_name = registered_name(CLASSIFIERS, self.classifier)
        self.generator_name = None if self.generator is None else registered_name(GENERATORS, self.generator)
        self.name = " + ".join(name for name in (self.generator_name, self.classifier_name) if name)

    def unit(self, arena: Arena, n: int, prior_target: str | None) -> str:
        """The fingerprint of everything that the runs of one setup and number of shots depend on."""
        draws = [arena.experiments.shots(e, n, arena.classes.novel) for e in range(1, len(arena.experiments) + 1)]
        return fingerprint(
            [arena.train.fingerprint, arena.test.fingerprint, arena.split.fingerprint, arena.setup, n],
            [self.classifier_name, plain(self.classifier.get_params()), self.seed, prior_target],
            [identity(self.generator), self.n_per_class, self.examples],
            [code_of(self.classifier), code_of(self.generator)],
            np.stack(draws),
        )

    def run(
        self,
        arena: Arena,
        n: int,
        unit: str,
        bias: float | None,
        prior_target: str | None,
        tags: Mapping[str, Any],
    ) -> list[Record]:
        """All experiments of one number of shots."""
        known, base_seconds = self._fitted_on_base(arena)
        start = time.perf_counter()
        numbers = range(1, len(arena.experiments) + 1)
        seeds = [_seed(self.seed, arena.setup, n, e) for e in numbers]
        runs = [self._shots(arena, e, n, seed) for e, seed in zip(numbers, seeds)]
        fitted = known.fit_novel_runs(runs, seeds)
        standings = [arena.score(one) for one in fitted]
        seconds = (time.perf_counter() - start) / len(fitted)
        if arena.setup == "val" and prior_target is not None:
            bias = choose_prior(Validation(arena.classes, standings), prior_target)
        shared = {
            **tags,
            "classifier": self.classifier_name,
            "params": plain(self.classifier.get_params()),
            "generator": self.generator_name,
            "n_per_class": self.n_per_class,
            "setup": arena.setup,
            "n_shots": n,
            "data": arena.data,
            "features": arena.features,
            "seed": self.seed,
            "prior": bias,
            "unit": unit,
            "unit_size": len(fitted),
            "seconds": round(seconds, 4),
            "base_seconds": round(base_seconds, 4),
            **_provenance(),
        }
        records = [
            {**shared, "task": f"{unit}-{e}", "experiment": e, "shots": arena.draw(e, n), **s.metrics()}
            for e, s in zip(numbers, standings)
        ]
        if arena.setup == "test" and bias is not None:
            records = [{**record, **prior_metrics(s, bias)} for record, s in zip(records, standings)]
        if self.examples:
            records[0]["examples"] = list(self._examples(arena, fitted[0]))
        return records

    def _fitted_on_base(self, arena: Arena) -> tuple[LowShotClassifier, float]:
        """The classifier with what it learns from the setup's base classes, and how long that took, once."""
        if self._known is None or self._known[0] != arena.setup:
            start = time.perf_counter()
            known: LowShotClassifier = clone(self.classifier)
            if "random_state" in known.get_params(deep=False):
                known.set_params(random_state=_seed(self.seed, arena.setup, 0, 0))
            self._known = None  # first let go of the other setup's base features
            known.fit_base(*arena.read_base())
            self._known = arena.setup, known, time.perf_counter() - start
        return self._known[1], self._known[2]

    def _shots(self, arena: Arena, experiment: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        features, labels = arena.shots(experiment, n)
        if self.generator is None:
            return features, labels
        return self.generator.generate(features, labels, max(n, self.n_per_class), random_state=seed)

    def _examples(self, arena: Arena, classifier: LowShotClassifier) -> Iterator[dict[str, Any]]:
        """Some novel queries with their predictions, the same ones for every method."""
        novel = np.flatnonzero(np.isin(arena.query_labels, arena.classes.novel))
        rng = np.random.default_rng([self.seed, len(novel)])
        chosen = np.sort(rng.choice(novel, min(self.examples, len(novel)), replace=False))
        for place, label in zip(chosen, classifier.predict(arena.queries[chosen])):
            yield {
                "row": (row := int(arena.query_rows[place])),
                "path": arena.test.paths[row] if arena.test.paths else None,
                "true": int(arena.query_labels[place]),
                "predicted": int(label),
            }


def _seed(seed: int, setup: str, n: int, experiment: int) -> int:
    """A seed for one run, the same whatever runs beside it or before it."""
    sequence = np.random.SeedSequence([seed, _SETUPS.index(setup), n, experiment])
    return int(sequence.generate_state(1)[0] >> 1)


def _provenance() -> dict[str, Any]:
    versions = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    return {
        "versions": {"lowshot": __version__, "python": platform.python_version(), **versions},
        "host": platform.node(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
