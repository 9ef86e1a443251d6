"""Every route with each status that it documents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from lowshot.recogniser import Recogniser
from lowshot.recogniser.answers import COLUMNS
from tests.recogniser.conftest import photo
from tests.server.conftest import Serve, encoded, files, pictures, png

BAD = ("bad.png", b"\x89PNG\r\n\x1a\n damaged")


def problem(response: Any, status: int) -> dict[str, Any]:
    """The body of a problem, which says what its status says."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()
    return body


def test_answers_are_those_of_the_library_under_the_names_of_its_files(client: TestClient, colours: Path) -> None:
    shown = [photo("red", 50), photo("green", 51)]
    response = client.post("/predict", files=files(("a.png", encoded(shown[0])), ("b.png", encoded(shown[1]))))
    assert response.status_code == 200
    body = response.json()
    assert body["state"] == 1
    expected = Recogniser.load(colours).predict(shown)
    for name, answer, known in zip(("a.png", "b.png"), body["answers"], expected, strict=True):
        assert tuple(answer) == COLUMNS
        assert answer == {**known.as_dict(), "file": name}


def test_one_image_can_be_the_body_as_it_is(client: TestClient) -> None:
    response = client.post(
        "/predict?file=some/where/x.png", content=png("red", 50), headers={"Content-Type": "image/png"}
    )
    (answer,) = response.json()["answers"]
    assert (answer["file"], answer["class"]) == ("x.png", "red")


def test_the_likeliest_classes_and_the_nearest_photos_are_added_where_asked_for(client: TestClient) -> None:
    response = client.post("/predict?top=5&nearest=4", files=files(("a.png", png("red", 50))))
    (answer,) = response.json()["answers"]
    assert [one["class"] for one in answer["top"]] == ["red", "green"]
    assert answer["top"][0]["probability"] == answer["probability"]
    assert len(answer["neighbours"]) == 4
    first = answer["neighbours"][0]
    assert (first["photo"], first["similarity"]) == (answer["nearest"], answer["similarity"])
    assert first["class"] == "red"
    known = client.get("/classes/red").json()["photos"]
    assert {"photo": first["photo"], "digest": first["digest"]} in known


def test_a_damaged_photo_among_others_has_its_error_and_the_others_their_answers(client: TestClient) -> None:
    response = client.post("/predict", files=files(("a.png", png("red", 50)), BAD, ("c.png", png("green", 50))))
    assert response.status_code == 200
    answers = response.json()["answers"]
    assert [answer["class"] for answer in answers] == ["red", None, "green"]
    assert answers[1]["file"] == "bad.png"
    assert "bad.png" in answers[1]["error"]


def test_a_damaged_photo_alone_is_a_problem_that_names_it(client: TestClient) -> None:
    body = problem(client.post("/predict", files=files(BAD)), 422)
    assert body["file"] == "bad.png"
    large = Image.new("L", (8000, 8000))
    body = problem(client.post("/predict", files=files(("large.png", encoded(large)))), 422)
    assert "larger than allowed" in body["detail"]


def test_requests_that_cannot_be_understood_are_problems(serve: Serve) -> None:
    client = serve(limits={"files": 3, "body_bytes": 20_000})
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(client.post("/predict", content=b"--x\r\nbad", headers=multipart), 400)
    problem(client.post("/predict", content=b"a", headers={"Content-Type": "multipart/form-data"}), 400)
    problem(client.post("/predict", json={"photos": []}), 415)
    problem(client.post("/predict", content=b"", headers={"Content-Type": "image/png"}), 422)
    problem(client.post("/predict", data={"name": "red"}, files={"other": b"x"}), 422)
    problem(client.post("/predict?top=many", files=files(("a.png", png("red", 1)))), 422)
    body = problem(client.post("/predict", files=files(*[(f"{i}.png", b"x") for i in range(4)])), 413)
    assert "at most 3" in body["detail"]
    problem(client.post("/predict", content=b"x" * 30_000, headers={"Content-Type": "image/png"}), 413)
    chunks = (b"x" * 1000 for _ in range(30))  # its length is not announced
    problem(client.post("/predict", content=chunks, headers={"Content-Type": "image/png"}), 413)
    problem(client.get("/nothing"), 404)
    problem(client.put("/classes"), 405)


