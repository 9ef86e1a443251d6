"""Worker processes that end with the process that started them, however it ended.

Workers of loky wait for work for minutes when their parent was killed, with all that they hold in memory.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

# How often a worker looks whether the process that started it is still there.
LOOK_SECONDS = 1.0


def ending_with_this_process() -> dict[str, Any]:
    """Options of joblib's ``loky`` for workers that end soon after this process."""
    return {"initializer": end_with, "initargs": (os.getpid(),)}


def end_with(parent: int) -> None:
    """In a worker: end this process when ``parent`` has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
