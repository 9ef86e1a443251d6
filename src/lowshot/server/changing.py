"""The routes that change the recogniser: teach, rename, remove, move, forget, undo."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lowshot.errors import InputError
from lowshot.recogniser.class_names import checked_name
from lowshot.server import teaching
from lowshot.server.describing import fails, multipart
from lowshot.server.problems import Problem
from lowshot.server.schemas import Changed, NewName, OtherClass, Taught, Undone
from lowshot.server.services import changeable, limits_of
from lowshot.server.uploads import Uploads, read_uploads

if TYPE_CHECKING:
    from lowshot.recogniser import Recogniser

router = APIRouter(tags=["changes"])

_TEACHES = (400, 401, 403, 408, 409, 413, 415, 422, 503)
_SkipBad = Annotated[bool, Query(description="True leaves out photos that cannot be decoded.")]
_NDJSON = "application/x-ndjson"


@router.post(
    "/classes",
    status_code=201,
    response_model=Taught,
    responses=fails(*_TEACHES),
    openapi_extra=multipart(name={"type": "string", "description": "The new class; without it files are CLASS/FILE."}),
)
async def teach_new(request: Request, skip_bad: _SkipBad = False) -> Response:
    """Teach a new class `name`, or many: without `name` files are called CLASS/FILE, and known classes get more photos.

    With `Accept: application/x-ndjson` the answer is lines: `{"done": 12, "of": 400}`, and last `{"result": …}` or
    `{"problem": …}`."""
    service = changeable(request)
    uploads = await read_uploads(request, limits_of(request))
    name = uploads.fields.get("name")
    if name is None and not all(uploads.folders):
        missing = uploads.photos[uploads.folders.index("")].name
        uploads.close()
        raise Problem(422, "give the class in the field 'name', or call the files CLASS/FILE", file=missing)
    return await _answer(request, service, uploads, name, skip_bad, teaching.new_class)


@router.post(
    "/classes/{name}/photos",
    status_code=201,
    response_model=Taught,
    responses=fails(*_TEACHES, 404),
    openapi_extra=multipart(),
)
async def teach_more(request: Request, name: str, skip_bad: _SkipBad = False) -> Response:
    """Teach more photos of a known class. `Accept: application/x-ndjson` as of POST /classes."""
    service = changeable(request)
    if name not in (await service.present()).photos:
        raise Problem(404, f"there is no class {name!r}: POST /classes teaches a new one")
    uploads = await read_uploads(request, limits_of(request))
    return await _answer(request, service, uploads, name, skip_bad, teaching.known_class)


@router.patch("/classes/{name}", response_model=Changed, responses=fails(401, 403, 404, 408, 409, 413, 422, 503))
async def rename(request: Request, name: str, new: NewName) -> Changed:
    """Rename a class."""

    def work(recogniser: Recogniser) -> None:
        _known(recogniser, name)
        if _composed(new.name) in recogniser.classes and _composed(new.name) != name:
            raise Problem(409, f"class {new.name!r} exists already: remove one of the two, or take another name")
        recogniser.rename(name, new.name)

    return await _changed(request, work)


@router.delete("/classes/{name}", response_model=Changed, responses=fails(401, 403, 404, 503))
async def remove(request: Request, name: str) -> Changed:
    """Forget a class."""

    def work(recogniser: Recogniser) -> None:
        _known(recogniser, name)
        recogniser.remove(name)

    return await _changed(request, work)


@router.patch(
    "/classes/{name}/photos/{digest}",
    response_model=Changed,
    responses=fails(401, 403, 404, 408, 413, 422, 503),
)
async def move(request: Request, name: str, digest: str, to: OtherClass) -> Changed:
    """Give a taught photo to another class, which may be new."""

    def work(recogniser: Recogniser) -> None:
        recogniser.move_photo(_taught(recogniser, name, digest), to.class_)

    return await _changed(request, work)


@router.delete("/classes/{name}/photos/{digest}", response_model=Changed, responses=fails(401, 403, 404, 503))
async def forget(request: Request, name: str, digest: str) -> Changed:
    """Forget a taught photo."""

    def work(recogniser: Recogniser) -> None:
        recogniser.move_photo(_taught(recogniser, name, digest), None)

    return await _changed(request, work)


_State = Annotated[
    int | None, Query(ge=0, description="The state that is to be undone, as a reply named it; another one is a 409.")
]


@router.post("/undo", response_model=Undone, responses=fails(401, 403, 409, 422, 503))
async def undo(request: Request, state: _State = None) -> Undone:
    """Undo the last change; ten can be undone. With `state`, only where no other change has come since."""
    undone, snapshot = await changeable(request).change(partial(_undo, state))
    return Undone(state=snapshot.number, undo=snapshot.undo, undone=undone)


def _undo(state: int | None, recogniser: Recogniser) -> str:
    from lowshot.recogniser.folder import NothingToUndoError, OtherStateError  # an .onnx file is served without h5py

    try:
        return recogniser.undo(state)
    except NothingToUndoError:
        raise Problem(409, "there is nothing to undo") from None
    except OtherStateError as error:
        raise Problem(409, str(error)) from None


async def _changed(request: Request, work: Callable[[Recogniser], None]) -> Changed:
    _, snapshot = await changeable(request).change(work)
    return Changed(state=snapshot.number, undo=snapshot.undo)


async def _answer(
    request: Request, service: Any, uploads: Uploads, name: str | None, skip_bad: bool, known: teaching.Precondition
) -> Response:
    steps = teaching.teach(service, uploads, name, skip_bad, known)
    if _NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(steps, uploads), media_type=_NDJSON)
    try:
        async for step in steps:
            if isinstance(step, Taught):
                return JSONResponse(step.model_dump(), 201)
    finally:
        uploads.close()
    raise AssertionError


async def _lines(steps: AsyncIterator[Any], uploads: Uploads) -> AsyncIterator[bytes]:
    try:
        async for step in steps:
            value = {"result": step.model_dump()} if isinstance(step, Taught) else {"done": step[0], "of": step[1]}
            yield json.dumps(value).encode() + b"\n"
    except InputError as error:
        yield json.dumps({"problem": Problem(422, str(error)).as_dict()}).encode() + b"\n"
    except Problem as problem:
        yield json.dumps({"problem": problem.as_dict()}).encode() + b"\n"
    finally:
        uploads.close()


def _known(recogniser: Recogniser, name: str) -> None:
    if name not in recogniser.classes:
        raise Problem(404, f"there is no class {name!r}")


def _taught(recogniser: Recogniser, name: str, digest: str) -> str:
    _known(recogniser, name)
    examples = recogniser.examples
    if not any(one == digest and known.startswith(f"{name}/") for known, one in zip(examples.names, examples.digests)):
        raise Problem(404, f"class {name!r} has no photo of this digest")
    return f"{name}/{digest}"


def _composed(name: str) -> str:
    return checked_name(name)
