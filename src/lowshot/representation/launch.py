"""The device, precision and processes of a training run, through Lightning Fabric."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import multiprocessing

from lowshot.checks import environment_number
from lowshot.devices import pick_device
from lowshot.errors import InputError, LowshotError
from lowshot.plugins import packed, unpacked
from lowshot.representation.one_process import OneProcess

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    Work = Callable[[Fabric, Any], str]

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

# One of these variables is set where torchrun or srun started the process.
LAUNCHED = ("TORCHELASTIC_RUN_ID", "SLURM_PROCID")


class ProcessDied(LowshotError):
    """A process that was started here was killed, or failed with an error of its own."""


def launch(work: Work, argument: Any, devices: int, precision: str) -> str:
    """Call ``work(fabric, argument)`` in several processes and return the result of rank 0.

    One process in float32 is this one, and ``fabric`` is a :class:`~lowshot.representation.one_process.OneProcess`.
    Under torchrun or ``srun`` the processes exist already, and this is one of them. Otherwise ``devices`` processes are
    started if it is more than 1; they run nothing but ``work``.

    Args:
        work (callable): An importable function.
        argument (object): The second argument of ``work``, which must pickle.
        devices (int): The number of processes on this machine, each with its own GPU if there are GPUs.
        precision (str): Fabric's name of the precision.

    Raises:
        InputError: There are fewer GPUs than ``devices``.
        LowshotError: ``work`` raised this error in one of the processes.
        ProcessDied: A process ended in another way.
    """
    accelerator = pick_device()
    if devices == 1 and precision == "32-true" and not any(name in os.environ for name in LAUNCHED):
        return work(cast("Fabric", OneProcess(accelerator)), argument)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    options: dict[str, Any] = {"accelerator": accelerator, "precision": precision}
    if (launched := _launched_outside()) is not None:
        local, nodes = launched
        fabric = Fabric(strategy="ddp", devices=local, num_nodes=nodes, **options)
        return _call(fabric, _in_existing_process, work, argument)
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise InputError(f"devices is {devices}, but this machine has {torch.cuda.device_count()} GPUs")
    options["plugins"] = [LightningEnvironment()]
    if devices == 1:
        return _call(Fabric(devices=1, **options), work, argument)
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    with _environment_restored("MASTER_ADDR", "MASTER_PORT"):
        fabric = Fabric(strategy="ddp_spawn", devices=devices, **options)
        try:
            return _call(fabric, _in_new_process, work, packed(argument), devices, errors)
        except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
            if not errors.empty():
                raise errors.get() from None
            raise ProcessDied(f"a training process ended before its work was done: {error}") from error


def _call(fabric: Fabric, work: Callable[..., str], *args: Any) -> str:
    start: Callable[..., str] = fabric.launch
    return start(work, *args)


def _in_existing_process(fabric: Fabric, work: Work, argument: Any) -> str:
    """The process group stays for later runs of this process, which cannot make it again."""
    atexit.register(_leave_group)
    result = work(fabric, argument)
    fabric.barrier()
    return result


def _in_new_process(fabric: Fabric, work: Work, argument: bytes, devices: int, errors: Any) -> str:
    os.environ["LOCAL_WORLD_SIZE"] = str(devices)  # tells the loaders how many processes share the cores
    try:
        result = work(fabric, unpacked(argument))
    except LowshotError as error:
        errors.put(InputError(str(error)) if isinstance(error, InputError) else LowshotError(str(error)))
        raise
    fabric.barrier()
    _leave_group()
    return result


def _leave_group() -> None:
    """Close the connections of this process, which could abort another process if they were open at its end."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _launched_outside() -> tuple[int, int] | None:
    """The numbers of processes on this machine and of machines, if torchrun or srun started this process."""
    from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        local = max(1, environment_number("LOCAL_WORLD_SIZE", 1))
        return local, environment_number("WORLD_SIZE", 1) // local
    if "SLURM_PROCID" in os.environ and environment_number("SLURM_NTASKS", 1) > 1 and SLURMEnvironment.detect():
        nodes = max(1, environment_number("SLURM_NNODES", 1))
        return environment_number("SLURM_NTASKS", 1) // nodes, nodes
    return None


@contextlib.contextmanager
def _environment_restored(*names: str) -> Iterator[None]:
    """Restore variables afterwards: Fabric leaves the port of a launch, which the next must not use again."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
