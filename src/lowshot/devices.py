"""Devices and precisions: the choices behind "auto", and tensors on a device. torch is imported on first use."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lowshot.checks import environment_number
from lowshot.errors import InputError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16")
MATMUL_PRECISIONS = ("highest", "high", "medium")


def pick_device(name: str = "auto") -> str:
    """The device to compute on.

    Args:
        name (str): A device as torch names it, or "auto" for a GPU where there is one, else the CPU.

    Raises:
        InputError: torch cannot use the named device on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used here: {reason}. Use 'auto' or 'cpu'") from None
    return name


def device_of_process(rank: int | None = None) -> torch.device:
    """The GPU that one of several processes on this machine uses; the CPU where there is no GPU.

    Args:
        rank (int, optional): The number of the process; None takes the launcher's ``LOCAL_RANK``.
    """
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    rank = environment_number("LOCAL_RANK", 0) if rank is None else rank
    return torch.device("cuda", rank % torch.cuda.device_count())


def resolve_precision(precision: str) -> str:
    """Lightning Fabric's name of a precision.

    Args:
        precision (str): Such a name, or "auto" for "bf16-mixed" where the processor multiplies bfloat16 matrices in
            hardware, else "32-true". Emulated bfloat16 is several times slower than float32.
    """
    import torch

    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    abilities = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    fast = any(getattr(torch.cpu, ability, lambda: False)() for ability in abilities)
    return "bf16-mixed" if fast else "32-true"


def autocast(device: str, precision: str) -> contextlib.AbstractContextManager:
    """A block whose operations run in bfloat16 where torch deems that safe.

    Args:
        device (str): The device of the tensors.
        precision (str): "bfloat16", or "float32" for a block without any effect. On a CPU without instructions for
            bfloat16 both are float32.
    """
    import torch

    kind = torch.device(device).type
    # Processors without instructions for it gain nothing, and torch's LSTM refuses there.
    enabled = precision == "bfloat16" and (kind != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """A block in which float32 matrix products may round their factors; sums and results stay float32.

    It has an effect where the processor multiplies bfloat16 or TF32 in hardware (AMX, AVX-512 BF16, tensor cores).

    Args:
        precision (str): "bfloat16" or "float32", or torch's name of a precision: "medium", "high" or "highest".
    """
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision({"bfloat16": "medium", "float32": "highest"}.get(precision, precision))
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A block in which torch's global generators, those of the GPUs too, start from a seed; they are restored after it.

    Args:
        seed (int): The seed.
    """
    import torch

    # Reading the state of a GPU's generator would initialise CUDA; before that, the state is the seed of the CPU's.
    initialised = torch.cuda.is_initialized()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if initialised else []):
            torch.manual_seed(seed)
            yield
    finally:
        if not initialised:
            torch.cuda.manual_seed_all(torch.initial_seed())


def to_device(X: np.ndarray, device: str, *, copy_read_only: bool = True) -> torch.Tensor:
    """Features as a float32 tensor.

    Args:
        X (array, (N, D)): The features, in any memory layout.
        device (str): The device of the tensor.
        copy_read_only (bool): Copy an array that must not be written to. Without a copy nothing may write to the
            tensor, which on the CPU shares the array's memory.
    """
    import torch

    # torch refuses negative strides.
    copy = min(X.strides) < 0 or (copy_read_only and not X.flags.writeable)
    rows = X.astype(np.float32, order="C", copy=copy)
    if rows.flags.writeable:
        return torch.from_numpy(rows).to(device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")
        return torch.from_numpy(rows).to(device)
