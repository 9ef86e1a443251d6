"""Fuzz one format in this process: ``python -m tests.fuzz.run FORMAT INPUTS SEED FOLDER``.

Each input is read as a user's command would read it. Right answers are success and an error of lowshot's. A fault is
any other exception, more than ``SECONDS`` of processor time or ``WAIT`` seconds in all, more than ``BYTES`` of memory,
a connection, another program, or a file that is written outside the folder. The last line of the output is a JSON
summary; faulty inputs lie in FOLDER/faults.
"""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from lowshot.errors import LowshotError
from tests.fuzz.targets import TARGETS
from tests.memory import peak_bytes

SECONDS = 20
WAIT = 120  # on a machine with other work, and for the processes that draw glyphs
BYTES = 1_500_000_000
FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "pty.spawn",
)


CHANGES = ("os.remove", "os.rename", "os.mkdir", "shutil.rmtree", "os.rmdir")


class Fault(BaseException):
    """A fault: behaviour that no input may cause."""


def watch(folder: Path) -> None:
    """Raise a Fault at every connection, every other program and every file written outside the folder."""
    allowed = (str(folder), "/dev/null", "/proc/", "/dev/shm/joblib", os.path.expanduser("~/.cache"))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            raise Fault(f"{event} {arguments[:2]}")
        writes = event == "open" and bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if (writes or event in CHANGES) and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if not path.startswith(allowed) and "__pycache__" not in path:
                raise Fault(f"{event} {path}")

    sys.addaudithook(hook)


def warm_up() -> None:
    """Import what a damaged name may ask for, such as a backbone of timm's: torch makes its cache folder then."""
    import timm  # noqa: F401
    import torchvision.models  # noqa: F401


def too_long(number: int, frame: Any) -> None:
    raise Fault(f"took more than {SECONDS} s of processor time" if number == signal.SIGPROF else f"took {WAIT} s")


def main(name: str, inputs: int, seed: int, folder: Path) -> dict[str, Any]:
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["LOWSHOT_CACHE"] = str(folder / "cache")
    os.environ["TMPDIR"] = str(folder)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_DATA, (6 * BYTES, 6 * BYTES))
    target = TARGETS[name]
    seeds = target.seeds(folder)
    path = folder / f"input{target.suffix}"
    summary: dict[str, Any] = {"inputs": inputs, "accepted": 0, "refused": 0, "faults": []}
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, too_long)
    warm_up()
    for good in seeds:  # before the watch: imports write caches and start helpers
        path.write_bytes(target.intact(good))
        target.read(path, folder)
    watch(folder)
    for number in range(inputs):
        rng = random.Random(f"{name} {seed} {number}")
        data = target.damage(rng.choice(seeds), rng)
        path.write_bytes(data)
        fault = None
        signal.setitimer(signal.ITIMER_REAL, WAIT)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            target.read(path, folder)
            summary["accepted"] += 1
        except LowshotError as error:
            summary["refused"] += 1
            if len(str(error)) > 20_000:
                fault = f"a message of {len(str(error))} characters"
        except BaseException as error:
            fault = "".join(traceback.format_exception(error)[-3:])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        used = peak_bytes()
        if used > BYTES and fault is None:
            fault = f"{used / 1e9:.1f} GB of memory"
        if fault is not None:
            (folder / "faults").mkdir(exist_ok=True)
            (folder / "faults" / f"{number}{target.suffix}").write_bytes(data)
            summary["faults"].append(f"input {number}: {fault}")
            if used > BYTES:
                break
    return summary


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))), flush=True)
    os._exit(0)  # workers that a fault left behind would be waited for; they end with this process
