"""The log of a training run: one JSON line per epoch, and TensorBoard events on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import is_file, read_text, write_text
from lowshot.progress import say
from lowshot.representation.paths import log_path


class TrainingLog:
    """The records of a run, in ``folder/log.jsonl``.

    Each record has ``epoch`` (from 1), ``lr`` (at the start of the epoch), ``loss``, ``cross_entropy``, ``auxiliary``
    (before its weight; null without one), ``train_top1``, ``val_top1`` and ``val_top5`` (fractions; null if the epoch
    was not validated), ``seconds`` and ``images_per_second`` (of training alone). Where objectives have losses of their
    own, ``objective`` holds them by name, with their weights.

    Args:
        folder (Path): The folder of the run.
        epochs_done (int): The number of epochs of the checkpoint that the run starts from. Records of later epochs,
            written by a run that was cut off before its next checkpoint, are dropped.
        tensorboard (bool): True also writes events to ``folder/tensorboard``.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, epochs_done: int = 0, tensorboard: bool = False) -> None:
        self.path = log_path(folder)
        self.records = [record for record in read_log(self.path) if record["epoch"] <= epochs_done]
        self._events = _events(folder / "tensorboard", epochs_done) if tensorboard else None

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of an epoch, atomically."""
        self.records.append(record)
        write_text(self.path, "".join(json.dumps(record, allow_nan=False) + "\n" for record in self.records))
        if self._events is not None:
            further = {f"objective/{name}": value for name, value in record.get("objective", {}).items()}
            for name, value in {**record, **further}.items():
                if name not in ("epoch", "objective") and value is not None:
                    self._events.add_scalar(name, value, record["epoch"])
            self._events.flush()

    def close(self) -> None:
        """Finish the TensorBoard events."""
        if self._events is not None:
            self._events.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the records of a training log up to the first damaged line; none if the file does not exist."""
    if not is_file(path):
        return []
    records = []
    for number, line in enumerate(read_text(path, "training log").splitlines(), start=1):
        try:
            record = json.loads(line)
            record["epoch"] + 0
        except (json.JSONDecodeError, TypeError, KeyError):
            say(f"training log {path} is damaged from line {number} on; what follows is dropped", style="yellow")
            break
        records.append(record)
    return records


def _events(folder: Path, epochs_done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "train.tensorboard is on but TensorBoard is not installed: pip install 'lowshot[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder), purge_step=epochs_done + 1)
