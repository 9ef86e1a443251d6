"""Real processes: the command, kills, slow and broken clients, answers while the recogniser changes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from lowshot.recogniser import Recogniser
from tests.recogniser.conftest import photo
from tests.server.conftest import encoded, files, pictures, png
from tests.server.processes import ROOT, Running, running, wait_for

KILLS = int(os.environ.get("LOWSHOT_KILLS_OF_SERVERS", "3"))
LATE = 5.0  # seconds after which an answer is late, also where other work shares the processor


def raw_request(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def received(connection: socket.socket, seconds: float = 20.0) -> bytes:
    """All that comes until the server closes the connection."""
    connection.settimeout(seconds)
    found = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece


def test_the_command_serves_until_ctrl_c(colours: Path) -> None:
    with running(colours) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with server.client() as client:
            assert client.get("/health").json()["recogniser"] == "colours"
            assert client.post("/predict", files=files(("a.png", png("red", 9)))).status_code == 200
            taken = [
                sys.executable,
                "-m",
                "tests.server.tiny_program",
                "serve",
                str(colours),
                "--port",
                str(server.port),
            ]
            second = subprocess.run(taken, cwd=ROOT, capture_output=True, text=True)
            assert second.returncode == 2
            assert "give another with --port" in " ".join(second.stderr.split())
        code, printed = server.end()
        assert (code, printed) == (0, "")
    with running(colours) as server:
        assert server.end(signal.SIGTERM)[0] == 0


def test_a_change_that_was_begun_is_finished_when_the_server_ends(colours: Path) -> None:
    with running(colours) as server, server.client() as client:
        answers: list[httpx.Response] = []
        given = pictures("blue", range(60))

        def teach() -> None:
            answers.append(client.post("/classes", data={"name": "blue"}, files=given))

        thread = threading.Thread(target=teach)
        thread.start()
        with server.client() as other:
            wait_for(lambda: "lowshot_waiting_requests 1" in other.get("/metrics").text or answers)
        code, printed = server.end()
        thread.join()
        assert (code, printed) == (0, "")
    assert answers[0].status_code == 201
    assert Recogniser.load(colours).shots()["blue"] == 60


def _teach_without_end(server: Running, kill: int, asked: list[int], acknowledged: list[dict[str, Any]]) -> None:
    """Teach a class of two photos again and again, until the server is gone."""
    with server.client() as client:
        for change in range(1000):
            first = 10_000 * (kill + 1) + 2 * change
            asked[0] += 1
            try:
                response = client.post(
                    "/classes", data={"name": f"class {kill} {change}"}, files=pictures("any", range(first, first + 2))
                )
            except httpx.HTTPError:
                return
            assert response.status_code == 201, response.text
            acknowledged.append(response.json())


def test_after_a_kill_the_state_is_the_one_before_or_after(colours: Path) -> None:
    rng = random.Random(0)
    number = Recogniser.load(colours).state.number
    interrupted = 0
    for kill in range(KILLS):
        acknowledged: list[dict[str, Any]] = []
        asked = [0]
        with running(colours) as server:
            thread = threading.Thread(target=_teach_without_end, args=(server, kill, asked, acknowledged))
            thread.start()
            wait_for(lambda done=acknowledged: done)
            time.sleep(rng.uniform(0, 0.3))
            server.process.kill()
            thread.join()
        opened = Recogniser.load(colours)
        last = acknowledged[-1]["state"]
        assert last == number + len(acknowledged)
        assert opened.state.number in (last, last + asked[0] - len(acknowledged))
        interrupted += asked[0] > len(acknowledged)
        assert opened.shots() == {name: 3 if name in ("red", "green") else 2 for name in opened.classes}
        assert len(opened.classes) == 2 + opened.state.number - 1
        number = opened.state.number
    assert interrupted


def test_every_answer_comes_from_one_state_while_classes_come_and_go(colours: Path, tiny: None, tmp_path: Path) -> None:
    shown = [(f"{name}.png", photo(name, 70)) for name in ("red", "green", "blue", "grey")]
    body = files(*[(name, encoded(image)) for name, image in shown])
    expected: dict[int, list[dict[str, Any]]] = {}

    def keep(state: int) -> None:
        copy = Recogniser(shutil.copytree(colours, tmp_path / f"state {state}"))
        answers = copy.predict([image for _, image in shown])
        expected[state] = [{**one.as_dict(), "file": name} for one, (name, _) in zip(answers, shown)]

    found: list[dict[str, Any]] = []
    done = threading.Event()
    with running(colours) as server:

        def ask() -> None:
            with server.client() as client:
                while not done.is_set():
                    response = client.post("/predict?top=9", files=body)
                    assert response.status_code == 200, response.text
                    found.append(response.json())

        askers = [threading.Thread(target=ask) for _ in range(4)]
        keep(1)
        for thread in askers:
            thread.start()
        with server.client() as client:
            for turn in range(6):
                name, first = f"new {turn}", 10 * turn
                if turn % 3 == 2:
                    response = client.post("/undo")
                else:
                    response = client.post(
                        "/classes",
                        data={"name": name},
                        files=pictures(("blue", "grey")[turn % 2], range(first, first + 3)),
                    )
                assert response.status_code in (200, 201), response.text
                keep(response.json()["state"])
                time.sleep(0.1)
        done.set()
        for thread in askers:
            thread.join()
    states = {one["state"] for one in found}
    assert len(states) >= 4
    for one in found:
        tops = [answer.pop("top") for answer in one["answers"]]
        assert one["answers"] == expected[one["state"]]
        assert len({tuple(sorted(choice["class"] for choice in top)) for top in tops}) == 1


def test_slow_and_broken_clients_hold_nobody_up_and_are_ended(colours: Path) -> None:
    limits = {"header_seconds": 1.5, "pause_seconds": 1.5, "body_seconds": 3.0}
    with running(colours, **limits) as server, server.client() as client:
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(24)]
        silent, heads, halves, drips = (connections[start : start + 6] for start in range(0, 24, 6))
        for connection in heads:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
        for connection in halves:
            connection.sendall(raw_request("/predict", 10_000) + b"x" * 5_000)
        for connection in drips:
            connection.sendall(raw_request("/predict", 10_000))
        leaving = socket.create_connection(("127.0.0.1", server.port))
        leaving.sendall(raw_request("/predict", 10_000) + b"x" * 9_000)
        leaving.close()
        start = time.monotonic()
        while time.monotonic() < start + 4:
            for connection in drips:
                try:
                    connection.sendall(b"x")
                except OSError:
                    continue
            before = time.monotonic()
            assert client.post("/predict", files=files(("a.png", png("red", 9)))).status_code == 200
            assert time.monotonic() - before < LATE
            time.sleep(0.2)
        for connection in (*halves, *drips):
            assert received(connection).startswith(b"HTTP/1.1 408 ")
        for connection in (*silent, *heads):
            assert received(connection) == b""  # closed without a word, as is usual
        for connection in connections:
            connection.close()
        assert "lowshot_waiting_requests 0" in client.get("/metrics").text
        assert server.end() == (0, "")  # nobody's leaving is a failure


def test_answers_are_sent_at_once(colours: Path) -> None:
    """Without TCP_NODELAY the end of an answer waits for the client's acknowledgement, which may take 40 ms."""
    with running(colours) as server, server.client() as client:
        times = []
        for _ in range(30):
            start = time.monotonic()
            client.get("/health")
            times.append(time.monotonic() - start)
        assert min(times) < 0.03


