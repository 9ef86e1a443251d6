"""The ranks: processes that torchrun or SLURM started together, each of which makes the same calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

from lowshot.checks import environment_number
from lowshot.errors import InputError

Value = TypeVar("Value")

# Ranks may wait for long: one may have to start over, or do alone what only one can do.
TIMEOUT = timedelta(days=7)


class Ranks:
    """This process among those of a launcher; rank 0 of 1 without a launcher.

    Attributes:
        rank (int): The number of this process, from 0.
        size (int): The number of processes.
    """

    def __init__(self, rank: int, size: int, group: Any = None) -> None:
        self.rank = rank
        self.size = size
        self._group = group

    @property
    def first(self) -> bool:
        """True in rank 0."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every rank has made this call."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier(self._group)

    def share(self, value: Value | None) -> Value:
        """Return the value of rank 0 on every rank, so that all take the same decisions."""
        values = [value]
        if self.size > 1:
            import torch.distributed

            torch.distributed.broadcast_object_list(values, src=0, group=self._group)
        assert values[0] is not None
        return values[0]


@contextlib.contextmanager
def launched_ranks() -> Iterator[Ranks]:
    """Yield the ranks of the launcher, which communicate in a group of their own.

    A default process group that is made here ends with the block; one that exists already is left alone, since a
    process can join only once.

    Raises:
        InputError: The environment says that there are several ranks, but not how to reach them.
    """
    adopt_slurm()
    if environment_number("WORLD_SIZE", 1) == 1 or "RANK" not in os.environ:
        yield Ranks(0, 1)
        return
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise InputError(
                f"RANK and WORLD_SIZE are set as by torchrun, but {name} is not: unset them, or use torchrun"
            )
    environment_number("RANK", 0)
    import torch
    import torch.distributed as dist

    created = not dist.is_initialized()
    if created:
        backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() and torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
    group = dist.new_group(backend="gloo", timeout=TIMEOUT)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), group)
    finally:
        if created:
            dist.destroy_process_group()


def adopt_slurm() -> None:
    """Under ``srun``, set the environment variables that torchrun sets, so that other code knows one launcher only.

    ``srun`` sets none of them. Without this every task would take itself for the only one and write the same
    files. A job step named ``bash`` or ``interactive`` is a shell, not a set of ranks (as Lightning has it).
    """
    if "RANK" in os.environ or environment_number("SLURM_NTASKS", 1) < 2 or "SLURM_PROCID" not in os.environ:
        return
    from lightning_fabric.plugins.environments import SLURMEnvironment

    if not SLURMEnvironment.detect():
        return
    tasks, nodes = environment_number("SLURM_NTASKS", 1), max(1, environment_number("SLURM_NNODES", 1))
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))  # srun leaves it out when it was not asked for
    slurm = SLURMEnvironment(auto_requeue=False)
    os.environ.update(
        RANK=str(slurm.global_rank()),
        WORLD_SIZE=str(slurm.world_size()),
        LOCAL_RANK=str(slurm.local_rank()),
        LOCAL_WORLD_SIZE=str(tasks // nodes),
        MASTER_ADDR=slurm.main_address,
        MASTER_PORT=str(slurm.main_port),
    )
