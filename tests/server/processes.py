"""Servers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


class Running:
    """A server that runs.

    Attributes:
        process (Popen): Its process.
        address (str): Its address.
        port (int): Its port.
    """

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.process = process
        self.address = line.split(" is served at ")[1].split(" ")[0].rstrip("/")
        self.port = int(self.address.rsplit(":", 1)[1])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=60, **options)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; returns the exit code and what was printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


@contextmanager
def running(*arguments: object, program: str = "tests.server.tiny_program", **limits: Any) -> Iterator[Running]:
    """Run ``lowshot serve`` on a free port."""
    environment = {**os.environ, "LOWSHOT_TEST_LIMITS": json.dumps(limits), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", program, "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " is served at " in line, (line, process.communicate()[1])
        yield Running(process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)
