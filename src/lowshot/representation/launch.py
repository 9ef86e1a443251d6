"""Where a training run happens: its device, its precision and its processes, through Lightning Fabric."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import multiprocessing

from lowshot.devices import pick_device
from lowshot.errors import InputError, LowshotError
from lowshot.plugins import packed, unpacked

Work = Callable[[Fabric, Any], str]

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class ProcessDied(LowshotError):
    """A process that was started here was killed or failed in a way of its own."""


def launch(work: Work, job: Any, devices: int, precision: str) -> str:
    """Call ``work(fabric, job)`` in as many processes as are wanted, and return what rank 0 returned.

    Under torchrun or ``srun`` the processes exist already, and this call is one of them. Otherwise ``devices``
    processes are started here when it is more than 1; they run nothing but ``work``.

    Args:
        work: an importable function.
        job: what it needs; must pickle.
        devices: processes on this machine, each with a GPU of its own where there are GPUs.
        precision: Fabric's name for it.

    Raises:
        InputError: more devices than GPUs.
        LowshotError: as ``work`` raised it, in whichever process.
        ProcessDied: a process ended otherwise.
    """
    accelerator = pick_device()
    where: dict[str, Any] = {"accelerator": accelerator, "precision": precision}
    if (world := _world_outside()) is not None:
        local, nodes = world
        fabric = Fabric(strategy="ddp", devices=local, num_nodes=nodes, **where)
        return _launched(fabric, _in_existing_process, work, job)
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise InputError(f"devices is {devices}, but this machine has {torch.cuda.device_count()} GPUs")
    where["plugins"] = [LightningEnvironment()]
    if devices == 1:
        return _launched(Fabric(devices=1, **where), work, job)
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    with _environment_kept("MASTER_ADDR", "MASTER_PORT"):
        fabric = Fabric(strategy="ddp_spawn", devices=devices, **where)
        try:
            return _launched(fabric, _in_own_process, work, packed(job), devices, errors)
        except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
            if not errors.empty():
                raise errors.get() from None
            raise ProcessDied(f"a training process ended before its work was done: {error}") from error


def _launched(fabric: Fabric, work: Callable[..., str], *args: Any) -> str:
    start: Callable[..., str] = fabric.launch
    return start(work, *args)


def _in_existing_process(fabric: Fabric, work: Work, job: Any) -> str:
    """The process group stays for whatever this process does next; it cannot be made twice in one job."""
    atexit.register(_leave_group)
    result = work(fabric, job)
    fabric.barrier()
    return result


def _in_own_process(fabric: Fabric, work: Work, job: bytes, devices: int, errors: Any) -> str:
    os.environ["LOCAL_WORLD_SIZE"] = str(devices)  # tells the loaders how many processes share the cores
    try:
        result = work(fabric, unpacked(job))
    except LowshotError as error:
        errors.put(InputError(str(error)) if isinstance(error, InputError) else LowshotError(str(error)))
        raise
    fabric.barrier()
    _leave_group()
    return result


def _leave_group() -> None:
    """A process that ends with its connections open can abort another that still uses them."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _world_outside() -> tuple[int, int] | None:
    """(processes on this machine, machines) when torchrun or srun started this process beside others."""
    if TorchElasticEnvironment.detect():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", 1)) > 1 and SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return None


@contextlib.contextmanager
def _environment_kept(*names: str) -> Iterator[None]:
    """Put variables back afterwards: Fabric leaves the port of a launch, which the next must not use again."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
