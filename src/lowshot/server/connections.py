"""Connections that send the head of a request and take the answers in time, or end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lowshot.server.limits import Limits
from lowshot.server.peers import peer_of

_FIRST_SECONDS = 3.0
"""The time that a new connection has for the beginning of a request before it may have to make room."""


def timed_connections(limits: Limits) -> type[H11Protocol]:
    """The protocol of uvicorn, with limits to the time of a head, of a refused body and of answers, and to connections.

    At a limit of connections the one that has been idle for longest makes room for a new one.

    Args:
        limits (Limits): The limits.
    """

    class TimedConnection(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _taking: asyncio.TimerHandle | None = None
        _peer: str | None = None
        _idle_since = 0.0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            address = transport.get_extra_info("peername")
            self._peer = peer_of(address[0]) if isinstance(address, tuple) else None
            if not self._finds_room():
                transport.abort()
                return
            super().connection_made(_Noticed(transport, self._take))  # type: ignore[arg-type]
            self._idle_since = self.loop.time()
            self._wait()

        def _finds_room(self) -> bool:
            groups: list[tuple[list[Any], int]] = [(list(self.connections), limits.connections)]
            if self._peer is not None:
                own = [one for one in groups[0][0] if one._peer == self._peer]
                groups.insert(0, (own, limits.peer_connections))
            for group, most in groups:
                if len(group) < most:
                    continue
                idle = [one for one in group if one._is_idle()]
                if not idle:
                    return False
                min(idle, key=lambda one: one._idle_since).transport.abort()
            return True

        def _is_idle(self) -> bool:
            """True while no request is on its way or being answered; a new connection has a while to send its first."""
            states = (self.conn.our_state, self.conn.their_state)
            quiet = states == (h11.IDLE, h11.IDLE) and not self.conn.trailing_data[0]
            used = self.cycle is not None or self.loop.time() - self._idle_since > _FIRST_SECONDS
            return quiet and used and not self.transport.is_closing()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            self._idle_since = self.loop.time()
            super().on_response_complete()
            self._watch()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._take()

        def resume_writing(self) -> None:
            super().resume_writing()
            if not self.transport.is_closing():
                self._stop_taking()

        def _take(self) -> None:
            """From now on the client has to take what was sent, until nothing waits; nothing is added meanwhile."""
            if self._taking is None:
                left = self.transport.get_write_buffer_size()
                self._taking = self.loop.call_later(limits.send_seconds, self._check_taken, left)

        def _check_taken(self, before: int) -> None:
            self._taking = None
            if before - self.transport.get_write_buffer_size() < limits.send_bytes:
                self.transport.abort()
            else:
                self._take()

        def _stop_taking(self) -> None:
            if self._taking is not None:
                self._taking.cancel()
                self._taking = None

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
            self._stop_taking()

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


class _Noticed:
    """A transport that tells when it is closed: closing waits for the client to take what was sent, for ever.

    Args:
        transport (Transport): The transport.
        closed (callable): The function that is called after ``close``.
    """

    def __init__(self, transport: asyncio.Transport, closed: Callable[[], None]) -> None:
        self._transport = transport
        self._closed = closed

    def close(self) -> None:
        self._transport.close()
        self._closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
