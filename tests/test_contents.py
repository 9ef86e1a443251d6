"""The content of files is known by a stat the second time, and never taken for an earlier content."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from lowshot import contents
from lowshot.contents import UNREADABLE, by_content, content_fingerprint, content_mark, content_marks
from lowshot.files import file_fingerprint


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(contents, "_memory", {})
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files that were written long ago."""
    monkeypatch.setattr(contents, "_SETTLED_NS", -1)
    for name, content in (("a", b"one"), ("b/c", b"two"), ("b/d", b"")):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(content)
    return tmp_path / "root"


PATHS = ["a", "b/c", "b/d"]


def reads(root: Path, paths: list[str] = PATHS) -> tuple[np.ndarray, int]:
    """The marks, and how many files were read for them."""
    with mock.patch.object(contents, "_mark", wraps=contents._mark) as mark:
        return content_marks(root, paths), mark.call_count


def test_marks_are_size_and_checksum_and_the_second_look_reads_nothing(root: Path) -> None:
    marks, count = reads(root)
    assert marks.tolist() == [content_mark(len(text), zlib.crc32(text)) for text in (b"one", b"two", b"")]
    assert (marks > 0).sum() == 2  # an empty file has mark 0
    assert count == 3
    again, count = reads(root)
    assert (again == marks).all()
    assert count == 0
    assert reads(root, PATHS[::-1])[0].tolist() == marks.tolist()[::-1]


def test_a_renamed_folder_is_read_once(root: Path) -> None:
    marks, _ = reads(root)
    again, count = reads(root.rename(root.with_name("renamed")))
    assert (again == marks).all()
    assert count == 0


@pytest.mark.parametrize("way", ["in place", "by another file", "with the times put back"])
def test_other_content_of_equal_size_is_seen(root: Path, way: str) -> None:
    marks, _ = reads(root)
    file, status = root / "a", (root / "a").stat()
    time.sleep(0.02)  # more than a tick of the clock that stamps files
    if way == "by another file":
        (root / "new").write_bytes(b"owe")
        os.replace(root / "new", file)
    else:
        file.write_bytes(b"owe")
    if way == "with the times put back":
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    again, count = reads(root)
    assert again[0] == content_mark(3, zlib.crc32(b"owe")) != marks[0]
    assert (again[1:] == marks[1:]).all()
    assert count == 1


def test_what_was_just_written_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_SETTLED_NS", 60 * 10**9)
    assert reads(root)[1] == reads(root)[1] == 3


def test_the_parts_of_a_folder_share_what_is_known(root: Path) -> None:
    assert [reads(root, [path])[1] for path in PATHS] == [1, 1, 1]
    assert reads(root)[1] == 0


def test_what_cannot_be_read_has_a_mark_of_its_own_and_hangs_nothing(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    (root / "link.png").symlink_to("nowhere")
    marks, _ = reads(root, ["pipe.png", "link.png", "missing.png", "b", "a"])
    assert marks.tolist() == [UNREADABLE] * 4 + [content_mark(3, zlib.crc32(b"one"))]


@pytest.mark.parametrize("left", [b"", b"damaged", None])
def test_a_damaged_or_missing_cache_costs_time_alone(root: Path, cache: Path, left: bytes | None) -> None:
    marks, _ = reads(root)
    for file in (cache / "contents").iterdir():
        file.unlink() if left is None else file.write_bytes(left)
    again, count = reads(root)
    assert (again == marks).all()
    assert count == 3


def test_without_a_cache_folder_everything_works(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path / "file"))
    assert reads(root)[1] == reads(root)[1] == 3
    monkeypatch.delenv("LOWSHOT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with mock.patch.object(Path, "home", side_effect=RuntimeError("no home")):
        assert reads(root)[1] == 3


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_SETTLED_NS", -1)
    monkeypatch.setattr(contents, "_BLOCK", 4)
    file = tmp_path / "features.hdf5"

    def read() -> tuple[str, int]:
        with mock.patch.object(contents, "file_fingerprint", wraps=file_fingerprint) as digest:
            return content_fingerprint(file), digest.call_count

    file.write_bytes(b"content")
    assert read() == (file_fingerprint(file), 1)
    assert read() == (file_fingerprint(file), 0)
    monkeypatch.setattr(contents, "_memory", {})  # as in another process
    assert read() == (file_fingerprint(file), 0)
    time.sleep(0.02)
    file.write_bytes(b"CONTENT")
    assert read() == (file_fingerprint(file), 1)


def test_values_name_files_by_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("loss.py", "weights.pth", "small"):
        (tmp_path / name).write_text(name)
    loss, weights = file_fingerprint("loss.py"), file_fingerprint("weights.pth")
    relative = {"loss": "file:loss.py", "options": {"weights": "weights.pth", "stem": "small", "n": [1, None, "x.y"]}}
    absolute = {
        "loss": f"file:{tmp_path}/loss.py",
        "options": {**relative["options"], "weights": tmp_path / "weights.pth"},
    }
    named = {
        "loss": f"file:file {loss}",
        "options": {"weights": f"file {weights}", "stem": "small", "n": [1, None, "x.y"]},
    }
    assert by_content(relative) == by_content(absolute) == named
