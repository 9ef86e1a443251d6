"""Atomic writes, locks, fingerprints, and reads that name the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowshot import files
from lowshot.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "table.json"
    files.write_json(target, {"a": 1})

    def fail() -> None:
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert files.read_json(target) == {"a": 1}
    assert os.listdir(tmp_path) == ["table.json"]


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "table.json"
    files.write_json(target, {"a": 1})
    script = textwrap.dedent("""
        import sys, time
        from lowshot import files
        with files.atomic_path(sys.argv[1]) as temporary:
            temporary.write_text("half"); print("ready", flush=True); time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert files.read_json(target) == {"a": 1}


def test_written_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    files.write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_nan_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"), [(None, "does not exist"), (b"{", "line 1, column 2"), (b"\xff\xfe", "not UTF-8")]
)
def test_unreadable_json_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "label_idx.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"class split .*label_idx\.json.*{message}"):
        files.read_json(path, "class split")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, json_values)
def test_fingerprints_agree_exactly_when_values_do(a: object, b: object) -> None:
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (files.fingerprint(a) == files.fingerprint(b)) is same


def test_fingerprints_see_type_shape_and_order() -> None:
    x = np.arange(6)
    prints = {files.fingerprint(v) for v in (x, x.reshape(2, 3), x.astype(np.int32), x[::-1], x[:5], "x", ["x"])}
    assert len(prints) == 7
    assert files.fingerprint({"a": 1, "b": 2}) == files.fingerprint({"b": 2, "a": 1})
    assert files.fingerprint(x.reshape(2, 3).T) == files.fingerprint(np.ascontiguousarray(x.reshape(2, 3).T))


def test_only_one_process_holds_a_lock_and_its_end_lets_it_go(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    holder = """
        import sys, time
        from lowshot.files import locked
        with locked(sys.argv[1], lambda: None):
            print("held", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(holder), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    waited = []
    with files.locked(path, lambda: waited.append(process.kill())):
        process.wait()
    assert len(waited) == 1
    with files.locked(path, lambda: waited.append(None)):
        assert len(waited) == 1
