from __future__ import annotations

import pytest
import torch

from lowshot.data.transforms import Transforms, build_transforms
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
