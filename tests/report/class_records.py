"""Records with right answers by class, of methods whose answers are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

QUERIES = np.array([10, 20, 10, 10, 15, 10])
N_BASE = 2
CLASSES = {"base": [4, 7], "novel": [1, 2, 3, 9]}
NAMES = ["four", "seven", "one", "two", "three", "nine"]


def class_records(
    rows: dict[tuple[str, str], float],
    experiments: int = 5,
    n_shots: tuple[int, ...] = (1, 20),
    trainings: int = 1,
    seed: int = 0,
    **entries: Any,
) -> list[dict[str, Any]]:
    """Records of ``rows`` {(representation, method): probability of a right answer}, on the same draws.

    Args:
        rows (dict): The probability that a query is answered rightly.
        experiments (int): The number of draws.
        n_shots (tuple of int): The numbers of shots.
        trainings (int): The number of trainings of each representation.
        seed (int): The seed of the answers.
        **entries: Further entries of every record.
    """
    rng = np.random.default_rng(seed)
    found = []
    for (representation, method), p in rows.items():
        for training in range(1, trainings + 1):
            for n in n_shots:
                unit = f"{representation} {method} {training} {n}"
                for e in range(1, experiments + 1):
                    top1, top5 = rng.binomial(QUERIES, p), rng.binomial(QUERIES, min(1.0, p + 0.2))
                    novel = (int(QUERIES[N_BASE:].sum()), int(top1[N_BASE:].sum()))
                    base = (int(QUERIES[:N_BASE].sum()), int(top1[:N_BASE].sum()))
                    record = {
                        "representation": representation,
                        "method": method,
                        "setup": "test",
                        "n_shots": n,
                        "experiment": e,
                        "unit": unit,
                        "unit_size": experiments,
                        "task": f"{unit} {e}",
                        "data": {"base": 2, "novel": 4, "train": "a", "test": "b", "split": "c"},
                        **({"training": training} if trainings > 1 else {}),
                        "all_top1": float(top1.sum() / QUERIES.sum()),
                        "all_top5": float(top5.sum() / QUERIES.sum()),
                        "novel_top1": novel[1] / novel[0],
                        "top1_by_class": top1.tolist(),
                        "top5_by_class": top5.tolist(),
                        "answered_as": {
                            "base": [base[1], 0, base[0] - base[1]],
                            "novel": [novel[1], 1, novel[0] - novel[1] - 1],
                        },
                        "answers": f"{unit} {e}",
                        **entries,
                    }
                    if e == 1:
                        record |= {"classes": CLASSES, "class_names": NAMES, "queries_by_class": QUERIES.tolist()}
                        record["confusions"] = [[1, 4, 12, 30], [4, 9, 3, 7]]
                    found.append(record)
    return found


def copied(records: list[dict[str, Any]], method: str, **entries: Any) -> list[dict[str, Any]]:
    """The same runs under the name of another method."""
    return [{**r, "method": method, "task": f"{r['task']} {method}", **entries} for r in records]
