"""A test that asks for ``gpu`` runs twice: on a faked GPU anywhere, and on a real one where there is one."""

from __future__ import annotations

import pytest
import torch

from tests.devices.faked import Faked
from tests.devices.real import Real

GPU = Faked | Real


@pytest.fixture(params=["faked", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GPU:
    """``with gpu:`` is a block in which torch finds a GPU; outside it finds none."""
    if request.param == "real" and not torch.cuda.is_available():
        pytest.skip("torch.cuda.is_available() is False: there is no GPU, or this torch was built without CUDA")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return Faked() if request.param == "faked" else Real()
