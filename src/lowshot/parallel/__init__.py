"""Many tasks on one core each: a scheduler, the engines that compute them, and the arrays that all of them share."""

from lowshot.parallel.engines import Engine
from lowshot.parallel.scheduler import TaskGroup, run_groups, run_tasks

__all__ = ["Engine", "TaskGroup", "run_groups", "run_tasks"]
