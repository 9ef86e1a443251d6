"""The command ``lowshot``: options and help texts, no logic of its own. Start-up imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lowshot.cli.app import app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 the input cannot be used, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    from lowshot.errors import LowshotError
    from lowshot.progress import console

    try:
        app(args=arguments, standalone_mode=True)
    except LowshotError as error:
        console.print("[bold red]error[/]:", end=" ")
        console.print(str(error), markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("interrupted; give the same command again to resume")
        return 130
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    return 0
