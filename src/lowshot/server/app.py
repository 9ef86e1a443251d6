"""The application: the routes around a recogniser, within the checks and limits of every request."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lowshot import __version__
from lowshot.progress import say
from lowshot.server import changing, problems, questions, site
from lowshot.server.bodies import LimitedBodies
from lowshot.server.describing import described
from lowshot.server.limits import Limits
from lowshot.server.metrics import Counted, Metrics
from lowshot.server.problems import Problem
from lowshot.server.security import Access, Guarded
from lowshot.server.services import Service

DESCRIPTION = """What a recogniser of lowshot answers, and how it is taught, over HTTP.

Photos travel as `multipart/form-data` in the field `photos`, or one as a raw body (`Content-Type: image/jpeg`). Every
answer and every change names the number of the state that it comes from or leads to. Errors are
`application/problem+json` (RFC 9457) and name the photo in `file`. Where the server was started with `--token-file`,
requests carry `Authorization: Bearer TOKEN`."""


class Failures:
    """An application whose unforeseen errors become a problem, and a few lines on standard error.

    Args:
        app (ASGIApp): The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if scope["type"] != "http":
                raise
            say(f"lowshot serve: {scope['method']} failed:\n{traceback.format_exc()}")
            if not started:
                problem = Problem(500, "the server failed; its standard error says why")
                await problem.response()(scope, receive, send)


class Heads:
    """An application that is asked for heads (HEAD) as for the whole; the server sends no body then.

    Args:
        app (ASGIApp): The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def build_app(service: Service, limits: Limits, access: Access, metrics: Metrics) -> ASGIApp:
    """The application of a server.

    Args:
        service (Service): The recogniser.
        limits (Limits): The limits.
        access (Access): The names and the token.
        metrics (Metrics): What counts.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="lowshot serve",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service, app.state.limits, app.state.access, app.state.metrics = service, limits, access, metrics
    app.openapi = partial(described, app)  # type: ignore[method-assign]
    problems.install(app)
    app.include_router(questions.router)
    app.include_router(changing.router)
    app.include_router(site.router)
    return Counted(Guarded(Failures(LimitedBodies(Heads(app), limits)), access), metrics)
