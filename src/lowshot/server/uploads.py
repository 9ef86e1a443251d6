"""Photos in the body of a request: multipart, or one raw image. Names are labels; no file is ever called like them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lowshot.escaping import printable
from lowshot.recogniser.photos import Photo
from lowshot.server.limits import Limits
from lowshot.server.problems import Problem

LONGEST_NAME = 200
_FIELDS = 20
_FIELD_BYTES = 10_000


@dataclass
class Uploads:
    """What a body holds.

    Attributes:
        photos (list of Photo): The photos, named like their files, without folders.
        folders (list of str): The name of the folder of each photo, such as a class; empty where it has none.
        fields (dict): Fields that are no files.
    """

    photos: list[Photo] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    _open: list[UploadFile] = field(default_factory=list)

    def close(self) -> None:
        """Free the memory and the disk that the photos take."""
        for upload in self._open:
            upload.file.close()


async def read_uploads(request: Request, limits: Limits) -> Uploads:
    """Read the photos of a request.

    Raises:
        Problem: The body is no multipart and no image (415), is malformed (400), has no photo (422) or too many (413).
    """
    kind = request.headers.get("content-type", "")
    found = Uploads()
    if kind.lower().startswith("multipart/form-data"):
        await _read_multipart(request, limits, found)
    elif kind.lower().startswith("image/") or kind.lower().startswith("application/octet-stream"):
        content = await request.body()
        if content:
            _, name = split_name(request.query_params.get("file", ""))
            found.photos.append(Photo(name or "photo", content))
            found.folders.append("")
    else:
        raise Problem(
            415,
            f"a body of type {kind[:100] or 'none'}: expected multipart/form-data with fields 'photos', or one image "
            "as it is (Content-Type: image/jpeg)",
        )
    if not found.photos:
        found.close()
        raise Problem(422, "there is no photo: give one or more in the field 'photos'")
    return found


class _WholeParser(MultiPartParser):
    """The parser of Starlette, which takes a body that was cut off for a shorter one."""

    complete = False

    def on_end(self) -> None:
        self.complete = True


async def _read_multipart(request: Request, limits: Limits, found: Uploads) -> None:
    try:
        parser = _WholeParser(
            request.headers,
            request.stream(),
            max_files=limits.files,
            max_fields=_FIELDS,
            max_part_size=_FIELD_BYTES,
        )
        form = await parser.parse()
        if not parser.complete:
            raise MultiPartException("it ends before its last boundary.")
    except MultiPartException as error:
        status = 413 if error.message.startswith(("Too many", "Part exceeded")) else 400
        more = f" (at most {limits.files} photos in a request: send several)" if "files" in error.message else ""
        raise Problem(status, f"the multipart body cannot be read: {error.message.rstrip('.')}{more}") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # what its parser makes of odd headers
        raise Problem(400, f"the multipart body cannot be read: {error}") from None
    found._open += [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    for key, value in form.multi_items():
        if not isinstance(value, UploadFile):
            found.fields[key] = value
        elif key == "photos":
            folder, name = split_name(value.filename or "")
            found.photos.append(Photo(name or f"photo {len(found.photos) + 1}", _content(value)))
            found.folders.append(folder)
        else:
            found.close()
            raise Problem(422, f"the field {key[:100]!r} holds a file: photos go in the field 'photos'")


def _content(upload: UploadFile) -> Callable[[], bytes]:
    def read() -> bytes:
        upload.file.seek(0)
        return upload.file.read()

    return read


def split_name(given: str) -> tuple[str, str]:
    """The last folder and the name of a file as a client calls it, both printable and of limited length."""
    parts = [part for part in re.split(r"[/\\]", given) if part.strip() not in ("", ".", "..")]
    shown = [" ".join(printable(part).split())[-LONGEST_NAME:] for part in parts[-2:]]
    return (shown[0] if len(shown) > 1 else ""), (shown[-1] if shown else "")
