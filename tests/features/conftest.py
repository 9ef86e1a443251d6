from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lowshot.data import Transforms, build_transforms
from lowshot.features import extract_features
from tests.features.fakes import Pictures, TinyBackbone


@pytest.fixture
def pictures() -> Pictures:
    return Pictures(37)


@pytest.fixture
def backbone() -> TinyBackbone:
    torch.manual_seed(0)
    return TinyBackbone()


@pytest.fixture
def transforms() -> Transforms:
    return build_transforms("small", image_size=8)


@pytest.fixture
def extract(tmp_path: Path, backbone: TinyBackbone, pictures: Pictures, transforms: Transforms) -> Callable[..., Path]:
    """Extract the features of the pictures, in batches of 4, to a file of a given name."""
    usual = {"backbone": backbone, "dataset": pictures, "transforms": transforms, "batch_size": 4}
    return lambda name="f.h5", **changes: extract_features(out=tmp_path / name, **{**usual, **changes})  # type: ignore


@pytest.fixture
def uninterrupted(extract: Callable[..., Any]) -> bytes:
    """The bytes of an uninterrupted extraction."""
    return extract("uninterrupted.h5").read_bytes()
