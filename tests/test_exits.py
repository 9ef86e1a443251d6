"""Every end of a program is an exit code and a line; a traceback is printed for a fault of lowshot alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from joblib.externals.loky.backend.process import LokyProcess
from safetensors import SafetensorError

from lowshot import exits
from lowshot.errors import InputError, LowshotError
from lowshot.exits import run_program, system_refusal


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


REFUSALS = [
    (OSError(errno.ENOSPC, "No space left on device", "/out/x"), "/out/x: no space left on device; make room"),
    (PermissionError(errno.EACCES, "Permission denied", "/out/x"), "/out/x: permission denied"),
    (OSError(errno.EROFS, "Read-only file system", "/out"), "/out: read-only file system"),
    (OSError(errno.EMFILE, "Too many open files"), "too many open files; raise the limit"),
    (MemoryError(), "memory ran out; use fewer --workers"),
    (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "make room"),
    (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "make room"),
]


@pytest.mark.parametrize(("error", "line"), REFUSALS, ids=lambda value: str(value)[:30])
def test_a_refusal_of_the_system_is_one_line(error, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(raising(error)) == 1
    shown = capsys.readouterr().err
    assert line in shown
    assert "Traceback" not in shown
    assert shown.count("\n") == 1


def _stubborn(ready: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.touch()
    time.sleep(600)


def test_a_worker_of_loky_that_does_not_end_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exits, "_WAIT_SECONDS", 0.2)
    ready = tmp_path / "ready"
    worker = LokyProcess(target=_stubborn, args=(ready,))
    worker.start()
    try:
        while not ready.exists():
            assert worker.is_alive()
            time.sleep(0.05)
        assert run_program(raising(OSError(errno.ENOSPC, "No space left on device", "/out/x"))) == 1
        worker.join(20)
        assert worker.exitcode == -signal.SIGKILL
    finally:
        if worker.is_alive():
            os.kill(worker.pid, signal.SIGKILL)
    assert "make room" in capsys.readouterr().err


def test_other_errors_are_no_refusals() -> None:
    assert system_refusal(ValueError("Permission denied")) is None
    assert system_refusal(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("wrong [/] key :b:"), 2), (LowshotError("failed"), 1), (SystemExit(3), 3), (SystemExit("text"), 1)],
)
def test_errors_have_their_exit_codes_and_text_is_no_markup(error, code: int, capsys) -> None:
    assert run_program(raising(error)) == code
    if isinstance(error, LowshotError):
        assert str(error) in capsys.readouterr().err


def test_a_fault_shows_its_traceback_and_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(raising(ZeroDivisionError("division by zero"))) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "ZeroDivisionError: division by zero. This is a fault in lowshot" in shown


SLEEPER = """
    import multiprocessing, sys, time
    from lowshot.exits import run_program

    def work():
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
        child.start()
        print(child.pid, flush=True)
        time.sleep(60)

    if __name__ == "__main__":
        sys.exit(run_program(work))
"""


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
def test_a_signal_ends_the_program_and_its_children_soon(number: int, word: str, tmp_path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(textwrap.dedent(SLEEPER))
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        start = time.monotonic()
        process.send_signal(number)
        _, shown = process.communicate(timeout=20)
        assert time.monotonic() - start < 10
    assert process.returncode == 128 + number
    assert f"{word}; give the same command again to resume" in shown
    assert "Traceback" not in shown
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
