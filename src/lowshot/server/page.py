"""The files of the page, read when the server starts: no path of a request reaches the file system."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from lowshot.files import is_file
from lowshot.server.problems import Problem

_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}


class StaticFiles:
    """Files in memory by the end of their address.

    Args:
        contents (dict): Address → content.
    """

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents
        self._tags = {name: f'"{hashlib.sha256(content).hexdigest()[:16]}"' for name, content in contents.items()}

    @classmethod
    def of_folder(cls, folder: Path) -> StaticFiles:
        """All files below a folder."""
        found = [path for path in folder.rglob("*") if is_file(path)]
        return cls({path.relative_to(folder).as_posix(): path.read_bytes() for path in found})

    def response(self, request: Request, name: str) -> Response:
        """The response with a file; an empty one where the browser has it already.

        Raises:
            Problem: There is no such file.
        """
        if name not in self._contents:
            raise Problem(404, "there is nothing at this address")
        headers = {"ETag": self._tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._tags[name]:
            return Response(status_code=304, headers=headers)
        suffix = "." + name.rpartition(".")[2]
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self._contents[name], headers=headers, media_type=kind)


def page_files() -> StaticFiles:
    """The files of the page."""
    return StaticFiles.of_folder(Path(__file__).parent / "page")
