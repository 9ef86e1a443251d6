"""Many tasks on one core each: a scheduler, the engines that compute them, and the arrays that all of them share.

Names are fetched on first use: the arrays do not need joblib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.parallel.engines import Engine
    from lowshot.parallel.scheduler import TaskGroup, run_groups, run_tasks

__all__ = ["Engine", "TaskGroup", "run_groups", "run_tasks"]

__getattr__, __dir__ = on_first_use(
    __name__, {"engines": ("Engine",), "scheduler": ("TaskGroup", "run_groups", "run_tasks")}
)
