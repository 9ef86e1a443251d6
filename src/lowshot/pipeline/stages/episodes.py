"""The stage that measures a method on N-way K-shot episodes."""

from __future__ import annotations

from lowshot.benchmark.episode_sampler import EpisodeDesign
from lowshot.benchmark.episodes import episode_tasks
from lowshot.benchmark.task import Task
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.result_files import ResultFiles
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stages.evaluate import measured_stage


def episodes_stage(phase: LowShotPhase, method: str, needs: tuple[Stage, ...], files: ResultFiles) -> Stage:
    """All episodes of one method on one representation."""
    section, evaluate, outputs = phase.recipe.episodes, phase.recipe.evaluate, phase.outputs
    assert section is not None
    designs = [EpisodeDesign(section.n_way, n, section.n_query, section.n_tasks) for n in section.n_shots]

    def tasks() -> list[Task]:
        return episode_tasks(
            phase.data,
            phase.method(method),
            outputs.scratch,
            designs=designs,
            setup=evaluate.setup,
            tags=phase.tags(method),
            max_shots=max(evaluate.n_shots),
        )

    depends = {"episodes": section.model_dump(mode="json", exclude={"methods"}), "setup": evaluate.setup}
    written = (outputs.method_episodes(phase.name, method), outputs.episodes)
    return measured_stage("episodes", phase, method, depends, needs, written, tasks, files.merge_episodes)
