"""The stops that measure methods: on the benchmark's setups, and on N-way K-shot episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.benchmark import ResultStore
from lowshot.benchmark.episode_units import EpisodeBenchmark
from lowshot.benchmark.episodes import EpisodeDesign
from lowshot.benchmark.measurement import Measurement
from lowshot.benchmark.units import Benchmark
from lowshot.parallel.scheduler import Job
from lowshot.pipeline.result_files import ResultFiles, episodes_path, result_path
from lowshot.pipeline.stages.base import Stop

if TYPE_CHECKING:
    from lowshot.pipeline.low_shot_phase import LowShotPhase

# Novel queries that are kept with their predictions, for the report.
EXAMPLES = 12


def evaluate_stop(phase: LowShotPhase, method: str, needs: tuple[Stop, ...], files: ResultFiles) -> Stop:
    """Every run of one method on one representation."""
    section = phase.recipe.evaluate

    def benchmark() -> Benchmark:
        return Benchmark(
            phase.data,
            phase.method(method, EXAMPLES),
            n_shots=section.n_shots,
            setup=section.setup,
            prior_target=section.prior_target if section.calibrate == "prior" else None,
            tags=phase.tags(method),
        )

    inputs = {"evaluate": section.model_dump(mode="json", exclude={"methods"})}
    path = result_path(phase.recipe.folder, phase.representation, method)
    return _stop("evaluate", phase, method, inputs, needs, (path, files.results), benchmark, files.merge_results)


def episodes_stop(phase: LowShotPhase, method: str, needs: tuple[Stop, ...], files: ResultFiles) -> Stop:
    """All episodes of one method on one representation."""
    section, evaluate = phase.recipe.episodes, phase.recipe.evaluate
    assert section is not None
    designs = [EpisodeDesign(section.n_way, n, section.n_query, section.n_tasks) for n in section.n_shots]

    def benchmark() -> EpisodeBenchmark:
        return EpisodeBenchmark(
            phase.data,
            phase.method(method),
            designs=designs,
            setup=evaluate.setup,
            tags=phase.tags(method),
            packed_shots=evaluate.n_shots,
        )

    inputs = {"episodes": section.model_dump(mode="json", exclude={"methods"}), "setup": evaluate.setup}
    path = episodes_path(phase.recipe.folder, phase.representation, method)
    return _stop("episodes", phase, method, inputs, needs, (path, files.episodes), benchmark, files.merge_episodes)


def _stop(
    kind: str,
    phase: LowShotPhase,
    method: str,
    inputs: Mapping[str, Any],
    needs: tuple[Stop, ...],
    outputs: tuple[Path, Path],
    measurement: Callable[[], Measurement],
    merge: Callable[[bool], None],
) -> Stop:
    """A stop whose job is what the method's own file lacks; ``merge(last)`` brings the file of all up to date."""
    section, subject = phase.recipe.evaluate.methods[method], f"{phase.representation}/{method}"

    def job() -> Job:
        found, store = measurement(), ResultStore(outputs[0])
        units = [unit.unit for unit in found.units]

        def finish(last: bool) -> None:
            store.keep(units)
            store.arrange(units)
            merge(last)

        return found.job(f"{kind}:{subject}", store, phase.scratch, finish)

    inputs = {
        "classifier": section.classifier,
        "params": section.params_for(phase.representation),
        "n_per_class": section.n_per_class,
        **inputs,
        **phase.common_inputs,
    }
    return Stop(kind, subject, inputs, needs, outputs, job=job, damage=lambda: _damage(outputs[0]))


def _damage(path: Path) -> str | None:
    return f"{path} is cut off" if ResultStore(path).torn else None
