"""The processes that torchrun or SLURM started together, each of which makes the same calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

Value = TypeVar("Value")

# How long ranks wait for the slowest: one may have to start over, or do alone what only one can do.
PATIENCE = timedelta(days=7)


class Ranks:
    """This process among those of a launcher; rank 0 of 1 without one."""

    def __init__(self, rank: int, size: int, group: Any = None) -> None:
        self.rank = rank
        self.size = size
        self._group = group

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier(self._group)

    def share(self, value: Value | None) -> Value:
        """The first rank's value, on every rank: all must take the same decisions."""
        box = [value]
        if self.size > 1:
            import torch.distributed

            torch.distributed.broadcast_object_list(box, src=0, group=self._group)
        assert box[0] is not None
        return box[0]


@contextlib.contextmanager
def launched_ranks() -> Iterator[Ranks]:
    """The ranks of the launcher, in a group of their own beside whatever else the processes do together.

    A group that is made here ends with the block, unless there is one already: a process can join only once.
    """
    adopt_slurm()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield Ranks(0, 1)
        return
    import torch.distributed as dist

    ours = not dist.is_initialized()
    if ours:
        backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() and _has_gpu() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), group)
    finally:
        if ours:
            dist.destroy_process_group()


def adopt_slurm() -> None:
    """Under ``srun`` name rank, size and meeting place as torchrun does, so that all that follows knows one launcher.

    ``srun`` sets none of torch's variables. Without this every task would take itself for the only one and write the
    same files. A job step named ``bash`` or ``interactive`` is a shell, not a set of ranks (as Lightning has it).
    """
    if "RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", "1")) < 2 or "SLURM_PROCID" not in os.environ:
        return
    from lightning_fabric.plugins.environments import SLURMEnvironment

    if not SLURMEnvironment.detect():
        return
    tasks, nodes = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", "1"))
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


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
