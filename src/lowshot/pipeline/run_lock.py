"""One run at a time in an output folder: another waits, and then decides afresh what is due."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowshot.errors import InputError
from lowshot.files import exists, is_folder, locked
from lowshot.pipeline.outputs import Outputs
from lowshot.pipeline.stamps import Status
from lowshot.progress import say

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def only_run(outputs: Outputs, needed: bool = True) -> Iterator[RunLock]:
    """Hold an output folder for a whole run; the lock ends with the block or with the process.

    A folder that cannot be written is no mistake yet: a finished run can still be read, see :meth:`RunLock.check`. A
    run that is refused before it writes anything leaves no folder.

    Args:
        outputs (Outputs): The output folder.
        needed (bool): False on the ranks that write nothing.
    """
    if not needed:
        yield RunLock(outputs.folder)
        return
    file, refusal = outputs.state / "run.lock", None
    missing = [folder for folder in (outputs.state, *outputs.state.parents) if not exists(folder)]
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(file, lambda: say(f"waiting for another run in {outputs.folder}{_who(file)}")))
            file.write_text(f"process {os.getpid()} on {platform.node()}")
        except OSError as error:
            if error.errno in _NO_LOCKS:
                say(f"{outputs.folder}: its file system has no locks; start no other run there", style="yellow")
            else:
                refusal = f"{error.filename or file}: {error.strerror or error}"
        try:
            yield RunLock(outputs.folder, refusal)
        except BaseException:
            _remove_if_empty(file, missing)
            raise


def refusal_of(folder: Path) -> str | None:
    """The reason why nothing could be written in a folder, found without writing; None where something could."""
    there = next((path for path in (folder, *folder.parents) if exists(path)), folder)
    if not is_folder(there):
        return f"{there}: {os.strerror(errno.ENOTDIR)}"
    effective = os.access in os.supports_effective_ids
    may = os.access(there, os.W_OK | os.X_OK, effective_ids=effective)
    return None if may else f"{there}: {os.strerror(errno.EACCES)}"


def _remove_if_empty(file: Path, folders: Sequence[Path]) -> None:
    """Take back a lock file and the folders that were made for it, where nothing else has come into them."""
    with contextlib.suppress(OSError):
        if folders and all(len(list(folder.iterdir())) == 1 for folder in folders):
            file.unlink()
            for folder in folders:
                folder.rmdir()


class RunLock:
    """The right to write in an output folder.

    Attributes:
        folder (Path): The folder.
        refusal (str or None): The reason why nothing can be written there.
    """

    def __init__(self, folder: Path, refusal: str | None = None) -> None:
        self.folder = folder
        self.refusal = refusal

    def check(self, statuses: Sequence[Status]) -> None:
        """Refuse a run that would have to write where nothing can be written.

        Raises:
            InputError: A stage is due.
        """
        due = [status for status in statuses if status.runs]
        if self.refusal is not None and due:
            raise InputError(
                f"output folder {self.folder} cannot be written ({self.refusal}), but {due[0].stage.key} is due "
                f"({due[0].why}): give another folder with --output, or copy this one and give the copy"
            )


def _who(file: Path) -> str:
    """The process that holds a lock, as far as it has said so."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({text})" if text else ""
