"""Who may ask: names, origins, tokens and cookies; and what nobody may, whatever they call their files."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lowshot.errors import InputError
from lowshot.server.running import Settings, read_token
from lowshot.server.running import serve as run_server
from lowshot.server.security import Access
from lowshot.server.uploads import split_name
from tests.server.conftest import Serve, files, pictures, png
from tests.server.test_api import problem

TOKEN = "a-token-of-the-tests-0123456789"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:80", "192.168.1.7", "birds.example", "LOCALHOST."]
)
def test_a_server_answers_to_its_own_names_and_to_addresses(serve: Serve, host: str) -> None:
    client = serve(hosts=["birds.example"])
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b", "[", "localhost@evil.example/x"],
)
def test_other_names_are_refused_since_they_may_have_been_made_to_lead_here(client: TestClient, host: str) -> None:
    for address in ("/", "/health", "/classes", "/docs"):
        problem(client.get(address, headers={"Host": host}), 403)
    problem(client.post("/undo", headers={"Host": host}), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "https://localhost:8080"},
        {"Origin": "file://"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
def test_pages_of_other_sites_change_and_ask_nothing(client: TestClient, headers: dict[str, str]) -> None:
    problem(client.post("/undo", headers=headers), 403)
    problem(client.delete("/classes/red", headers=headers), 403)
    problem(client.post("/predict", files=files(("a.png", png("red", 1))), headers=headers), 403)
    assert client.get("/classes").json()["state"] == 1


def test_its_own_page_and_programs_may_change_it(client: TestClient) -> None:
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.patch("/classes/red", json={"name": "crimson"}, headers=own).status_code == 200
    assert client.patch("/classes/crimson", json={"name": "red"}).status_code == 200  # a program sends no Origin
    behind_a_proxy = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.patch("/classes/red", json={"name": "crimson"}, headers=behind_a_proxy).status_code == 200


def test_other_sites_may_link_to_the_page_but_not_load_parts_of_it(client: TestClient) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    problem(client.get(f"/photos/{digest}", headers={**foreign, "Sec-Fetch-Mode": "no-cors"}), 403)
    assert client.get("/docs", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_without_the_token_nothing_but_the_page_is_there(serve: Serve) -> None:
    client = serve(token=TOKEN)
    digest = "0" * 64
    for method, address in [
        ("GET", "/classes"),
        ("GET", "/classes/red"),
        ("GET", "/check"),
        ("GET", "/metrics"),
        ("GET", f"/photos/{digest}"),
        ("GET", "/anything"),
        ("POST", "/predict"),
        ("POST", "/classes"),
        ("POST", "/classes/red/photos"),
        ("POST", "/undo"),
        ("PATCH", "/classes/red"),
        ("DELETE", "/classes/red"),
        ("PATCH", f"/classes/red/photos/{digest}"),
        ("DELETE", f"/classes/red/photos/{digest}"),
    ]:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer " + "é" * 30},
            {"Cookie": f"{Access(token=TOKEN).cookie_name}={TOKEN}"},
            {"Cookie": "\x01=;;"},
        ):
            response = client.request(method, address, headers={k: v.encode() for k, v in headers.items()})
            problem(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
    health = client.get("/health").json()
    assert health.keys() == {"status", "version", "token"}
    assert health["token"] is True
    assert client.get("/docs").status_code == 200


def test_the_token_is_a_header_or_becomes_a_cookie_that_no_script_reads(serve: Serve) -> None:
    client = serve(token=TOKEN)
    assert client.get("/classes", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    problem(client.post("/login", json={"token": "wrong"}), 401)
    problem(client.post("/login", json={}), 422)
    problem(client.get("/classes"), 401)
    response = client.post("/login", json={"token": TOKEN})
    assert response.status_code == 204
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/classes").status_code == 200  # the client kept it
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    assert client.get(f"/photos/{digest}").status_code == 200
    assert client.get("/health").json()["classes"] == 2
    problem(client.post("/undo", headers={"Origin": "http://evil.example"}), 403)
    problem(client.post("/logout", headers={"Origin": "http://evil.example"}), 403)
    for _ in range(2):  # the second time it is signed out already
        assert client.post("/logout").status_code == 204
        problem(client.get("/classes"), 401)


def test_servers_with_different_tokens_on_one_host_do_not_sign_each_other_out(serve: Serve) -> None:
    first, second = serve(token=TOKEN), serve(token=TOKEN + "-of-another")
    assert first.post("/login", json={"token": TOKEN}).status_code == 204
    assert second.post("/login", json={"token": TOKEN + "-of-another"}).status_code == 204
    first.cookies.update(second.cookies)  # as browsers do, which do not tell ports apart
    assert len({cookie.name for cookie in first.cookies.jar}) == 2
    assert first.get("/classes").status_code == 200
    second.cookies.update(first.cookies)
    second.post("/logout")
    assert second.get("/classes").status_code == 401
    assert {cookie.name for cookie in second.cookies.jar} == {Access(token=TOKEN).cookie_name}


def test_every_answer_carries_the_headers_that_keep_browsers_in_bounds(serve: Serve) -> None:
    client = serve(token=TOKEN)
    known = {"Authorization": f"Bearer {TOKEN}"}
    answers = [
        client.get("/classes", headers=known),
        client.get("/classes"),
        client.get("/classes", headers={"Host": "evil.example"}),
        client.get("/nothing", headers=known),
        client.post("/predict", headers=known),
        client.get("/docs"),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 403, 404, 415, 200]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == directives["script-src"] == "'self'"
        assert directives["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["permissions-policy"].startswith("camera=(self)")
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    assert answers[0].headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("given", "folder", "name"),
    [
        ("a.jpg", "", "a.jpg"),
        ("../../etc/passwd", "etc", "passwd"),
        ("/etc/passwd", "etc", "passwd"),
        ("C:\\photos\\a.jpg", "photos", "a.jpg"),
        ("robin/a.jpg", "robin", "a.jpg"),
        ("robin/../a.jpg", "robin", "a.jpg"),
        ("..", "", ""),
        ("", "", ""),
        ("a\x00b\x1b[31m\n.jpg", "", "a␀b␛[31m .jpg"),
        ("x" * 1000 + ".jpg", "", "x" * 196 + ".jpg"),
    ],
)
def test_names_of_files_are_labels(given: str, folder: str, name: str) -> None:
    assert split_name(given) == (folder, name)


def test_no_name_of_a_client_reaches_the_file_system(client: TestClient, tmp_path: Path) -> None:
    names = [
        "../../escape.png",
        "/tmp/escape.png",
        "..\\..\\escape.png",
        "shots.h5",
        "recogniser.json",
        "<img src=x>.png",
    ]
    before = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if "history" not in path.parts)
    for number, name in enumerate(names):
        given = files((name, png("blue", number)))
        (answer,) = client.post("/predict", files=given).json()["answers"]
        assert "/" not in answer["file"]
        assert "\\" not in answer["file"]
        client.post("/classes" if number == 0 else "/classes/blue/photos", data={"name": "blue"}, files=given)
    assert client.get("/classes").json()["classes"][0]["photos"] == len(names)
    after = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if "history" not in path.parts)
    assert after == before
    assert not Path("/tmp/escape.png").exists()


def test_html_in_names_stays_text_in_json(client: TestClient) -> None:
    name = "<script>alert(1)<:script>"
    response = client.post("/classes", data={"name": name}, files=pictures("blue", range(2)))
    assert response.headers["content-type"] == "application/json"
    response = client.get("/classes")
    assert name in [one["name"] for one in response.json()["classes"]]
    assert response.headers["x-content-type-options"] == "nosniff"
    body = problem(client.post("/predict", files=files(("<b>\x1b[2J.png", b"x"))), 422)
    assert "\x1b" not in json.dumps(body, ensure_ascii=False)


def test_a_bomb_is_refused_by_its_header(client: TestClient) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (30_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(2**20))) + chunk(b"IEND", b"")
    )
    body = problem(client.post("/predict", files=files(("bomb.png", bomb))), 422)
    assert "larger than allowed" in body["detail"]


def test_a_token_file_must_be_private_and_its_token_long(tmp_path: Path) -> None:
    path = tmp_path / "token.txt"
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        read_token(path)
    for mode in (0o400, 0o600, 0o640):  # systemd gives credentials to a group that has its user alone
        path.chmod(mode)
        assert read_token(path) == TOKEN
    path.chmod(0o600)
    for text in ("", "short", "a b " * 10, "é" * 20):
        path.write_text(text)
        with pytest.raises(InputError, match="16 characters or more"):
            read_token(path)
    with pytest.raises(InputError, match="does not exist"):
        read_token(tmp_path / "missing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0"}, "give a token as well"),
        ({"host": "no.such.host.invalid", "token_file": "token"}, "no address of this machine"),
        ({"certificate": Path("cert.pem")}, "go together"),
        ({"certificate": Path("cert.pem"), "key": Path("key.pem")}, "certificate cert.pem is not there"),
        ({"port": 0, "recogniser": Path("missing")}, "missing is not there"),
        ({"port": 0, "recogniser": Path("missing.onnx")}, "does not exist"),
    ],
)
def test_settings_that_cannot_be_served_say_what_to_do(
    colours: Path, tmp_path: Path, options: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    given = {"recogniser": colours, **options}
    if "token_file" in given:
        given["token_file"] = token
    with pytest.raises(InputError, match=message):
        run_server(Settings(**given))  # type: ignore[arg-type]


def test_standard_error_has_no_names_of_photos(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    client.post("/predict", files=files(("secret.png", png("red", 1)), ("secret2.png", b"x")))
    client.post("/classes", data={"name": "hidden"}, files=files(("secret.png", png("blue", 1))))
    printed = capfd.readouterr()
    assert "secret" not in printed.out + printed.err
    assert "hidden" not in printed.out + printed.err
