from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from lowshot.devices import autocast, device_of_process, matmul_precision, pick_device, resolve_precision, to_device
from lowshot.errors import InputError


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device() == device
    assert pick_device("cpu") == "cpu"
    with pytest.raises(InputError, match=r"device 'abacus' cannot be used here: .*Use 'auto' or 'cpu'"):
        pick_device("abacus")


def test_processes_share_out_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of_process(3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [device_of_process(rank).index for rank in (0, 3, None)] == [0, 1, 1]


def test_a_named_precision_is_taken_and_auto_is_chosen_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("16-mixed") == "16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for able in (True, False):
        for ability in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(torch.cpu, ability, lambda able=able: able, raising=False)
        assert resolve_precision("auto") == ("bf16-mixed" if able else "32-true")


def fail_within(precision: str, expected: str) -> None:
    with matmul_precision(precision):
        assert torch.get_float32_matmul_precision() == expected
        raise KeyError


@pytest.mark.parametrize(("name", "within"), [("bfloat16", "medium"), ("float32", "highest"), ("high", "high")])
def test_matmul_precision_is_restored_after_an_error_too(name: str, within: str) -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyError):
        fail_within(name, within)
    assert torch.get_float32_matmul_precision() == before


def test_autocast_to_float32_does_nothing() -> None:
    a = torch.ones(2, 2)
    with autocast("cpu", "float32"):
        assert (a @ a).dtype == torch.float32


def test_read_only_arrays_are_shared_only_on_request_and_never_with_a_warning() -> None:
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copied, shared = to_device(X, "cpu"), to_device(X, "cpu", copy_read_only=False)
    assert shared.data_ptr() == X.ctypes.data != copied.data_ptr()
    turned = to_device(X[::-1].astype(np.float64), "cpu")
    assert turned.dtype == torch.float32
    assert torch.equal(turned, copied.flip(0))


def test_importing_devices_does_not_import_torch() -> None:
    program = "import sys, lowshot.devices, lowshot.checks; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
