"""A process that may not connect: an audit hook ends it at the first connection."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

HOOK = """
import os, sys

def _hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        print(f"FORBIDDEN {event} {arguments[:2]}", file=sys.stderr, flush=True)
        os._exit(99)

sys.addaudithook(_hook)
"""


def run_offline(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process that ends with code 99 where it connects; ``arguments`` are ``sys.argv[1:]``."""
    command = [sys.executable, "-c", HOOK + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