def test_a_server_that_is_asked_too_much_says_so(serve: Serve) -> None:
    client = serve(limits={"requests": 0})
    response = client.post("/predict", files=files(("a.png", png("red", 1))))
    problem(response, 503)
    assert response.headers["retry-after"]
    client = serve(limits={"changes": 0})
    problem(client.post("/undo"), 503)
    client = serve(limits={"all_bodies_bytes": 10})
    problem(client.post("/predict", files=files(("a.png", png("red", 1)))), 503)
    client = serve(limits={"answer_seconds": 0.0})
    problem(client.post("/predict", files=files(("a.png", png("red", 1)))), 503)


def test_a_recogniser_without_classes_answers_nothing_and_can_be_taught(serve: Serve, tmp_path: Path) -> None:
    Recogniser.create(tmp_path / "empty")
    client = serve(tmp_path / "empty")
    problem(client.post("/predict", files=files(("a.png", png("red", 1)))), 409)
    problem(client.get("/check"), 409)
    assert client.get("/classes").json() == {"state": 0, "undo": None, "classes": []}
    assert client.post("/classes", data={"name": "red"}, files=pictures("red", range(2))).status_code == 201
    assert client.post("/predict", files=files(("a.png", png("red", 9)))).json()["answers"][0]["class"] == "red"


def test_classes_are_listed_with_their_photos(client: TestClient) -> None:
    body = client.get("/classes").json()
    assert (body["state"], body["undo"]) == (1, "taught 6 photos: green (3), red (3)")
    assert [(one["name"], one["photos"], one["base"]) for one in body["classes"]] == [
        ("green", 3, False),
        ("red", 3, False),
    ]
    photos = client.get("/classes/green").json()["photos"]
    assert [one["digest"] for one in photos] == body["classes"][0]["thumbnails"]
    picture = client.get(f"/photos/{photos[0]['digest']}")
    assert picture.content.startswith(b"\xff\xd8")
    assert picture.headers["content-type"] == "image/jpeg"
    assert "immutable" in picture.headers["cache-control"]
    problem(client.get("/classes/blue"), 404)
    for digest in ("0" * 64, "x", "%2e%2e%2fshots.h5", photos[0]["digest"].upper()):
        problem(client.get(f"/photos/{digest}"), 404)


def test_a_new_class_is_known_at_once(client: TestClient) -> None:
    response = client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(3)))
    assert response.status_code == 201
    assert response.json() == {
        "state": 2,
        "added": {"blue": 3},
        "new": ["blue"],
        "repeated": [],
        "unreadable": [],
        "undo": "taught 3 photos: blue (3)",
    }
    body = client.post("/predict", files=files(("a.png", png("blue", 9)))).json()
    assert (body["state"], body["answers"][0]["class"]) == (2, "blue")
    problem(client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(4, 6))), 409)


def test_more_photos_of_a_class_and_repeated_ones(client: TestClient) -> None:
    response = client.post("/classes/red/photos", files=pictures("red", range(5, 7)))
    assert response.json()["added"] == {"red": 2}
    response = client.post("/classes/red/photos", files=pictures("red", range(5, 7)))
    assert response.status_code == 201
    body = response.json()
    assert (body["state"], body["added"], len(body["repeated"])) == (2, {}, 2)
    problem(client.post("/classes/blue/photos", files=pictures("blue", range(2))), 404)


def test_many_classes_are_taught_in_one_change_by_the_names_of_folders(client: TestClient) -> None:
    given = [*pictures("blue", range(2), "blue"), *pictures("red", range(5, 6), "all/red")]
    response = client.post("/classes", files=given)
    assert response.status_code == 201
    assert response.json()["added"] == {"blue": 2, "red": 1}
    assert response.json()["new"] == ["blue"]
    assert client.post("/undo").json()["undone"] == "taught 3 photos: blue (2), red (1)"
    body = problem(client.post("/classes", files=pictures("blue", range(2))), 422)
    assert body["file"] == "0.png"


