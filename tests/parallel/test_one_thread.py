"""A task computes on one thread, and what comes after it on as many as before."""

from __future__ import annotations

import os
import subprocess
import sys

import joblib
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lowshot.parallel.engines import one_thread

TASK = """
import os, sys
from lowshot.parallel import Engine, run_tasks

class ImportsTorch:
    key, group, needs = "first", "all", ()

    def run(self):
        assert "torch" not in sys.modules
        import torch
        from threadpoolctl import threadpool_info
        return torch.get_num_threads(), {library["num_threads"] for library in threadpool_info()}

run_tasks([ImportsTorch()], Engine("serial"), lambda task, result: print(*result))
print(sys.modules["torch"].get_num_threads(), os.environ.get("OMP_NUM_THREADS"))

from threadpoolctl import threadpool_info
print({library["num_threads"] for library in threadpool_info()})
"""


def test_libraries_compute_on_one_thread_and_get_the_others_back() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_every_library_has_the_threads_back_that_it_had_before() -> None:
    def threads() -> dict[str, int]:
        return {library["filepath"]: library["num_threads"] for library in threadpool_info()}

    def fails_on_one_thread() -> None:
        with one_thread():
            assert set(threads().values()) == {1}
            raise ZeroDivisionError

    with threadpool_limits(2):
        before = threads()
        with pytest.raises(ZeroDivisionError):
            fails_on_one_thread()
        assert threads() == before


@pytest.mark.parametrize("threads", [None, "3"])
def test_a_task_that_is_the_first_to_import_torch_has_one_thread_too(threads: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment |= {} if threads is None else {"OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", TASK], env=environment, capture_output=True, text=True, check=True)
    within, afterwards, libraries = done.stdout.splitlines()
    assert within == "1 {1}"
    assert afterwards == f"{threads or joblib.cpu_count()} {threads}"
    most = int(threads or joblib.cpu_count())
    assert set(map(int, libraries.strip("{}").split(","))) <= {most, min(most, joblib.cpu_count())}  # some know cores
