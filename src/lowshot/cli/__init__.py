"""The command ``lowshot``: options and help texts, no logic of its own. Start-up imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lowshot.cli.app import app
from lowshot.exits import run_program


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of :func:`run`."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code, one of :mod:`lowshot.exits`."""
    return run_program(lambda: app(args=arguments, standalone_mode=True))
