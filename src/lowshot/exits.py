"""The end of a program: an exit code, and one line for everything that a user or the operating system caused.

0 done, 1 failed, 2 the input cannot be used, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
"""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lowshot.errors import LowshotError
from lowshot.escaping import printable

FAULT = "This is a fault in lowshot: please report the lines above."

_ADVICE = {
    errno.ENOSPC: "make room and give the same command again: finished work is not done again",
    errno.EDQUOT: "make room and give the same command again: finished work is not done again",
    errno.EMFILE: "raise the limit (ulimit -n 4096) or use fewer --workers",
    errno.ENFILE: "close other programs or use fewer --workers",
    errno.ENOMEM: "use fewer --workers or a smaller batch_size",
}
_WAIT_SECONDS = 2.0


class Ended(BaseException):
    """SIGINT or SIGTERM; it unwinds the stack, so that locks are released. No library catches it as it may Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def system_refusal(error: BaseException) -> str | None:
    """The line that says what the operating system refused, or None for any other error.

    Args:
        error (BaseException): An OSError, a MemoryError, or an error that a library made of one.
    """
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, LowshotError):
        names = " → ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        reason = (error.strerror or str(error)).lower()
        text = f"{names}: {reason}" if names else reason
        return f"{text}; {_ADVICE[error.errno]}" if error.errno in _ADVICE else text
    if isinstance(error, MemoryError):
        return f"memory ran out; {_ADVICE[errno.ENOMEM]}"
    # torch and safetensors turn the system's refusals into errors of their own, with its words in their text.
    if type(error).__name__ in ("RuntimeError", "SafetensorError"):
        text = str(error).split("\n")[0]
        if "No space left on device" in text or "unexpected pos" in text or "file write failed" in text:
            return f"{text}; {_ADVICE[errno.ENOSPC]}"
        if any(word in text for word in ("Permission denied", "Read-only file system", "I/O error", "os error")):
            return text
        if "not enough memory" in text or "can't allocate memory" in text:
            return f"memory ran out: {text}; {_ADVICE[errno.ENOMEM]}"
    return None


def run_program(work: Callable[[], None], resumable: bool = True) -> int:
    """Call ``work`` and turn the way it ends into an exit code, with a message where it failed.

    Args:
        work (callable): The program.
        resumable (bool): True where the same command goes on from where it was interrupted.
    """
    again = "; give the same command again to resume" if resumable else ""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal's encoding lacks ends no program
    # Pillow's warning of large images: where one is refused, lowshot's own message says so.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit")
    with _signals_raise(), _safe_imports():
        try:
            work()
        except LowshotError as error:
            _say_error(str(error))
            return error.exit_code
        except Ended as end:
            _end_children()
            _say(f"{end.word}{again}")
            return end.exit_code
        except SystemExit as leave:
            return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        except Exception as error:
            _end_children()
            if (refusal := system_refusal(error)) is not None:
                _say_error(refusal)
                return 1
            sys.stderr.write(printable(traceback.format_exc()))
            _say(f"error: {type(error).__name__}: {error}. {FAULT}", style="red")
            return 1
    return 0


def _say_error(text: str) -> None:
    from lowshot.progress import console

    console.print("[bold red]error:[/]", end=" ")
    console.print(text, markup=False, emoji=False)


def _say(text: str, style: str | None = None) -> None:
    from lowshot.progress import say  # imported here: a short program that succeeds ends before rich is imported

    say(text, style=style)


@contextmanager
def _safe_imports() -> Iterator[None]:
    """Processes that are started within the block import nothing from the working folder."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGINT and SIGTERM raise :class:`Ended` within the block, where this is the main thread; ignored ones stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]

    def end(number: int, frame: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)  # one is enough; the stack unwinds
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_children() -> None:
    """End the processes that this one started and that may still work, such as the ranks of a training."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(_WAIT_SECONDS)
        if child.is_alive() and child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)  # not child.kill(), which loky's processes lack
