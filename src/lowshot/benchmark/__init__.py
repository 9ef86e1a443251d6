"""The low-shot benchmark: protocol, accuracies, calibration bias, tuning, episodes and results.

Its names are imported on first use: a worker process then starts without modules that its tasks do not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.benchmark.calibration_bias import choose_bias
    from lowshot.benchmark.episodes import run_episodes
    from lowshot.benchmark.metrics import low_shot_metrics
    from lowshot.benchmark.protocol import N_SHOTS, run_benchmark
    from lowshot.benchmark.results import ResultStore
    from lowshot.benchmark.summary import Summary, summarise
    from lowshot.benchmark.tuning import tune
    from lowshot.benchmark.validation import ValidationData
    from lowshot.parallel.engines import Engine

__all__ = [
    "Engine",
    "N_SHOTS",
    "ResultStore",
    "Summary",
    "ValidationData",
    "choose_bias",
    "low_shot_metrics",
    "run_benchmark",
    "run_episodes",
    "summarise",
    "tune",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "calibration_bias": ("choose_bias",),
        "episodes": ("run_episodes",),
        "metrics": ("low_shot_metrics",),
        "protocol": ("N_SHOTS", "run_benchmark"),
        "results": ("ResultStore",),
        "summary": ("Summary", "summarise"),
        "tuning": ("tune",),
        "validation": ("ValidationData",),
        "lowshot.parallel.engines": ("Engine",),
    },
)
