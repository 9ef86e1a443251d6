"""The original's result files, one a run, as records of lowshot and back.

``{repr}_lr_{lr:.3f}_wd_{wd:.3f}_expid_{id}_lowshotn_{n}_maxgen_{m}.json`` holds ``lr``, ``wd``, ``expid``, ``lowshotn``
and ``accs``; ``MN_{repr}_expid_{id}_lowshotn_{n}.json`` holds ``expid``, ``lowshotn`` and ``accs``. ``accs`` are top-1
and top-5 of novel, base and all classes, as fractions. ``maxgen`` and the name of the representation are in the name
alone, and nothing says whether the run was of the validation or the test setup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.errors import InputError
from lowshot.files import Pathlike, fingerprint, is_folder, read_json, read_text, write_json

if TYPE_CHECKING:
    from lowshot.benchmark.results import Record

ACCURACIES = ("novel_top1", "novel_top5", "base_top1", "base_top5", "all_top1", "all_top5")
_LINEAR = re.compile(
    r"(?P<repr>.+)_lr_(?P<lr>[^_]+)_wd_(?P<wd>[^_]+)_expid_(?P<expid>\d+)_lowshotn_(?P<n>\d+)_maxgen_(?P<maxgen>\d+)\.json"
)
_MATCHING = re.compile(r"MN_(?P<repr>.+)_expid_(?P<expid>\d+)_lowshotn_(?P<n>\d+)\.json")


@dataclass(frozen=True)
class Run:
    """One run of the original: a file's name and content.

    Attributes:
        representation (str): The name of the folder that held the train features.
        experiment (int): The number of the draw of the shots, from 1.
        n_shots (int): The shots per novel class.
        accuracies (tuple of float): The six of :data:`ACCURACIES`, fractions.
        lr (float or None): The learning rate of the linear classifier; None for a matching network.
        weight_decay (float or None): The weight decay of the linear classifier; None for a matching network.
        max_per_label (int): The shots and generated features of a class; 0 without a generator.
    """

    representation: str
    experiment: int
    n_shots: int
    accuracies: tuple[float, ...]
    lr: float | None = None
    weight_decay: float | None = None
    max_per_label: int = 0

    @property
    def file_name(self) -> str:
        """The name that the original gives the file."""
        where = f"expid_{self.experiment}_lowshotn_{self.n_shots}"
        if self.lr is None:
            return f"MN_{self.representation}_{where}.json"
        rates = f"lr_{self.lr:.3f}_wd_{self.weight_decay:.3f}"
        return f"{self.representation}_{rates}_{where}_maxgen_{self.max_per_label}.json"

    @property
    def content(self) -> dict[str, Any]:
        """The content of the file."""
        rates = {} if self.lr is None else {"lr": self.lr, "wd": self.weight_decay}
        return {**rates, "expid": self.experiment, "lowshotn": self.n_shots, "accs": list(self.accuracies)}


def write_run(folder: Pathlike, run: Run, as_own: bool = False) -> Path:
    """Write one result file under the original's name; it appears whole.

    Args:
        folder (str or path): The folder.
        run (Run): The run.
        as_own (bool): True for a program that may replace the file later; see :func:`is_own_result`.
    """
    path = Path(folder) / run.file_name
    write_json(path, run.content, indent=1 if as_own else None)
    return path


def is_own_result(path: Pathlike) -> bool:
    """Return True if the file was written ``as_own``: on several lines, where the original writes a single one."""
    return len(read_text(path, "result").splitlines()) > 1


def read_run(path: Pathlike) -> Run:
    """Read one result file.

    Raises:
        InputError: The file is missing or not JSON, or its name or content is none of the original's, or the two
            disagree.
    """
    path = Path(path)
    named = _MATCHING.fullmatch(path.name) or _LINEAR.fullmatch(path.name)
    if named is None:
        raise InputError(
            f"{path} is not named as a result of the original program, which are called "
            "REPR_lr_LR_wd_WD_expid_E_lowshotn_N_maxgen_M.json or MN_REPR_expid_E_lowshotn_N.json"
        )
    value = read_json(path, "result")
    linear = named.re is _LINEAR
    keys = ("lr", "wd", "expid", "lowshotn", "accs") if linear else ("expid", "lowshotn", "accs")
    if not isinstance(value, dict) or (lacking := [key for key in keys if key not in value]):
        raise InputError(f"result {path} lacks {', '.join(lacking) if isinstance(value, dict) else ', '.join(keys)}")
    accuracies = value["accs"]
    if not isinstance(accuracies, list) or len(accuracies) != len(ACCURACIES) or not all(map(_fraction, accuracies)):
        raise InputError(f"result {path}: accs must be six fractions ({', '.join(ACCURACIES)}), not {accuracies!r}")
    for key in ("lr", "wd") if linear else ():
        if isinstance(value[key], bool) or not isinstance(value[key], int | float):
            raise InputError(f"result {path}: {key} must be a number, not {value[key]!r}")
    run = Run(
        representation=named["repr"],
        experiment=int(named["expid"]),
        n_shots=int(named["n"]),
        accuracies=tuple(map(float, accuracies)),
        lr=float(value["lr"]) if linear else None,
        weight_decay=float(value["wd"]) if linear else None,
        max_per_label=int(named["maxgen"]) if linear else 0,
    )
    if run.file_name != path.name or (value["expid"], value["lowshotn"]) != (run.experiment, run.n_shots):
        said = ", ".join(f"{key} {value[key]!r}" for key in keys[:-1])
        raise InputError(f"result {path} holds {said}, which is not what its name says: it was renamed or mixed up")
    return run


def result_files(folder: Pathlike) -> list[Path]:
    """The files of a folder that are named as the original's results, sorted."""
    names = (_MATCHING, _LINEAR)
    return sorted(path for path in Path(folder).iterdir() if any(name.fullmatch(path.name) for name in names))


