"""The size of bodies, and the time that they and the answers to them may take to travel."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lowshot.server.limits import MEGABYTE, Limits
from lowshot.server.problems import Problem, busy


class LimitedBodies:
    """An application whose bodies arrive within limits; a request beyond one is answered at once.

    Args:
        app (ASGIApp): The application.
        limits (Limits): The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._all = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, own, started = self._limits, 0, False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limits.body_seconds
        announced = _length(scope)
        more = True

        async def receive_in_time() -> Message:
            nonlocal own, more
            if not more:
                return await receive()
            pause = min(limits.pause_seconds, deadline - loop.time())
            try:
                async with asyncio.timeout(max(pause, 0.0)):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "the body did not arrive in time") from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                own += size
                self._all += size
                more = message.get("more_body", False)
                self._check(own)
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal started
            started = True
            async with asyncio.timeout(limits.send_seconds):
                await send(message)

        try:
            if announced is not None:
                self._check(announced)
            await self._app(scope, receive_in_time, send_in_time)
        except Problem as problem:
            if not started:
                await problem.response()(scope, receive, send)
        except TimeoutError:
            return  # the client takes nothing: the server closes the connection
        finally:
            self._all -= own

    def _check(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise Problem(
                413,
                f"the body is larger than {self._limits.body_bytes / MEGABYTE:g} MB: send fewer or smaller photos",
            )
        if self._all > self._limits.all_bodies_bytes:
            raise busy("too many photos are on their way to this server")


def _length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return None
