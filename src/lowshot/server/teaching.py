"""Photos of a request to taught ones: seen by the network a few at a time, then added in one change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from lowshot.recogniser.class_names import checked_name
from lowshot.server.problems import Problem
from lowshot.server.schemas import Taught
from lowshot.server.uploads import Uploads

if TYPE_CHECKING:
    from lowshot.recogniser import Recogniser
    from lowshot.recogniser.embedding import Seen
    from lowshot.server.service import FolderService

Precondition = Callable[[Sequence[str], str | None], None]
"""Checks the known classes and the name that a request gives."""

Step = tuple[int, int] | Taught
"""The photos that were seen and all photos, or what was taught."""


def new_class(classes: Sequence[str], name: str | None) -> None:
    """Check that a class is new; without a name classes may be known."""
    if name is not None and checked_name(name) in classes:
        raise Problem(409, f"class {name!r} exists already: POST /classes/NAME/photos teaches more photos of it")


def known_class(classes: Sequence[str], name: str | None) -> None:
    """Check that a class is known."""
    if name not in classes:
        raise Problem(404, f"there is no class {name!r}: POST /classes teaches a new one")


async def teach(
    service: FolderService, uploads: Uploads, name: str | None, skip_bad: bool, check: Precondition
) -> AsyncIterator[Step]:
    """Teach the photos of a request.

    Args:
        service (FolderService): The recogniser.
        uploads (Uploads): The photos.
        name (str, optional): The class of all photos; without one each belongs to the class that its folder names.
        skip_bad (bool): True leaves out photos that cannot be decoded.
        check (callable): The check before the change.

    Yields:
        The progress, and last what was taught.

    Raises:
        Problem: A photo or a class name cannot be used, or the server is busy.
    """
    classes = [checked_name(name if name is not None else folder) for folder in uploads.folders]
    check((await service.present()).classes, name)  # before the work, and once more within the change
    seen: list[Seen] = []
    with service.pace.admitted():
        async for one in service.pace.results(uploads.photos, details=True):
            seen.append(one)
            yield len(seen), len(classes)
    bad = [(one.name, one.error) for one in seen if one.feature is None]
    if bad and (not skip_bad or len(bad) == len(seen)):
        what, advice = f"{len(bad)} of {len(seen)} photos", "remove them, or leave them out with skip_bad=true"
        if len(bad) == len(seen):
            what, advice = "none of the photos" if len(bad) > 1 else "the photo", "give another"
        detail = f"{what} can be used" if what.startswith("none") else f"{what} cannot be used"
        raise Problem(422, f"{detail}, and nothing was taught: {advice}", file=bad[0][0], errors=bad)

    def work(recogniser: Recogniser) -> Taught:
        check(recogniser.classes, name)
        taught = recogniser.add(list(zip(classes, seen)), skip_bad=skip_bad)
        return Taught(
            state=0,
            undo=None,
            added=taught.added,
            new=taught.new,
            repeated=taught.repeated,
            unreadable=taught.unreadable,
        )

    taught, snapshot = await service.change(work)
    yield taught.model_copy(update={"state": snapshot.number, "undo": snapshot.undo})