def test_damaged_photos_stop_teaching_unless_they_are_left_out(client: TestClient) -> None:
    given = [*pictures("blue", range(2)), *files(BAD, ("text.png", b"text"))]
    body = problem(client.post("/classes", data={"name": "blue"}, files=given), 422)
    assert body["file"] == "bad.png"
    assert [one["file"] for one in body["errors"]] == ["bad.png", "text.png"]
    assert client.get("/classes").json()["state"] == 1
    response = client.post("/classes?skip_bad=true", data={"name": "blue"}, files=given)
    assert response.json()["added"] == {"blue": 2}
    assert len(response.json()["unreadable"]) == 2
    problem(client.post("/classes?skip_bad=true", data={"name": "grey"}, files=files(BAD)), 422)


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "a\nb", "a\x00b", "x" * 101, "RED", "\u202ered"])
def test_names_that_no_class_can_have_are_refused(client: TestClient, name: str) -> None:
    problem(client.post("/classes", data={"name": name}, files=pictures("blue", range(1))), 422)
    problem(client.patch("/classes/green", json={"name": name}), 422)
    assert client.get("/classes").json()["state"] == 1


def test_teaching_can_tell_its_progress(client: TestClient) -> None:
    accept = {"Accept": "application/x-ndjson"}
    response = client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(3)), headers=accept)
    assert response.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines[:-1] == [{"done": done, "of": 3} for done in (1, 2, 3)]
    assert lines[-1]["result"]["added"] == {"blue": 3}
    response = client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(3)), headers=accept)
    assert json.loads(response.text)["problem"]["status"] == 409
    response = client.post("/classes", data={"name": "a/b"}, files=pictures("blue", range(3)), headers=accept)
    assert json.loads(response.text)["problem"]["status"] == 422
    response = client.post("/classes/red/photos", files=files(BAD), headers=accept)
    assert json.loads(response.text.splitlines()[-1])["problem"]["file"] == "bad.png"


def test_classes_are_renamed_and_removed(client: TestClient) -> None:
    response = client.patch("/classes/red", json={"name": " crimson? & 100%<b> "})
    assert response.json() == {"state": 2, "undo": "renamed red to crimson? & 100%<b>"}
    address = "/classes/" + quote("crimson? & 100%<b>", safe="")
    assert client.get(address).json()["name"] == "crimson? & 100%<b>"
    assert client.patch(address, json={"name": "red"}).status_code == 200
    assert client.delete("/classes/red").status_code == 200
    assert [one["name"] for one in client.get("/classes").json()["classes"]] == ["green"]


def test_renaming_and_removing_say_what_cannot_be(client: TestClient) -> None:
    problem(client.patch("/classes/blue", json={"name": "navy"}), 404)
    problem(client.patch("/classes/red", json={"name": "green"}), 409)
    problem(client.patch("/classes/red", json={"title": "green"}), 422)
    problem(client.patch("/classes/red", content=b"{", headers={"Content-Type": "application/json"}), 422)
    problem(client.delete("/classes/blue"), 404)
    assert client.delete("/classes/red").json() == {"state": 2, "undo": "removed red"}
    assert [one["name"] for one in client.get("/classes").json()["classes"]] == ["green"]
    assert client.post("/undo").json() == {
        "state": 3,
        "undo": "taught 6 photos: green (3), red (3)",
        "undone": "removed red",
    }


def test_a_photo_is_moved_and_forgotten_even_where_two_classes_have_it(client: TestClient, colours: Path) -> None:
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    assert client.patch(f"/classes/red/photos/{digest}", json={"class": "blue"}).status_code == 200
    assert client.get("/classes/blue").json()["photos"][0]["digest"] == digest
    problem(client.patch(f"/classes/red/photos/{digest}", json={"class": "blue"}), 404)
    problem(client.patch(f"/classes/blue/photos/{digest}", json={"class": "a/b"}), 422)
    problem(client.delete(f"/classes/red/photos/{'0' * 64}"), 404)
    problem(client.delete(f"/classes/grey/photos/{digest}"), 404)
    picture = client.get(f"/photos/{digest}")
    assert picture.status_code == 200
    Recogniser.load(colours).teach({"red": [photo("red", seed) for seed in range(3)]}, keep_repeated=True)
    kept = {name: client.get(f"/classes/{name}").json()["photos"] for name in ("red", "blue")}
    assert digest in [one["digest"] for one in kept["red"]]
    assert client.delete(f"/classes/red/photos/{digest}").status_code == 200
    assert client.get("/classes/blue").json()["photos"] == kept["blue"]
    assert client.delete(f"/classes/blue/photos/{digest}").json()["undo"].startswith("removed photo blue/")
    assert "blue" not in [one["name"] for one in client.get("/classes").json()["classes"]]


