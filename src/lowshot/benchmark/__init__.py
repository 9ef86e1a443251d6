"""The low-shot benchmark: protocol, accuracies, prior, tuning and results."""

from lowshot.benchmark.engine import Engine
from lowshot.benchmark.metrics import low_shot_metrics
from lowshot.benchmark.prior import choose_prior
from lowshot.benchmark.protocol import N_SHOTS, run_benchmark
from lowshot.benchmark.results import ResultStore
from lowshot.benchmark.summary import Summary, summarise
from lowshot.benchmark.tuning import tune
from lowshot.benchmark.validation import ValidationData

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
