"""The size and pace of bodies, by route and by address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from lowshot.server.bodies import LimitedBodies
from lowshot.server.limits import Limits
from lowshot.server.peers import peer_of
from lowshot.server.problems import Problem
from tests.server.conftest import Serve, files, png
from tests.server.test_api import problem

TOKEN = "a-token-of-the-tests-0123456789"


def test_json_is_refused_by_its_size_before_it_is_parsed(client: TestClient) -> None:
    nested = b'{"name":[' + b"[]," * 10_000 + b"[]]}"
    headers = {"Content-Type": "application/json"}
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    for method, path in [
        ("POST", "/login"),
        ("PATCH", "/classes/red"),
        ("PATCH", f"/classes/red/photos/{digest}"),
        ("POST", "/undo"),
    ]:
        problem(client.request(method, path, content=nested, headers=headers), 413)
    assert client.get("/classes").json()["state"] == 1
    pieces = (b'{"name":"' if not n else b"x" * 1000 for n in range(100))  # in pieces, whose sum is not announced
    problem(client.patch("/classes/red", content=pieces, headers=headers), 413)
    deep = b'{"name":' + b"[" * 15_000 + b"]" * 500 + b"}"
    assert client.patch("/classes/red", content=deep, headers=headers).status_code in (400, 422)


def test_without_the_token_no_large_body_is_read(serve: Serve) -> None:
    client = serve(token=TOKEN)
    taken = 0

    def body() -> Any:
        nonlocal taken
        for _ in range(1000):
            taken += 10_000
            yield b"x" * 10_000

    problem(client.post("/login", content=b"x" * 5_000, headers={"Content-Type": "application/json"}), 413)
    problem(client.post("/predict", content=body(), headers={"Content-Type": "image/png"}), 401)
    problem(client.post("/logout", content=b"x" * 20_000, headers={"Content-Type": "image/png"}), 413)


class Body:
    """A request with a body that comes as the test says."""

    def __init__(self, app: LimitedBodies, address: str, path: str = "/predict") -> None:
        self.pieces: asyncio.Queue[Message] = asyncio.Queue()
        self.status: int | None = None
        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": (address, 1)}
        self.task = asyncio.create_task(app(scope, self.pieces.get, self._send))

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)

    async def sends(self, size: int, last: bool = False) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": bytes(size), "more_body": not last})
        await asyncio.sleep(0.01)


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await Problem(404, "read").response()(scope, receive, send)


def test_one_address_has_a_share_of_what_all_may_send() -> None:
    async def run() -> None:
        limits = Limits(body_bytes=100, all_bodies_bytes=400, peer_bodies_bytes=200)
        app = LimitedBodies(reads, limits)
        greedy = [Body(app, "192.0.2.1") for _ in range(4)]
        for body in greedy:
            await body.sends(99)
        assert [body.status for body in greedy] == [None, None, 503, 503]
        other = Body(app, "192.0.2.2")
        await other.sends(99, last=True)
        assert other.status == 404
        for body in greedy[:2]:
            await body.sends(0, last=True)
        again = Body(app, "192.0.2.1")
        await again.sends(99, last=True)
        assert again.status == 404
        proxied = [Body(app, "127.0.0.1") for _ in range(5)]
        for body in proxied:
            await body.sends(99)
        assert [body.status for body in proxied] == [None] * 4 + [503]
        for body in proxied[:4]:
            await body.sends(0, last=True)
        assert (app._all, app._of_peers) == (0, {})

    asyncio.run(run())


def test_a_body_that_drips_is_given_up_however_large_it_was_before() -> None:
    async def run() -> None:
        app = LimitedBodies(reads, Limits(pause_seconds=0.5, pause_bytes=1000))
        drips, steady = Body(app, "192.0.2.1"), Body(app, "192.0.2.1")
        await drips.sends(10**6)
        for _ in range(60):
            await drips.sends(1)
            await steady.sends(100)
        assert drips.status == 408
        assert steady.status is None
        await steady.sends(1, last=True)
        assert steady.status == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:9::7", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("testclient", None),
        (None, None),
    ],
)
def test_addresses_count_as_one_where_one_client_has_them_all(address: str | None, expected: str | None) -> None:
    assert peer_of(address) == expected


def test_photos_may_still_be_large(client: TestClient) -> None:
    large = png("red", 1, 400)
    assert len(large) > 20_000
    assert client.post("/predict", files=files(("a.png", large))).status_code == 200
    assert client.post("/classes/red/photos", files=files(("a.png", large))).status_code == 201
