"""The share of connections that one address has."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from lowshot.server.connections import timed_connections
from lowshot.server.limits import Limits

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(asyncio.Transport):
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1), "sockname": ("192.0.2.99", 8080)})
        self.open = True
        self.closing = False
        self.left = 0  # the bytes that wait for the client
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def abort(self) -> None:
        self.open = False

    def close(self) -> None:
        self.closing = True
        if not self.left:
            self.open = False

    def is_closing(self) -> bool:
        return self.closing or not self.open

    def get_write_buffer_size(self) -> int:
        return self.left

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


async def answer(scope: object, receive: object, send: uvicorn._types.ASGISendCallable) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("busy", [False, True])
def test_one_address_has_a_share_of_the_connections(busy: bool) -> None:
    async def run() -> None:
        config = uvicorn.Config(answer, lifespan="off")
        config.load()
        state, protocol = ServerState(), timed_connections(Limits(connections=100, peer_connections=4))

        def connect(address: str) -> Transport:
            made = protocol(config, state, {})
            transport = Transport(address)
            made.connection_made(transport)
            if transport.open:
                made.data_received(HEALTH[:20] if busy else HEALTH)
            return transport

        many = []
        for _ in range(6):
            many.append(connect("192.0.2.1"))
            await asyncio.sleep(0.01)
        if busy:  # nothing is idle: the new ones are refused
            assert [one.open for one in many] == [True] * 4 + [False] * 2
        else:
            assert [one.open for one in many] == [False] * 2 + [True] * 4
            assert all(b" 204 " in one.sent for one in many)
        assert connect("192.0.2.2").open
        proxied = [connect("127.0.0.1") for _ in range(20)]
        assert all(one.open for one in proxied)

    asyncio.run(run())


def test_a_closed_connection_waits_only_while_the_client_takes_what_was_sent() -> None:
    async def run() -> None:
        config = uvicorn.Config(answer, lifespan="off")
        config.load()
        made = timed_connections(Limits(send_seconds=0.1, send_bytes=100))(config, ServerState(), {})
        transport = Transport("192.0.2.1")
        made.connection_made(transport)
        transport.left = 1000
        made.data_received(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await asyncio.sleep(0.05)
        assert transport.is_closing()
        for _ in range(3):
            transport.left -= 200
            await asyncio.sleep(0.1)
            assert transport.open
        await asyncio.sleep(0.2)
        assert not transport.open

    asyncio.run(run())