def test_a_refused_body_is_read_on_so_that_the_client_sees_the_refusal(colours: Path) -> None:
    with running(colours, body_bytes=100_000) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(raw_request("/predict", 20_000_000))
            sent = 0
            while sent < 20_000_000:
                sent += connection.send(bytes(100_000))
            connection.settimeout(20)
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        with server.client() as client:
            response = client.post("/predict", files=files(("a.png", bytes(3_000_000))))
            assert response.status_code == 413
            assert client.get("/health").status_code == 200


def test_bytes_that_are_no_http_get_a_400(colours: Path) -> None:
    with running(colours) as server:
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00" * 20 + b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(junk)
                answer = received(connection)
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert b"application/problem+json" in answer
        code, printed = server.end()
        assert (code, printed) == (0, "")


def test_more_connections_than_the_limit_are_closed(colours: Path) -> None:
    with running(colours, connections=5) as server:
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        wait_for(lambda: True)
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", server.port)) as extra:
            assert received(extra) == b""
        for connection in connections:
            connection.close()
        time.sleep(0.2)
        with server.client() as client:
            assert client.get("/health").status_code == 200


def test_a_kept_connection_makes_room_for_a_new_one_at_the_limit(colours: Path) -> None:
    def ask(connection: socket.socket) -> None:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found = b""
        while not found.endswith(b"}"):
            piece = connection.recv(10_000)
            assert piece, "the connection was closed"
            found += piece

    with running(colours, connections=5) as server:
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        for connection in connections:
            ask(connection)
        with server.client() as client:
            assert client.get("/health").status_code == 200
            assert received(connections[0]) == b""  # the one that was idle for longest
            ask(connections[1])
        for connection in connections:
            connection.close()


