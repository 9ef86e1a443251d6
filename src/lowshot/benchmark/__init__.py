"""The low-shot benchmark: protocol, accuracies, prior and results."""

from lowshot.benchmark.engine import Engine
from lowshot.benchmark.metrics import low_shot_metrics
from lowshot.benchmark.prior import choose_prior
from lowshot.benchmark.protocol import N_SHOTS, run_benchmark
from lowshot.benchmark.results import ResultStore
from lowshot.benchmark.summary import Summary, summarise

__all__ = [
    "Engine",
    "N_SHOTS",
    "ResultStore",
    "Summary",
    "choose_prior",
    "low_shot_metrics",
    "run_benchmark",
    "summarise",
]
