"""The recogniser of a folder as the server holds it: one complete state to answer from, and changes one at a time.

Answers come from a :class:`~lowshot.server.snapshot.Snapshot`, which a request takes once. A change runs on the
recogniser in a thread of its own, and its snapshot takes the place of the one before by a single assignment when it is
complete. Changes of other processes, such as ``lowshot teach``, are noticed by the status of ``recogniser.json``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lowshot.errors import InputError
from lowshot.files import resolved
from lowshot.recogniser import Recogniser
from lowshot.recogniser.folder import STATE_FILE, UnwritableError, read_state
from lowshot.recogniser.photos import Photo
from lowshot.recogniser.shots import read_thumbnails
from lowshot.server.findings import checked
from lowshot.server.limits import Limits
from lowshot.server.pace import Computes, Pace
from lowshot.server.problems import Problem, busy
from lowshot.server.schemas import AnswerBody, CheckBody
from lowshot.server.snapshot import Snapshot

Result = TypeVar("Result")
Stamp = tuple[int, int, int]

_INLINE = 2**22
"""The multiplications above which answers are computed in a thread, so that other requests do not wait."""

_NOTHING_TAUGHT = "the recogniser knows no class yet: teach it one (POST /classes)"


_REPLACED = "another recogniser, of another network, has taken the folder: start the server again"


class FolderService:
    """A recogniser in a folder.

    Args:
        folder (Path): The folder.
        computes (Computes): What computes the features of photos.
        limits (Limits): The limits.
        read_only (bool): True refuses every change.

    Raises:
        InputError: There is no recogniser, or it is damaged.
    """

    kind = "folder"

    def __init__(self, folder: Path, computes: Computes, limits: Limits, read_only: bool = False) -> None:
        self.folder = folder
        self.name = resolved(folder).name
        self.read_only = read_only
        self.pace = Pace(computes, limits)
        self.stale: str | None = None
        self._limits = limits
        self._stamp = self._present_stamp()
        self._recogniser = Recogniser(folder, read_only=read_only)
        self._backbone = self._recogniser.state.backbone
        self.snapshot = Snapshot.of(self._recogniser)
        self._writer = ThreadPoolExecutor(1, "changes")
        self._reader = ThreadPoolExecutor(1, "reads")
        self._changes = 0
        self._published = 0
        self._refused: Stamp | str | None = "none"  # the status of a file that could not be used
        self._reload: asyncio.Task[None] | None = None
        self._checked: tuple[int, asyncio.Future[CheckBody]] | None = None

    # Questions.

    async def present(self) -> Snapshot:
        """The present state: the one that is served, unless another process has changed the folder."""
        if not self._changes and self._present_stamp() not in (self._stamp, self._refused):
            if self._reload is None or self._reload.done():
                self._reload = asyncio.get_running_loop().create_task(self._read_again())
            await asyncio.shield(self._reload)
        return self.snapshot

    async def answers(self, photos: list[Photo], top: int, nearest: int) -> tuple[int, list[AnswerBody]]:
        """The answers for photos, and the number of the state that all of them come from.

        Args:
            photos (list of Photo): The photos.
            top (int): The number of likeliest classes of each; 0 for none.
            nearest (int): The number of most similar taught photos of each; 0 for none.

        Raises:
            Problem: No class is known, or the server is busy.
        """
        snapshot = await self.present()
        if snapshot.model is None:
            raise Problem(409, _NOTHING_TAUGHT)
        with self.pace.admitted():
            seen = [one async for one in self.pace.results(photos)]
            if snapshot.cost(len(seen)) < _INLINE:
                return snapshot.number, snapshot.answers(seen, top, nearest)
            return snapshot.number, await asyncio.to_thread(snapshot.answers, seen, top, nearest)

    async def thumbnail(self, digest: str) -> bytes | None:
        """The small picture of a taught photo, as JPEG; None where there is none."""
        row = (await self.present()).rows.get(digest)
        if row is None:
            return None

        def read() -> bytes:
            return read_thumbnails(self.folder, [row], {row: digest})[0]

        return await asyncio.get_running_loop().run_in_executor(self._reader, read) or None

    async def check(self) -> CheckBody:
        """The findings about the taught photos; they are kept until the state changes.

        Raises:
            Problem: No class is known.
        """
        snapshot = await self.present()
        if snapshot.model is None:
            raise Problem(409, _NOTHING_TAUGHT)
        if self._checked is None or self._checked[0] != snapshot.number:
            task = asyncio.ensure_future(asyncio.to_thread(self._check))
            self._checked = (snapshot.number, task)
        try:
            return await asyncio.shield(self._checked[1])
        except BaseException:
            self._checked = None
            raise

    # Changes.

    async def change(self, work: Callable[[Recogniser], Result]) -> tuple[Result, Snapshot]:
        """Change the recogniser after the changes before, and publish the state when it is complete.

        A client that leaves does not interrupt the change.

        Args:
            work (callable): The change. It is called in another thread with the recogniser in its present state.

        Returns:
            What it returned, and the state after it.

        Raises:
            Problem: The server is read-only, or too many changes wait.
        """
        if self.read_only:
            raise Problem(403, "this server is read-only: it answers, and changes nothing")
        if self._changes >= self._limits.changes:
            raise busy(f"{self._changes} changes are waiting, as many as this server takes")
        try:
            return await asyncio.shield(asyncio.ensure_future(self._changed(work)))
        except InputError as error:
            raise self.problem(error) from None

    async def _changed(self, work: Callable[[Recogniser], Result]) -> tuple[Result, Snapshot]:
        def run() -> tuple[Result, Snapshot, Stamp | None]:
            self._refresh()
            result = work(self._recogniser)
            stamp = self._stamp_of(self._recogniser)
            return result, Snapshot.of(self._recogniser), stamp

        self._changes += 1
        try:
            result, snapshot, stamp = await asyncio.get_running_loop().run_in_executor(self._writer, run)
            self._publish(snapshot, stamp)
        finally:
            self._changes -= 1
        return result, snapshot

    @property
    def waiting_changes(self) -> int:
        """The number of changes that run or wait."""
        return self._changes

    def problem(self, error: InputError) -> Problem:
        """What a client is told of an error: nothing of the place of the folder on this machine."""
        text = str(error).replace(f"recogniser {self.folder}", "the recogniser").replace(str(self.folder), self.name)
        if isinstance(error, UnwritableError):
            return Problem(503, text, headers={"Retry-After": "60"})
        return Problem(422, text)

    def close(self) -> None:
        """Wait for the changes that were begun, and end."""
        self._writer.shutdown(wait=True)
        self._reader.shutdown(wait=True)
        self.pace.computes.close()

    def _refresh(self) -> None:
        try:
            self._recogniser.refresh()
        except InputError as error:
            raise Problem(503, self.problem(error).detail) from None
        if self._recogniser.state.backbone != self._backbone:
            raise Problem(503, _REPLACED)

    def _publish(self, snapshot: Snapshot, stamp: Stamp | None) -> None:
        self.snapshot, self._stamp, self.stale = snapshot, stamp, None
        self._published += 1

    def _present_stamp(self) -> Stamp | None:
        try:
            found = os.stat(self.folder / STATE_FILE)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _stamp_of(self, recogniser: Recogniser) -> Stamp | None:
        """The status of the file that holds the state of the recogniser; None where another process was faster."""
        stamp = self._present_stamp()
        return stamp if read_state(self.folder).number == recogniser.state.number else None

    async def _read_again(self) -> None:
        published = self._published

        def read() -> tuple[Snapshot, Stamp | None]:
            stamp = self._present_stamp()
            return Snapshot.of(Recogniser(self.folder, read_only=True)), stamp

        try:
            snapshot, stamp = await asyncio.get_running_loop().run_in_executor(self._reader, read)
        except InputError as error:
            self.stale, self._refused = self.problem(error).detail, self._present_stamp()
            return
        if snapshot.state.backbone != self._backbone:
            self.stale, self._refused = _REPLACED, stamp
            return
        if self._published == published and not self._changes:
            self._publish(snapshot, stamp)

    def _check(self) -> CheckBody:
        return checked(Recogniser(self.folder, read_only=True))