def test_undo_of_a_state_takes_back_no_change_that_came_after_it(client: TestClient, colours: Path) -> None:
    mine = client.patch("/classes/red", json={"name": "crimson"}).json()["state"]
    client.patch("/classes/green", json={"name": "lime"})  # somebody else's
    assert "something else was changed" in problem(client.post(f"/undo?state={mine}"), 409)["detail"]
    assert sorted(client.get("/classes/lime").json()) == ["base", "name", "photos", "state"]
    last = client.patch("/classes/lime", json={"name": "green"}).json()["state"]
    assert client.post(f"/undo?state={last}").json()["undone"] == "renamed lime to green"
    Recogniser.load(colours).rename("lime", "emerald")  # by another process, which the server has not noticed yet
    problem(client.post(f"/undo?state={last + 1}"), 409)
    problem(client.post("/undo?state=two"), 422)


def test_heads_are_those_of_the_whole(client: TestClient) -> None:
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    for address in ("/", "/health", "/classes", "/docs", f"/photos/{digest}"):
        whole, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "content-security-policy"):
            assert head.headers[name] == whole.headers[name]
    assert client.head("/nothing").status_code == 404
    assert client.head("/undo").status_code == 405


def test_there_may_be_nothing_to_undo(client: TestClient) -> None:
    assert client.post("/undo").json()["undo"] is None
    problem(client.post("/undo"), 409)


def test_findings_come_with_requests_that_mend_them(client: TestClient) -> None:
    client.post("/classes/red/photos", files=pictures("green", range(8, 9)))
    client.post("/classes/red/photos", files=pictures("red", range(9, 12)))
    client.post("/classes/green/photos", files=pictures("green", range(9, 12)))
    body = client.get("/check").json()
    (wrong,) = [finding for finding in body["findings"] if finding["kind"] == "wrong label"]
    assert wrong["photos"] == ["red/8.png"]
    fix = wrong["fixes"][0]
    assert fix["label"] == "Move to green"
    assert client.request(fix["method"], fix["path"], json=fix["body"]).status_code == 200
    again = client.get("/check").json()
    assert again["state"] == body["state"] + 1
    assert not [finding for finding in again["findings"] if finding["kind"] == "wrong label"]
    assert again["accuracy"]["n"] == 13
    assert 0 <= again["accuracy"]["low"] <= again["accuracy"]["value"] <= again["accuracy"]["high"] <= 1
    for finding in again["findings"]:
        assert all("--" not in text for text in (finding["text"], finding["advice"]))


def test_the_same_picture_in_two_classes_can_be_forgotten_in_either(client: TestClient, colours: Path) -> None:
    Recogniser.load(colours).teach({"green": [photo("red", 0)]}, keep_repeated=True)
    (found,) = [one for one in client.get("/check").json()["findings"] if one["kind"] == "two classes"]
    assert [fix["label"] for fix in found["fixes"]] == ["Forget it in green", "Forget it in red"]
    assert client.request(found["fixes"][0]["method"], found["fixes"][0]["path"]).status_code == 200
    assert [one["photos"] for one in client.get("/classes").json()["classes"]] == [3, 3]


def test_health_says_what_is_served(client: TestClient, colours: Path) -> None:
    body = client.get("/health").json()
    assert body.pop("version")
    assert body == {
        "status": "ok",
        "token": False,
        "recogniser": "colours",
        "classes": 2,
        "photos": 6,
        "state": 1,
        "read_only": False,
        "kind": "folder",
    }


def test_a_folder_that_is_gone_leaves_the_last_state_and_says_so(client: TestClient, colours: Path) -> None:
    assert client.get("/health").json()["status"] == "ok"
    shutil.rmtree(colours)
    body = client.get("/health").json()
    assert body["status"] == "stale"
    assert "recogniser" in body["detail"]
    assert client.post("/predict", files=files(("a.png", png("red", 50)))).status_code == 200
    problem(client.delete("/classes/red"), 503)


def test_another_network_in_the_folder_is_not_answered_with(client: TestClient, colours: Path) -> None:
    state = json.loads((colours / "recogniser.json").read_text())
    state["backbone"]["name"], state["number"] = "another", 2
    (colours / "recogniser.json").write_text(json.dumps(state))
    body = client.get("/health").json()
    assert (body["status"], body["state"]) == ("stale", 1)
    assert "start the server again" in body["detail"]
    problem(client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(2))), 503)


