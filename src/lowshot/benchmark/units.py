"""The low-shot phase as tasks: a unit is one method, setup and number of shots, and a block of experiments."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from lowshot import __version__
from lowshot.benchmark.arena import Arena, BenchmarkData
from lowshot.benchmark.measurement import Measurement
from lowshot.benchmark.method import Method
from lowshot.benchmark.packed import PackedArena
from lowshot.benchmark.prior import Validation, choose_prior, prior_metrics
from lowshot.benchmark.results import Record
from lowshot.files import fingerprint

# Experiments that are trained together: many share each product, and memory follows this number, not that of all.
BLOCK_EXPERIMENTS = 25

# Raised by a change of the code that gives the same inputs other numbers: what was measured before is measured again.
PROTOCOL = 1


def protocol() -> list[int]:
    """What digests hold of ``PROTOCOL``: nothing at 1, so that results from before there was one still stand."""
    return [PROTOCOL] if PROTOCOL > 1 else []


@dataclass
class Unit:
    """The runs of one method, setup and number of shots over a block of experiments: a task of a sweep.

    Attributes:
        key: for messages, and how other units name it.
        needs: the key of the unit whose prior it takes; empty where it chooses one itself, or none is wanted.
        unit: the fingerprint of everything that its results depend on.
        method: what is run.
        arena: the setup's features; None until the job has packed them.
        n: shots per class.
        experiments: their numbers, from 1.
        prior_target: what a prior maximises; None without one.
        tags: further entries of every record.
        draws: a digest of the shots of each experiment.
    """

    key: str
    needs: tuple[str, ...]
    unit: str
    method: Method
    setup: str
    n: int
    experiments: range
    prior_target: str | None
    tags: Mapping[str, Any]
    draws: Sequence[str]
    arena: PackedArena | None = None

    @property
    def group(self) -> str:
        """Units that share what is learned from the base classes."""
        return f"{self.tags['representation']}/{self.tags['method']} {self.setup}"

    def run(self, choice: Sequence[Record] | None = None) -> list[Record]:
        """All experiments of the block; ``choice`` are the records of the unit that it ``needs``."""
        arena, method = self.arena, self.method
        assert arena is not None
        known, base_seconds = method.fitted_on_base(arena)
        start = time.perf_counter()
        runs = [method.shots(arena, experiment, self.n) for experiment in self.experiments]
        fitted = known.fit_novel_runs([(features, labels) for features, labels, _ in runs], [s for *_, s in runs])
        standings = [arena.score(one) for one in fitted]
        seconds = (time.perf_counter() - start) / len(fitted)
        prior = None if choice is None else choice[0]["prior"]
        if self.setup == "val" and choice is None and self.prior_target is not None:
            prior = choose_prior(Validation(arena.classes, standings), self.prior_target)
        shared = {
            **self.tags,
            "classifier": method.classifier_name,
            "params": method.params,
            "generator": method.generator_name,
            "n_per_class": method.n_per_class,
            "setup": self.setup,
            "n_shots": self.n,
            "seed": method.seed,
            "prior": prior,
            "unit": self.unit,
            "unit_size": len(fitted),
            "seconds": round(seconds, 4),
            "base_seconds": round(base_seconds, 4),
            **provenance(),
        }
        records: list[Record] = [
            {**shared, "task": f"{self.unit}-{e}", "experiment": e, "shots": draw, **one.metrics()}
            for e, draw, one in zip(self.experiments, self.draws, standings)
        ]
        if self.setup == "test" and prior is not None:
            records = [{**record, **prior_metrics(one, prior)} for record, one in zip(records, standings)]
        if method.examples and self.experiments[0] == 1:
            records[0]["examples"] = list(method.kept_examples(arena, fitted[0]))
        return records


class Benchmark(Measurement):
    """All units of one method on one representation, validation first.

    Args:
        data: features, split and experiments.
        method: what is measured.
        n_shots: numbers of shots.
        setup: the half of the classes that is reported.
        prior_target: with setup "test", also run the first block of experiments on setup "val" and choose a prior
            there for each number of shots, which maximises this; None for no prior.
        tags: further entries of every record, among them ``representation`` and ``method``.
    """

    def __init__(
        self,
        data: BenchmarkData,
        method: Method,
        *,
        n_shots: Sequence[int],
        setup: str,
        prior_target: str | None,
        tags: Mapping[str, Any],
    ) -> None:
        super().__init__(data, tags, packed_shots=n_shots)
        self.method = method
        blocks = experiment_blocks(len(data.experiments))
        # All units are named before the first runs: what is wrong with the last one shows now.
        choices: dict[int, Unit] = {}
        units: list[Unit] = []
        if setup == "test" and prior_target is not None:
            choices = {n: self._unit("val", n, blocks[0], prior_target, None) for n in n_shots}
            units += choices.values()
        for n in n_shots:
            for block in blocks:
                unit = self._unit(setup, n, block, prior_target, choices.get(n))
                units.append(unit)
                if prior_target is not None:
                    choices.setdefault(n, unit)
        self.units = units

    def _complete(self, records: list[Record]) -> None:
        paths = self.data.test.paths
        for example in records[0].get("examples", ()):
            example["path"] = paths[example["row"]] if paths else None

    def _unit(self, setup: str, n: int, block: range, target: str | None, choice: Unit | None) -> Unit:
        arena: Arena = self.data.arena(setup)
        (classifier, generator, code), method = self.method.fingerprinted, self.method
        unit = fingerprint(
            [*self.data.fingerprints, setup, n],
            [*classifier, target, *([choice.unit] if choice else [])],
            generator,
            code,
            arena.draws(n, block),
            *protocol(),
        )
        key = f"{self.tags['representation']}/{self.tags['method']} {setup} n={n}"
        if len(self.data.experiments) > BLOCK_EXPERIMENTS:
            key += f" runs {block[0]}-{block[-1]}"
        needs = () if choice is None else (choice.key,)
        tags = {**self.tags, **arena.about}
        return Unit(key, needs, unit, method, setup, n, block, target, tags, arena.draw_names(n, block))


def experiment_blocks(n_experiments: int) -> list[range]:
    """The experiments 1..E in blocks of at most ``BLOCK_EXPERIMENTS``; more experiments leave the full ones alone."""
    starts = range(1, n_experiments + 1, BLOCK_EXPERIMENTS)
    return [range(start, min(start + BLOCK_EXPERIMENTS, n_experiments + 1)) for start in starts]


@cache
def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    return {"lowshot": __version__, "python": platform.python_version(), **libraries}


def provenance() -> dict[str, Any]:
    """What made a record: versions, machine, time."""
    return {"versions": _versions(), "host": platform.node(), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
