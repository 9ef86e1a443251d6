"""A thousand damaged photos, bodies and headers: 4xx, never 5xx; and bytes that are hardly HTTP."""

from __future__ import annotations

import os
import random
import socket

import pytest
from starlette.testclient import TestClient

from lowshot.server.limits import Limits
from tests.fuzz.mutations import mutated_bytes
from tests.recogniser.conftest import photo
from tests.server.conftest import encoded, files, png
from tests.server.processes import running

INPUTS = int(os.environ.get("LOWSHOT_FUZZ_INPUTS", "1000"))
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
ALLOWED = {200, 201, 400, 408, 413, 415, 422}
MULTIPART = "multipart/form-data; boundary=frontier"
HEADERS = [
    {"Content-Type": MULTIPART},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary="},
    {"Content-Type": 'multipart/form-data; boundary="frontier"; charset=utf-16'},
    {"Content-Type": MULTIPART + "; charset=idna"},
    {"Content-Type": MULTIPART + "; charset=base64"},
    {"Content-Type": "multipart/form-data; boundary=" + "x" * 5000},
    {"Content-Type": "multipart/form-data; boundary=é"},
    {"Content-Type": MULTIPART, "Content-Encoding": "gzip"},
    {"Content-Type": "multipart/mixed; boundary=frontier"},
    {"Content-Type": "image/svg+xml"},
    {"Content-Type": "\x00\xff"},
    {},
]


def part(name: str, content: bytes, file: str | None = None, more: str = "") -> bytes:
    named = "" if file is None else f'; filename="{file}"'
    head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{more}\r\n'
    return head.encode("utf-8", "surrogatepass") + content + b"\r\n"


def damaged_photo(rng: random.Random) -> bytes:
    format = rng.choice(FORMATS)
    return mutated_bytes(encoded(photo(rng.choice(("red", "blue")), rng.randrange(5)), format), rng)


def damaged_body(rng: random.Random) -> bytes:
    body = part("photos", png("red", rng.randrange(5)), rng.choice(("a.png", "../a", "", "\x00", "é" * 99)))
    if rng.random() < 0.3:
        body += part(rng.choice(("name", "photos", "", "x" * 300)), rng.randbytes(rng.randrange(50)))
    if rng.random() < 0.3:
        body += part(
            "photos", b"", "b.png", "Content-Transfer-Encoding: base64\r\nX: " + "y" * rng.randrange(9000) + "\r\n"
        )
    return mutated_bytes(body + b"--frontier--\r\n", rng)


def test_damaged_photos_and_bodies_are_never_a_failure_of_the_server(client: TestClient) -> None:
    rng = random.Random(0)
    statuses: dict[int, int] = {}
    for number in range(INPUTS):
        address = rng.choice(("/predict", "/predict?top=3&nearest=2", "/classes", "/classes/red/photos"))
        kind = rng.randrange(3)
        if kind == 0:
            given = files((f"{number}.png", damaged_photo(rng)), *([("ok.png", png("red", 1))] * rng.randrange(2)))
            fields = {"name": f"new {number}"} if address == "/classes" else {}
            response = client.post(address, files=given, data=fields)
        elif kind == 1:
            response = client.post(
                "/predict", content=damaged_photo(rng), headers={"Content-Type": rng.choice(("image/png", "image/x"))}
            )
        else:
            headers = {key: value.encode("latin-1") for key, value in rng.choice(HEADERS).items()}
            response = client.post(address, content=damaged_body(rng), headers=headers)
        assert response.status_code in ALLOWED, (number, address, response.text)
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
    assert {200, 400, 415, 422} <= statuses.keys(), statuses
    assert client.post("/predict", files=files(("a.png", png("red", 50)))).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_damaged_json_is_never_a_failure_of_the_server(client: TestClient, method: str) -> None:
    rng = random.Random(1)
    address = "/login" if method == "POST" else "/classes/red"
    for _ in range(INPUTS // 10):
        body = mutated_bytes(b'{"name": "green", "token": "x", "class": ["a", {"b": null}]}', rng)
        response = client.request(method, address, content=body, headers={"Content-Type": "application/json"})
        large = len(body) > (Limits().login_bytes if method == "POST" else Limits().json_bytes)
        assert response.status_code in ({413} if large else {200, 204, 400, 404, 409, 422}), response.text


def test_bytes_that_are_hardly_http_are_never_a_failure_of_the_server(client: TestClient) -> None:
    rng = random.Random(2)
    path = client.service.folder  # type: ignore[attr-defined]
    request = (
        b"POST /predict?top=2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nCookie: lowshot=1; a=b\r\n"
        b"Authorization: Bearer x\r\nContent-Length: 4\r\nOrigin: http://localhost\r\n\r\nabcd"
    )
    with running(path, header_seconds=0.2, pause_seconds=0.2, body_seconds=0.5) as server:
        for _ in range(INPUTS // 5):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.settimeout(20)
                try:
                    connection.sendall(mutated_bytes(request, rng))
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(64)
                except OSError:
                    continue
                assert not answer.startswith(b"HTTP/1.1 5"), answer
        with server.client() as http:
            assert http.get("/health").status_code == 200
        code, printed = server.end()
        assert (code, printed) == (0, "")
