"""Files that are damaged or would run code: refused, explained, and nothing ran."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.cli import run
from lowshot.compat.formats.checkpoint import read_checkpoint
from lowshot.compat.formats.generator import read_generator
from lowshot.compat.formats.matching_network import read_matching_network
from lowshot.compat.formats.recognise import recognise
from lowshot.errors import InputError
from lowshot.torch_files import load_torch
from tests.compat.formats.old_files import CONTAINERS, generator_content, matching_state, save

READERS = {
    "checkpoint": (read_checkpoint, lambda: {"epoch": 3, "state": OrderedDict(a=torch.randn(40))}),
    "generator": (read_generator, generator_content),
    "matching network": (read_matching_network, lambda: {"state": matching_state()}),
}


class Bomb:
    """Writes a marker file when it is unpickled: the least that code in a pickle could do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


class Eval(Bomb):
    def __reduce__(self):
        return (eval, (f"open({str(self.marker)!r}, 'w')",))


class Hidden(Bomb):
    """Asks an object array of numpy to bring the bomb along."""

    def __reduce__(self):
        array = np.empty(1, dtype=object)
        array[0] = Bomb(self.marker)
        return array.__reduce__()


def test_the_bombs_go_off_in_an_unsafe_reader(tmp_path):
    for bomb in (Bomb, Eval, Hidden):
        pickle.loads(pickle.dumps(bomb(tmp_path / bomb.__name__)))
        assert (tmp_path / bomb.__name__).exists()


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


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("container", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("bomb", [Bomb, Eval, Hidden])
def test_the_call_is_named_whatever_the_protocol(tmp_path, recwarn, bomb, container, protocol):
    marker, path = tmp_path / "ran", tmp_path / "bad.tar"
    # The bomb stands second, behind its equal: later protocols look names up by what they have seen before.
    value = {"epoch": 3, "state": OrderedDict(a=torch.ones(2)), "b": [bomb(marker), bomb(marker)]}
    if container == "pickle":
        path.write_bytes(pickle.dumps({**value, "state": None}, protocol))
    else:
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=container == "zip")
    called = "builtins.eval" if bomb is Eval else "(io|_io).open"
    if protocol < 3:
        called = called.replace("builtins", "__builtin__")
    with pytest.raises(InputError, match=f"it calls for '{called}'"):
        load_torch(path)
    assert [file.name for file in tmp_path.iterdir()] == ["bad.tar"]
    assert not recwarn.list


@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_plain_tensors_are_read_in_protocols_2_and_3_and_others_are_explained(tmp_path, recwarn, container):
    path = tmp_path / "plain.tar"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        value = {"a": torch.ones(2)}
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=container == "zip")
        if protocol in (2, 3):
            assert torch.equal(load_torch(path)["a"], value["a"])
        elif protocol > 3:
            with pytest.raises(InputError, match=f"is in pickle protocol {protocol}, and .* save it again"):
                load_torch(path)
        else:
            with pytest.raises(InputError, match="was refused"):
                load_torch(path)
    assert not recwarn.list


@pytest.mark.parametrize("called", ["os.system", "builtins.getattr", "torch.load", "numpy.load", "runpy._run_code"])
def test_no_function_but_those_of_plain_data_can_be_called(tmp_path, called):
    module, _, name = called.rpartition(".")
    content = b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\nX\x01\x00\x00\x00a\x85R."
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.tar"):
        load_torch(tmp_path / "bad.tar")


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


@pytest.mark.parametrize("container", CONTAINERS)
def test_damaged_bytes_give_an_answer_or_an_input_error(tmp_path, container):
    buffer = io.BytesIO()
    content = {"epoch": np.int64(3), "state": matching_state(1), "c": np.ones(3), "list": [1, (2.0, "x")]}
    torch.save(content, buffer, _use_new_zipfile_serialization=container == "zip")
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(buffer.getvalue())
        for place in rng.integers(0, min(len(damaged), 1500), 3):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "x.tar").write_bytes(damaged)
        try:
            load_torch(tmp_path / "x.tar")
        except InputError as error:
            assert "x.tar" in str(error)  # noqa: PT017


@pytest.mark.parametrize("read", [read_checkpoint, read_generator, read_matching_network])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"nothing\.tar does not exist"):
        read(tmp_path / "nothing.tar")


def test_the_tar_archives_of_the_first_torch_are_refused_without_torchs_advice_to_read_them_unsafely(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputError, match="was refused: it is a tar archive") as refused:
        read_checkpoint(tmp_path / "bad.tar")
    assert "weights_only" not in str(refused.value)