def _established(port: int) -> int:
    """The number of connections that the server has open, as the system counts them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not list connections")
def test_a_client_that_reads_nothing_is_ended(colours: Path) -> None:
    with running(colours, send_seconds=1.0) as server, server.client() as client:
        client.get("/docs/swagger-ui-bundle.js")
        connections = []
        for _ in range(10):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 12)
            connections.append(connection)
        wait_for(lambda: _established(server.port) >= 11)
        wait_for(lambda: _established(server.port) <= 1, 30)
        assert client.get("/health").status_code == 200
        for connection in connections:
            connection.close()
        assert server.end() == (0, "")


def test_a_client_that_reads_slowly_gets_all(colours: Path) -> None:
    with running(colours, send_seconds=0.5, send_bytes=1000) as server, server.client() as client:
        whole = client.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "identity"}).content
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(
                b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            found = b""
            while piece := connection.recv(50_000):
                found += piece
                time.sleep(0.05)
        assert found.endswith(whole)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_https_with_a_token_whose_cookie_is_sent_over_https_alone(colours: Path, tmp_path: Path) -> None:
    made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    subprocess.run(
        [*made.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True
    )
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    token.chmod(0o600)
    pair = ["--certificate", tmp_path / "cert.pem", "--key", tmp_path / "key.pem"]
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    with running(colours, "--token-file", token, *pair) as server, server.client(verify=context) as client:
        assert server.address.startswith("https://")
        assert client.get("/classes").status_code == 401
        response = client.post("/login", json={"token": "0123456789abcdef0123"})
        assert "Secure" in response.headers["set-cookie"]
        assert client.get("/classes").status_code == 200
    mixed = ["--certificate", token, "--key", tmp_path / "key.pem"]
    command = [sys.executable, "-m", "tests.server.tiny_program", "serve", colours, *mixed]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "do not fit" in done.stderr


def _workers(server: Running) -> list[int]:
    """The processes that compute for a server."""
    threads = [path.read_text().split() for path in Path(f"/proc/{server.process.pid}/task").glob("*/children")]
    found = {int(pid) for group in threads for pid in group}
    return [pid for pid in sorted(found) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_worker_that_is_killed_is_replaced_and_its_photos_are_answered(colours: Path) -> None:
    with running(colours, "--workers", "2") as server:
        expected = None
        failures: list[str] = []
        done = threading.Event()

        def ask() -> None:
            with server.client() as client:
                while not done.is_set():
                    response = client.post(
                        "/predict", files=files(("a.png", png("red", 9)), ("b.png", png("green", 9)))
                    )
                    if response.status_code != 200 or response.json()["answers"] != expected:
                        failures.append(response.text)

        with server.client() as client:
            body = files(("a.png", png("red", 9)), ("b.png", png("green", 9)))
            expected = client.post("/predict", files=body).json()["answers"]
            assert [answer["class"] for answer in expected] == ["red", "green"]
            askers = [threading.Thread(target=ask) for _ in range(3)]
            for thread in askers:
                thread.start()
            for _ in range(2):
                wait_for(lambda: len(_workers(server)) == 2, 120)
                os.kill(_workers(server)[0], signal.SIGKILL)
                time.sleep(0.5)
            wait_for(lambda: len(_workers(server)) == 2, 120)
            assert client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(2))).status_code == 201
            done.set()
            for thread in askers:
                thread.join()
        assert not [one for one in failures if '"state":2' not in one]
        assert server.end()[0] == 0
