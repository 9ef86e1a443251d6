"""Files that are damaged or would run code: refused, explained, and nothing ran."""

from __future__ import annotations

import tarfile
from collections import OrderedDict

import pytest
import torch

from lowshot.cli import run
from lowshot.compat.formats.checkpoint import read_checkpoint
from lowshot.compat.formats.generator import read_generator
from lowshot.compat.formats.matching_network import read_matching_network
from lowshot.compat.formats.recognise import recognise
from lowshot.errors import InputError
from tests.compat.formats.old_files import CONTAINERS, generator_content, matching_state, save
from tests.torch_files.bombs import Bomb, Eval, Hidden

READERS = {
    "checkpoint": (read_checkpoint, lambda: {"epoch": 3, "state": OrderedDict(a=torch.randn(40))}),
    "generator": (read_generator, generator_content),
    "matching network": (read_matching_network, lambda: {"state": matching_state()}),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("bomb", [Bomb, Eval, Hidden])
def test_a_file_with_code_in_it_is_refused_and_nothing_runs(tmp_path, kind, container, bomb):
    read, content = READERS[kind]
    marker = tmp_path / "ran"
    value = content()
    first = next(iter(value))
    places = [{"bomb": bomb(marker), **value}, {**value, "z": bomb(marker)}, {**value, first: bomb(marker)}]
    for place in places:
        path = save(tmp_path / "bad.tar", place, container)
        for reader in (read, recognise):
            with pytest.raises(
                InputError, match=r"bad\.tar was refused: it calls for '.*can run code when it is opened"
            ):
                reader(path)
        assert run(["convert", str(path), str(tmp_path / "out")]) == 2
        assert [file.name for file in tmp_path.iterdir()] == ["bad.tar"]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_truncated_file_is_named_wherever_it_ends(tmp_path, kind, container):
    read, content = READERS[kind]
    path = save(tmp_path / "short.tar", content(), container)
    whole = path.read_bytes()
    for size in {0, 1, 2, 7, 30, *range(100, len(whole), max(1, len(whole) // 25)), len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"short\.tar"):
            read(path)


@pytest.mark.parametrize("read", [read_checkpoint, read_generator, read_matching_network])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"nothing\.tar does not exist"):
        read(tmp_path / "nothing.tar")


def test_tar_archives_of_the_first_torch_are_refused_without_unsafe_advice(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputError, match="was refused: it is a tar archive") as refused:
        read_checkpoint(tmp_path / "bad.tar")
    assert "weights_only" not in str(refused.value)
