"""Start several processes that share one extraction."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lowshot.errors import LowshotError
from lowshot.plugins import packed, unpacked

POLL_SECONDS = 0.3


def run_in_processes(work: Callable[[Any, int], None], arguments: Sequence[Any], poll: Callable[[], None]) -> None:
    """Call ``work(argument, number)`` for each argument in a new process; when one fails, end the others.

    Args:
        work (callable): The function, which must pickle.
        arguments (sequence): The argument for each process.
        poll (callable): A function that is called a few times a second meanwhile.

    Raises:
        LowshotError: A process raised this error, or was killed.
    """
    # CUDA needs new processes. They are forked from a server that has imported torch once for all of them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    errors = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // len(arguments))
    processes = [
        context.Process(target=_process, args=(work, packed(argument), number, threads, errors))
        for number, argument in enumerate(arguments)
    ]
    try:
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes) and not any(p.exitcode for p in processes):
            next(process for process in processes if process.is_alive()).join(POLL_SECONDS)
            poll()
        for process in processes:
            if process.exitcode and errors.empty():
                cause = f"signal {-process.exitcode}" if process.exitcode < 0 else f"exit code {process.exitcode}"
                raise LowshotError(
                    f"an extraction process ended early ({cause}). What it finished is saved: run it again to "
                    "continue; if memory ran out, with fewer devices or a smaller batch_size"
                )
        if not errors.empty():
            raise errors.get()
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def end_with_parent() -> None:
    """End this process if the one that started it was killed; another call will continue its work."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        sys.exit(1)


def _process(work: Callable[[Any, int], None], argument: bytes, number: int, threads: int, errors: Any) -> None:
    torch.set_num_threads(threads)
    try:
        work(unpacked(argument), number)
    except LowshotError as error:
        errors.put(error)
        sys.exit(1)
