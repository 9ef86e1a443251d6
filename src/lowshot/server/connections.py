"""Connections that send the head of a request in time, or end."""

from __future__ import annotations

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lowshot.server.limits import Limits


def timed_connections(limits: Limits) -> type[H11Protocol]:
    """The protocol of uvicorn, with limits to the time of a head and of a refused body, and to connections.

    Args:
        limits (Limits): The limits.
    """

    class TimedConnection(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.connections) >= limits.connections:
                transport.abort()
                return
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def _watch(self) -> None:
            """Limit the time of what is not limited elsewhere."""
            ours, theirs = self.conn.our_state, self.conn.their_state
            part_of_head = ours is h11.IDLE and theirs is h11.IDLE and bool(self.conn.trailing_data[0])
            # A refused body is read to its end, so that the client gets to read the refusal, but not for ever.
            refused_body = ours is h11.DONE and theirs is h11.SEND_BODY
            if part_of_head or refused_body:
                self._wait()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            if self in self.connections:
                super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            body = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": msg}
            content = json.dumps(body).encode()
            lines = [
                b"HTTP/1.1 400 Bad Request",
                b"Content-Type: application/problem+json",
                b"X-Content-Type-Options: nosniff",
                b"Content-Length: %d" % len(content),
                b"Connection: close",
            ]
            self.transport.write(b"\r\n".join([*lines, b"", content]))
            self.transport.close()

        def _wait(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(limits.header_seconds, self._end)

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _end(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                self.transport.close()

    return TimedConnection
