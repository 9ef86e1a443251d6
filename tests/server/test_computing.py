"""Batches of what waits, and processes that compute: killed ones are replaced, and a photo that kills is refused."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

import pytest
from PIL import Image

from lowshot.errors import InputError
from lowshot.recogniser.photos import Photo
from lowshot.server.batching import PREPARED, Batcher
from lowshot.server.problems import Problem
from lowshot.server.turns import Turns, takes_long
from lowshot.server.workers import TRIES, WorkerPool
from tests.server.conftest import encoded


class Lengths:
    """The lengths of contents; some contents do what photos should not."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = 0

    def prepare(self, photo: Photo, details: bool) -> tuple[Any, bool]:
        content = photo.source
        assert isinstance(content, bytes)
        if content == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if content == b"hang":
            time.sleep(60)
        if content == b"bad":
            return -1, True
        if content == b"raise":
            raise ValueError("cannot be prepared")
        return content, False

    def compute(self, prepared: Sequence[Any]) -> list[Any]:
        self.gate.wait(20)
        if b"fail" in prepared:
            raise ValueError("cannot be computed")
        return [len(one) for one in prepared]

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.entered -= 1


def refused() -> Lengths:
    raise InputError("there is no such network")


def photos(*contents: bytes) -> list[Photo]:
    return [Photo(f"{number}.jpg", content) for number, content in enumerate(contents)]


def test_what_waits_makes_the_next_batch() -> None:
    computation, sizes = Lengths(), []
    batcher = Batcher(computation, sizes.append)
    computation.gate.clear()
    first = batcher.submit(Photo("first", b"x"))
    while not sizes:
        time.sleep(0.01)
    others = [batcher.submit(photo) for photo in photos(*[b"xy"] * 40)]
    assert batcher.waiting == 41
    time.sleep(0.3)
    computation.gate.set()
    assert [first.result(20), *(future.result(20) for future in others)] == [1] + [2] * 40
    assert sizes == [1, 32, 8]
    batcher.close()
    assert batcher.waiting == 0
    assert computation.entered == 0


def test_one_bad_photo_spoils_no_other_and_the_threads_go_on() -> None:
    batcher = Batcher(Lengths())
    futures = [batcher.submit(photo) for photo in photos(b"abc", b"bad", b"raise")]
    assert futures[0].result(20) == 3
    assert futures[1].result(20) == -1
    with pytest.raises(ValueError, match="prepared"):
        futures[2].result(20)
    with pytest.raises(ValueError, match="computed"):
        batcher.submit(Photo("x", b"fail")).result(20)
    assert batcher.submit(Photo("x", b"abcd")).result(20) == 4
    batcher.close()


def test_requests_take_turns() -> None:
    turns: Turns[str] = Turns()
    for name in ("a1", "a2", "a3", "a4", "b1", "b2"):
        turns.append(name, name[0])
    assert turns.pop() == "a1"
    turns.append("c1", "c")
    turns.put_back("b0", "b")
    assert [turns.pop() for _ in range(5)] == ["b0", "a2", "c1", "b1", "a3"]
    assert len(turns) == 2
    assert sorted(turns.clear()) == ["a4", "b2"]
    assert not turns


class Slow(Lengths):
    """A large photo takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.at_once = self.most_at_once = 0

    def prepare(self, photo: Photo, details: bool) -> tuple[Any, bool]:
        if photo.name.startswith("large"):
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            time.sleep(self.seconds)
            self.at_once -= 1
        return super().prepare(photo, details)


def large_photo() -> bytes:
    """A photo of 36 megapixels in few bytes."""
    return encoded(Image.new("1", (6000, 6000)))


def slow() -> Slow:
    return Slow(0.4)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_small_photo_does_not_wait_for_the_large_ones_of_another_request(workers: int) -> None:
    computation, content = slow(), large_photo()
    assert takes_long(Photo("large", content))
    assert not takes_long(Photo("small", encoded(Image.new("1", (60, 60)))))
    assert not takes_long(Photo("none", b"x"))
    computes: Any = WorkerPool(workers, slow) if workers else Batcher(computation)
    first = [computes.submit(Photo(f"large {n}", content), request="first") for n in range(24)]
    time.sleep(0.2)
    began = time.monotonic()
    second = [computes.submit(Photo(f"{n}.jpg", b"abc"), request="second") for n in range(4)]
    assert [future.result(60) for future in second] == [3] * 4
    assert time.monotonic() - began < 4  # all large ones take ten seconds
    assert not first[-1].done()
    assert computation.most_at_once <= 1
    for future in first:
        future.cancel()
    computes.close()


def test_no_more_photos_are_decoded_than_a_few_batches_ahead_of_the_network() -> None:
    computation, decoded = Lengths(), []
    prepare = computation.prepare

    def noting(photo: Photo, details: bool) -> tuple[Any, bool]:
        decoded.append(photo.name)
        return prepare(photo, details)

    computation.prepare = noting  # type: ignore[method-assign]
    computation.gate.clear()
    batcher = Batcher(computation)
    futures = [batcher.submit(photo) for photo in photos(*[b"x"] * 1000)]
    time.sleep(0.5)
    assert len(decoded) <= PREPARED + 32 + 16
    computation.gate.set()
    assert [future.result(20) for future in futures] == [1] * 1000
    batcher.close()


def test_worker_processes_give_what_one_process_gives() -> None:
    pool = WorkerPool(2, Lengths)
    contents = [b"x" * n for n in range(50)]
    futures = [pool.submit(photo) for photo in photos(*contents, b"bad")]
    assert [future.result(60) for future in futures] == [*range(50), -1]
    lazily = pool.submit(Photo("lazy", lambda: b"abc"))
    assert lazily.result(60) == 3
    pool.close()
    assert pool.waiting == 0
    assert not any(worker.process.is_alive() for worker in pool.workers)


def test_a_photo_that_ends_every_process_is_refused_and_the_others_are_answered() -> None:
    pool = WorkerPool(1, Lengths)
    futures = [pool.submit(photo) for photo in photos(b"a", b"ab", b"kill", b"abc", b"abcd")]
    assert [futures[i].result(120) for i in (0, 1, 3, 4)] == [1, 2, 3, 4]
    with pytest.raises(Problem, match="ends every process") as caught:
        futures[2].result(120)
    assert (caught.value.status_code, caught.value.body.file) == (422, "2.jpg")
    pool.close()
    assert TRIES == 3


def test_a_process_that_hangs_is_replaced() -> None:
    pool = WorkerPool(1, Lengths, seconds=0.5)
    hanging, other = (pool.submit(photo) for photo in photos(b"hang", b"abc"))
    assert other.result(120) == 3
    with pytest.raises(Problem):
        hanging.result(120)
    pool.close()


def test_a_mistake_in_the_recogniser_is_told_before_anything_is_served() -> None:
    with pytest.raises(InputError, match="there is no such network"):
        WorkerPool(2, refused)
