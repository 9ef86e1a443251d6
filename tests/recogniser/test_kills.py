"""A hundred kills at random moments of teaching, renaming, removing and undoing."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from lowshot.recogniser import Recogniser
from tests.recogniser.conftest import photo

pytestmark = pytest.mark.usefixtures("tiny")

KILLS = int(os.environ.get("LOWSHOT_KILLS", "100"))


def _change(opened: Recogniser, seed: int, ready: object) -> None:
    """Change without end: every state is one of a few that are easy to tell apart."""
    ready.set()  # type: ignore[attr-defined]
    for number in range(1000):
        opened.teach({"grey": [photo("grey", 1000 * seed + number)]})
        opened.rename("grey", "silver")
        opened.rename("silver", "grey")
        if number % 3 == 2:
            opened.undo()
            opened.undo()
            opened.remove("grey")


def test_after_a_kill_the_folder_is_the_state_before_or_after(tmp_path: Path) -> None:
    folder = tmp_path / "colours"
    opened = Recogniser.create(folder)
    opened.teach({name: [photo(name, seed) for seed in range(2)] for name in ("red", "green")})
    queries = [photo("red", 7), photo("grey", 8)]
    opened.predict(queries)  # the network is ready, and forked processes have it as well
    start = time.perf_counter()
    for _ in range(3):
        opened.rename("red", "crimson")
        opened.rename("crimson", "red")
    seconds = time.perf_counter() - start
    context, rng = multiprocessing.get_context("fork"), random.Random(0)
    numbers = []
    for kill in range(KILLS):
        ready = context.Event()
        process = context.Process(target=_change, args=(opened, kill, ready))
        process.start()
        assert ready.wait(30)
        time.sleep(rng.uniform(0, seconds))
        os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
        process.join()
        loaded = Recogniser.load(folder)
        loaded._network = opened._network
        numbers.append(loaded.state.number)
        shots = loaded.shots()
        assert {name: shots[name] for name in ("green", "red")} == {"green": 2, "red": 2}
        assert set(loaded.classes) <= {"green", "grey", "red", "silver"}
        # What is there follows from the shots alone: another process computes the same.
        (folder / "classifier.safetensors").unlink(missing_ok=True)
        again = Recogniser.load(folder)
        again._network = opened._network
        assert np.array_equal(again.predict_proba(queries), loaded.predict_proba(queries))
        json.loads((folder / "recogniser.json").read_text())
    assert numbers == sorted(numbers)
    assert numbers[-1] > KILLS // 4  # the kills came in the midst of changes
    opened = Recogniser.load(folder)
    opened.teach({"blue": [photo("blue", 0)]})
    assert opened.undo().startswith("taught 1 photo")