def read_runs(folder: Pathlike) -> list[Run]:
    """Read all result files of a folder, in the order of representation, method, shots and experiment.

    Raises:
        InputError: no such folder, no result in it, or one of them is damaged.
    """
    if not is_folder(folder):
        raise InputError(f"results folder {folder} does not exist")
    if not (files := result_files(folder)):
        raise InputError(f"results folder {folder} has no result of the original program")
    runs = [read_run(path) for path in files]
    return sorted(runs, key=lambda r: (r.representation, r.lr or 0, r.weight_decay or 0, r.max_per_label, r.n_shots))


def to_records(runs: Iterable[Run], setup: str = "test") -> list[Record]:
    """Make records for ``lowshot report``; the runs of one method and number of shots have one task fingerprint.

    Args:
        runs (iterable of Run): Runs of any representations and methods.
        setup (str): The setup of the runs, "val" or "test", which the files do not state.
    """
    tasks: dict[str, list[Record]] = {}
    for run in runs:
        record = _record(run, setup)
        tasks.setdefault(record["unit"], []).append(record)
    return [{**record, "unit_size": len(task)} for task in tasks.values() for record in task]


def from_records(records: Iterable[Mapping[str, Any]], setup: str = "test") -> tuple[list[Run], list[str]]:
    """Return the runs among records that the original could have made, and a sentence for each kind that is left out.

    Raises:
        InputError: Two methods would have the same file.
    """
    runs: dict[str, tuple[Run, Any]] = {}
    left_out: dict[str, int] = {}
    for record in records:
        if record.get("setup") != setup:
            continue
        run = _run(record) if record.get("training", 1) == 1 else None  # the original has one training
        if run is None:
            left_out[str(record.get("classifier"))] = left_out.get(str(record.get("classifier")), 0) + 1
            continue
        method = record.get("method")
        if run.file_name in runs and runs[run.file_name][1] != (method, record.get("unit")):
            raise InputError(
                f"methods {runs[run.file_name][1][0]!r} and {method!r} would both be {run.file_name}: the original "
                "tells methods apart by representation, rates and maxgen alone; convert them into folders of their own"
            )
        runs[run.file_name] = run, (method, record.get("unit"))
    notes = [
        f"left out: {count} results of {classifier!r}, which the original does not have in this form"
        for classifier, count in left_out.items()
    ]
    return [run for run, _ in runs.values()], notes


def _record(run: Run, setup: str) -> Record:
    if run.lr is None:
        classifier, params, method = "matching_network", {}, "matching_network"
    else:
        params = {"lr": run.lr, "weight_decay": run.weight_decay}
        classifier, method = "logistic", f"logistic lr={run.lr:g} wd={run.weight_decay:g}"
    if run.max_per_label:
        method = f"generated to {run.max_per_label} + {method}"
    task = fingerprint("original", run.representation, method, params, setup, run.n_shots)
    return {
        "representation": run.representation,
        "method": method,
        "classifier": classifier,
        "params": params,
        "generator": "analogies" if run.max_per_label else None,
        "n_per_class": run.max_per_label,
        "setup": setup,
        "n_shots": run.n_shots,
        "unit": task,
        "unit_size": 1,
        "task": f"{task}-{run.experiment}",
        "experiment": run.experiment,
        **dict(zip(ACCURACIES, run.accuracies)),
        "source": run.file_name,
    }


def _run(record: Mapping[str, Any]) -> Run | None:
    """The run of a record, or None where the original has no such method."""
    classifier, params = record.get("classifier"), record.get("params", {})
    linear = classifier == "logistic" and params.get("solver", "sgd") == "sgd"
    matching = classifier == "matching_network" and not record.get("n_per_class")
    if not linear and not matching:
        return None
    try:
        return Run(
            representation=str(record["representation"]),
            experiment=record["experiment"],
            n_shots=record["n_shots"],
            accuracies=tuple(float(record[metric]) for metric in ACCURACIES),
            lr=float(params["lr"]) if linear else None,
            weight_decay=float(params["weight_decay"]) if linear else None,
            max_per_label=record.get("n_per_class", 0) if linear else 0,
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"a result of {classifier!r} lacks {error}, which the original's file needs") from None


def _fraction(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 1
