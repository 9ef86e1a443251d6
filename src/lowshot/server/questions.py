"""The routes that ask: answers for photos, classes, findings, small pictures, health and metrics."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lowshot import __version__
from lowshot.server.describing import PHOTOS_BODY, fails
from lowshot.server.metrics import MEDIA_TYPE, Metrics, resident_bytes
from lowshot.server.problems import Problem
from lowshot.server.schemas import Answers, CheckBody, Classes, ClassPhotos, Health
from lowshot.server.services import folder_of, limits_of, service_of
from lowshot.server.uploads import read_uploads

router = APIRouter(tags=["questions"])

_DIGEST = re.compile(r"[0-9a-f]{64}")


@router.post(
    "/predict",
    response_model=Answers,
    response_model_exclude_unset=True,
    responses=fails(400, 401, 403, 408, 409, 413, 415, 422, 503),
    openapi_extra=PHOTOS_BODY,
)
async def predict(
    request: Request,
    top: Annotated[int, Query(ge=0, le=1000, description="The number of likeliest classes of each photo.")] = 0,
    nearest: Annotated[int, Query(ge=0, le=100, description="The number of similar taught photos of each.")] = 0,
    file: Annotated[str, Query(description="The name of the photo, for a raw body.")] = "",
) -> Answers:
    """Say what photos show. A photo that cannot be decoded gets its error, and the others their answers; alone it is a
    problem (422)."""
    uploads = await read_uploads(request, limits_of(request))
    try:
        state, answers = await service_of(request).answers(uploads.photos, top, nearest)
    finally:
        uploads.close()
    if len(answers) == 1 and answers[0].error is not None:
        raise Problem(422, answers[0].error, file=answers[0].file)
    return Answers(state=state, answers=answers)


@router.get("/classes", response_model=Classes, responses=fails(401, 403))
async def classes(request: Request) -> Classes:
    """List the classes."""
    service = service_of(request)
    if service.kind == "onnx":
        return Classes(state=0, undo=None, classes=service.class_items())
    snapshot = await service.present()
    return Classes(state=snapshot.number, undo=snapshot.undo, classes=snapshot.class_items())


@router.get("/classes/{name}", response_model=ClassPhotos, responses=fails(401, 403, 404))
async def one_class(request: Request, name: str) -> ClassPhotos:
    """List the photos of a class."""
    snapshot = await folder_of(request).present()
    if name not in snapshot.photos:
        raise Problem(404, f"there is no class {name!r}")
    return ClassPhotos(state=snapshot.number, name=name, base=snapshot.is_base(name), photos=snapshot.photos[name])


@router.get("/check", response_model=CheckBody, responses=fails(401, 403, 404, 409))
async def check(request: Request) -> CheckBody:
    """Find wrong labels, duplicates, poor pictures and confused classes, each with requests that mend it."""
    return await folder_of(request).check()


@router.get(
    "/photos/{digest}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A small JPEG."}, **fails(401, 403, 404)},
)
async def thumbnail(request: Request, digest: str) -> Response:
    """The small picture of a taught photo."""
    picture = await folder_of(request).thumbnail(digest) if _DIGEST.fullmatch(digest) else None
    if picture is None:
        raise Problem(404, "there is no small picture of this digest")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(picture, headers=headers, media_type="image/jpeg")


@router.get("/health", response_model=Health, response_model_exclude_unset=True, responses=fails(403))
async def health(request: Request) -> Health:
    """Say that the server is up, and what it serves."""
    access = request.app.state.access
    service = service_of(request)
    if not access.is_known(request.headers):
        return Health(status="ok", version=__version__, token=True)
    known: dict[str, Any] = {}
    if service.kind == "folder":
        snapshot = await service.present()
        known = {"classes": len(snapshot.classes), "photos": snapshot.n_photos, "state": snapshot.number}
    else:
        known = {"classes": len(service.classes), "photos": 0, "state": 0}
    if service.stale:
        known["detail"] = service.stale
    return Health(
        status="stale" if service.stale else "ok",
        version=__version__,
        token=access.needs_token,
        recogniser=service.name,
        read_only=service.read_only,
        kind=service.kind,
        **known,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}, **fails(401, 403)},
)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus: requests, seconds, batches, what waits, and the state."""
    service = service_of(request)
    counted: Metrics = request.app.state.metrics
    gauges: dict[str, tuple[str, float]] = {
        "waiting_photos": ("Photos that wait for the network.", service.pace.computes.waiting),
        "waiting_requests": ("Requests with photos that are not answered.", service.pace.requests),
        "resident_bytes": ("Memory of the process.", resident_bytes()),
    }
    if service.kind == "folder":
        snapshot = await service.present()
        gauges |= {
            "waiting_changes": ("Changes that run or wait.", service.waiting_changes),
            "state": ("The number of the state.", snapshot.number),
            "classes": ("Classes.", len(snapshot.classes)),
            "photos": ("Taught photos.", snapshot.n_photos),
        }
    else:
        gauges["classes"] = ("Classes.", len(service.classes))
    return Response(counted.text(gauges), media_type=MEDIA_TYPE)
