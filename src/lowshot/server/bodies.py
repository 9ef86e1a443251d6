"""The size of bodies, and the time that they may take to arrive."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lowshot.server.limits import MEGABYTE, Limits
from lowshot.server.peers import peer_of
from lowshot.server.problems import Problem, busy


class LimitedBodies:
    """An application whose bodies arrive within limits; a request beyond one is answered at once.

    Bodies with photos are large and share a limit. Those without are small, so that parsing them takes no time; nobody
    without the token gets to send others.

    Args:
        app (ASGIApp): The application.
        limits (Limits): The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._all = 0
        self._of_peers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, own, started = self._limits, 0, False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limits.body_seconds
        announced, photos, peer = _length(scope), _has_photos(scope), _peer(scope)
        more = True
        waited, arrived = 0.0, 0  # since pause_bytes had arrived the last time

        def check(size: int) -> None:
            if photos:
                self._check_photos(size, peer)
                return
            most = limits.login_bytes if scope["path"] == "/login" else limits.json_bytes
            if size > most:
                raise Problem(413, f"the body is larger than {most} bytes, the most that this address takes")

        async def receive_in_time() -> Message:
            nonlocal own, more, waited, arrived
            if not more:
                return await receive()
            began = loop.time()
            remaining = min(limits.pause_seconds - waited, deadline - began)
            try:
                async with asyncio.timeout(max(remaining, 0.0)):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "the body did not arrive in time") from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                waited, arrived = waited + loop.time() - began, arrived + size
                if arrived >= limits.pause_bytes:
                    waited, arrived = 0.0, 0
                own += size
                self._count(size if photos else 0, peer)
                more = message.get("more_body", False)
                check(own)
            return message

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if announced is not None:
                check(announced)
            await self._app(scope, receive_in_time, noting)
        except Problem as problem:
            if not started:
                await problem.response()(scope, receive, send)
        finally:
            self._count(-own if photos else 0, peer)

    def _count(self, size: int, peer: str | None) -> None:
        self._all += size
        if peer is not None:
            self._of_peers[peer] += size
            if not self._of_peers[peer]:
                del self._of_peers[peer]

    def _check_photos(self, size: int, peer: str | None) -> None:
        if size > self._limits.body_bytes:
            raise Problem(
                413,
                f"the body is larger than {self._limits.body_bytes / MEGABYTE:g} MB: send fewer or smaller photos",
            )
        if self._all > self._limits.all_bodies_bytes:
            raise busy("too many photos are on their way to this server")
        if peer is not None and self._of_peers[peer] > self._limits.peer_bodies_bytes:
            raise busy("too many photos are on their way from your address to this server")


def _has_photos(scope: Scope) -> bool:
    path = scope["path"]
    of_class = path.startswith("/classes/") and path.endswith("/photos")
    return scope["method"] == "POST" and (path in ("/predict", "/classes") or of_class)


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return peer_of(client[0]) if client else None


def _length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return None
