"""The two kinds of recognisers that are served, and how the routes get hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from lowshot.recogniser.photos import Photo
from lowshot.server.limits import Limits
from lowshot.server.pace import Pace
from lowshot.server.problems import Problem
from lowshot.server.schemas import AnswerBody

if TYPE_CHECKING:
    from lowshot.server.service import FolderService


class Service(Protocol):
    """A recogniser that answers; a folder can be changed as well."""

    kind: Any
    name: str
    read_only: bool
    stale: str | None
    pace: Pace

    async def answers(self, photos: list[Photo], top: int, nearest: int) -> tuple[int, list[AnswerBody]]: ...

    def close(self) -> None: ...


def service_of(request: Request) -> Any:
    """The service that a request asks."""
    return request.app.state.service


def limits_of(request: Request) -> Limits:
    """The limits of the server."""
    return request.app.state.limits


def folder_of(request: Request) -> FolderService:
    """The folder that a request asks.

    Raises:
        Problem: An exported file is served, which holds no photos.
    """
    service = service_of(request)
    if service.kind != "folder":
        raise Problem(404, "an exported file holds no photos: serve the folder that it was exported from")
    return service


def changeable(request: Request) -> FolderService:
    """The folder that a request changes.

    Raises:
        Problem: The server is read-only, or an exported file is served.
    """
    service = service_of(request)
    if service.kind != "folder":
        raise Problem(403, "an exported file cannot be changed: serve the folder that it was exported from")
    if service.read_only:
        raise Problem(403, "this server is read-only: it answers, and changes nothing")
    return service
