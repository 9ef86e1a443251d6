"""The low-shot benchmark: protocol, accuracies, prior, tuning, sweeps and results.

Its names are fetched on first use: a worker process then starts without whatever its tasks do not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.benchmark.metrics import low_shot_metrics
    from lowshot.benchmark.prior import choose_prior
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
    "choose_prior",
    "low_shot_metrics",
    "run_benchmark",
    "summarise",
    "tune",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "lowshot.parallel.engines": ("Engine",),
        "metrics": ("low_shot_metrics",),
        "prior": ("choose_prior",),
        "protocol": ("N_SHOTS", "run_benchmark"),
        "results": ("ResultStore",),
        "summary": ("Summary", "summarise"),
        "tuning": ("tune",),
        "validation": ("ValidationData",),
    },
)
