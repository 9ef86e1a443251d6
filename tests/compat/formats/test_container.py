from __future__ import annotations

import pickletools
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.compat.formats.container import save_legacy

shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def content(size=3):
    weights = OrderedDict(a=torch.randn(size, 2).T, b=torch.zeros(()), c=torch.nn.Parameter(torch.ones(2)))
    return {"epoch": 3, "state": weights, "name": "x"}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(shapes, st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64]))))
def test_torch_reads_back_what_was_written_as_float32(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("legacy") / "x.tar"
    values = [torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype) for shape, dtype in tensors]
    save_legacy(path, values)
    found = torch.load(path, weights_only=True)
    assert [value.dtype for value in found] == [torch.float32] * len(values)
    assert all(torch.equal(value.float(), other) for value, other in zip(values, found, strict=True))


def test_the_file_calls_for_nothing_that_the_first_torch_did_not_have(tmp_path):
    save_legacy(tmp_path / "x.tar", content())
    called = set()
    with open(tmp_path / "x.tar", "rb") as file:
        for _ in range(5):
            called |= {argument for code, argument, _ in pickletools.genops(file) if code.name == "GLOBAL"}
    assert called == {"collections OrderedDict", "torch._utils _rebuild_tensor", "torch FloatStorage"}
    assert (tmp_path / "x.tar").read_bytes()[:2] == b"\x80\x02"


def test_equal_values_give_equal_bytes(tmp_path):
    for name in ("a.tar", "b.tar"):
        torch.manual_seed(0)
        save_legacy(tmp_path / name, content())
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_value_that_cannot_be_written_leaves_the_old_file(tmp_path):
    save_legacy(tmp_path / "x.tar", content())
    before = (tmp_path / "x.tar").read_bytes()
    with pytest.raises(Exception, match="pickle"):
        save_legacy(tmp_path / "x.tar", {"state": lambda: None})
    assert (tmp_path / "x.tar").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
