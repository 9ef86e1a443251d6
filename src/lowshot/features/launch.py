"""Several processes of our own on one extraction."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lowshot.errors import LowshotError
from lowshot.plugins import packed, unpacked

POLL_SECONDS = 0.3


def run_in_processes(work: Callable[[Any, int], None], shares: Sequence[Any], poll: Callable[[], None]) -> None:
    """Call ``work(share, number)`` for each share in a fresh process of its own; when one fails, end the others.

    Args:
        work: a function that can be pickled.
        shares: what each process is given.
        poll: called a few times a second meanwhile.

    Raises:
        LowshotError: the one that a process raised, or one that says that a process was killed.
    """
    # Fresh processes, as CUDA needs them, forked from a server that has imported torch once for all of them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    errors = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // len(shares))
    processes = [
        context.Process(target=_process, args=(work, packed(share), number, threads, errors))
        for number, share in enumerate(shares)
    ]
    try:
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes) and not any(p.exitcode for p in processes):
            next(process for process in processes if process.is_alive()).join(POLL_SECONDS)
            poll()
        for process in processes:
            if process.exitcode and errors.empty():
                fate = f"signal {-process.exitcode}" if process.exitcode < 0 else f"exit code {process.exitcode}"
                raise LowshotError(
                    f"an extraction process ended early ({fate}). What it finished is kept: run it again to go on; "
                    "if memory ran out, with fewer devices or a smaller batch_size"
                )
        if not errors.empty():
            raise errors.get()
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def end_with_parent() -> None:
    """End this process if the one that started it was killed: its work will be taken up by another call."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        sys.exit(1)


def _process(work: Callable[[Any, int], None], share: bytes, number: int, threads: int, errors: Any) -> None:
    torch.set_num_threads(threads)
    try:
        work(unpacked(share), number)
    except LowshotError as error:
        errors.put(error)
        sys.exit(1)