def test_a_failure_of_the_server_is_a_problem_and_a_few_lines_on_standard_error(
    client: TestClient, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(client.service, "answers", fail)  # type: ignore[attr-defined]
    body = problem(client.post("/predict", files=files(("a.png", png("red", 1)))), 500)
    assert "fault" not in body["detail"]
    assert "RuntimeError: a fault" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_unchanged_and_said_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lowshot.recogniser.folder.append_shots", refuse)
        response = client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(2)))
        assert "No space left" in problem(response, 503)["detail"]
        assert response.headers["retry-after"]
    assert client.get("/classes").json()["state"] == 1
    assert client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(2))).status_code == 201


def test_changes_of_other_processes_are_seen(client: TestClient, colours: Path) -> None:
    assert client.get("/classes").json()["state"] == 1
    Recogniser.load(colours).teach({"blue": [photo("blue", seed) for seed in range(3)]})
    body = client.post("/predict", files=files(("a.png", png("blue", 9)))).json()
    assert (body["state"], body["answers"][0]["class"]) == (2, "blue")
    Recogniser.load(colours).rename("blue", "navy")
    assert client.delete("/classes/navy").json() == {"state": 4, "undo": "removed navy"}


def test_a_read_only_server_answers_and_changes_nothing(serve: Serve, colours: Path) -> None:
    client = serve(read_only=True)
    before = {path: path.read_bytes() for path in colours.rglob("*") if path.is_file()}
    digest = client.get("/classes/red").json()["photos"][0]["digest"]
    changes: list[Callable[[], Any]] = [
        lambda: client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(2))),
        lambda: client.post("/classes/red/photos", files=pictures("red", range(5, 6))),
        lambda: client.patch("/classes/red", json={"name": "blue"}),
        lambda: client.delete("/classes/red"),
        lambda: client.patch(f"/classes/red/photos/{digest}", json={"class": "green"}),
        lambda: client.delete(f"/classes/red/photos/{digest}"),
        lambda: client.post("/undo"),
    ]
    for change in changes:
        problem(change(), 403)
    assert client.post("/predict", files=files(("a.png", png("red", 9)))).status_code == 200
    assert client.get("/check").status_code == 200
    assert client.get("/health").json()["read_only"] is True
    assert before == {path: path.read_bytes() for path in colours.rglob("*") if path.is_file()}


def test_metrics_count_requests_by_route_and_status(client: TestClient) -> None:
    client.post("/predict", files=files(("a.png", png("red", 9)), ("b.png", png("red", 10))))
    client.get("/classes/red")
    client.get("/made/up/path")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    assert values['lowshot_requests_total{method="POST",route="/predict",status="200"}'] == "1"
    assert values['lowshot_requests_total{method="GET",route="/classes/{name}",status="200"}'] == "1"
    assert values['lowshot_requests_total{method="GET",route="other",status="404"}'] == "1"
    assert values['lowshot_request_seconds_bucket{route="/predict",le="+Inf"}'] == "1"
    assert float(values["lowshot_batch_photos_sum"]) == 2
    assert (values["lowshot_state"], values["lowshot_classes"], values["lowshot_photos"]) == ("1", "2", "6")
    assert float(values["lowshot_resident_bytes"]) > 10**6
    assert "made" not in response.text


def test_the_description_covers_every_route_and_status(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            for status, response in route["responses"].items():
                assert response["description"], (path, method, status)
                if int(status) >= 400:
                    (media,) = response["content"]
                    assert media == "application/problem+json", (path, method, status)
    schema = description["components"]["schemas"]["AnswerBody"]["properties"]
    assert tuple(schema)[: len(COLUMNS)] == COLUMNS
    assert "photos" in json.dumps(description["paths"]["/predict"]["post"]["requestBody"])


def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "http" not in page.replace("http-equiv", "")
    for address in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
        assert address in page
        assert client.get(address).status_code == 200
    problem(client.get("/docs/../../../etc/passwd"), 404)
    problem(client.get("/docs/index.html.map"), 404)
    problem(client.get("/page/%2e%2e/app.py"), 404)
    tag = client.get("/docs").headers["etag"]
    assert client.get("/docs", headers={"If-None-Match": tag}).status_code == 304
