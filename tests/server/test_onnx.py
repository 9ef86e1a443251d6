"""An exported file is served without torch, read-only, and from the packages of the group ``onnx-serve`` alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

from lowshot.recogniser import Recogniser
from lowshot.recogniser.onnx_model import OnnxRecogniser
from tests.recogniser.conftest import photo
from tests.server.conftest import Serve, encoded, files, pictures, png
from tests.server.processes import ROOT
from tests.server.test_api import problem

pytest.importorskip("onnxruntime")


@pytest.fixture
def exported(colours: Path, tmp_path: Path) -> Path:
    Recogniser.load(colours).export_onnx(tmp_path / "colours.onnx")
    return tmp_path / "colours.onnx"


def test_an_exported_file_answers_and_refuses_changes(serve: Serve, exported: Path) -> None:
    client = serve(exported)
    shown = photo("red", 50)
    (answer,) = client.post("/predict?top=2&nearest=2", files=files(("a.png", encoded(shown)))).json()["answers"]
    assert [one["class"] for one in answer.pop("top")] == ["red", "green"]
    assert answer.pop("neighbours") == []
    assert answer == {**OnnxRecogniser(exported).predict([shown])[0].as_dict(), "file": "a.png"}
    problem(client.post("/predict", files=files(("a.png", b"x"))), 422)
    listed = client.get("/classes").json()
    assert [one["name"] for one in listed["classes"]] == ["green", "red"]
    health = client.get("/health").json()
    assert (health["kind"], health["read_only"], health["classes"]) == ("onnx", True, 2)
    assert "lowshot_classes 2" in client.get("/metrics").text
    digest = "0" * 64
    for address in ("/check", "/classes/red", f"/photos/{digest}"):
        problem(client.get(address), 404)
    changes: list[Any] = [
        client.post("/classes", data={"name": "blue"}, files=pictures("blue", range(1))),
        client.post("/classes/red/photos", files=pictures("red", range(5, 6))),
        client.patch("/classes/red", json={"name": "blue"}),
        client.delete("/classes/red"),
        client.patch(f"/classes/red/photos/{digest}", json={"class": "blue"}),
        client.delete(f"/classes/red/photos/{digest}"),
        client.post("/undo"),
    ]
    for response in changes:
        problem(response, 403)


GUARDED = """
import importlib.abc, json, signal, sys, threading, urllib.request, os

path, photo, allowed = sys.argv[1], sys.argv[2], set(json.loads(sys.argv[3]))

class Refusal(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in allowed and not top.startswith("_"):
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Refusal())
from lowshot.cli import run
import lowshot.cli.serve, lowshot.server.running as running

serve = running.serve

def asked(settings, announce):
    def ask(address):
        with open(photo, "rb") as file:
            request = urllib.request.Request(
                address + "predict?top=2", data=file.read(), headers={"Content-Type": "image/png"}
            )
        print(urllib.request.urlopen(request).read().decode())
        for name in ("", "docs", "classes", "health", "metrics"):
            assert urllib.request.urlopen(address + name).status == 200
        os.kill(os.getpid(), signal.SIGINT)
    serve(settings, lambda address: threading.Thread(target=ask, args=(address.split(" ")[-1],)).start())

running.serve = asked
code = run(["serve", path, "--port", "0"])
assert "torch" not in sys.modules and "sklearn" not in sys.modules
sys.exit(code)
"""


def _modules_of(group: list[str]) -> list[str]:
    """The modules of the packages of a group, and of those that these need."""
    needed, waiting = set(), [re.split(r"[<>=!\[; ]", one)[0] for one in group]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in needed:
            continue
        needed.add(name)
        with suppress(PackageNotFoundError):  # another system's or version's
            required = distribution(name).requires or ()
            waiting += [re.split(r"[<>=!\[;( ~]", one)[0] for one in required if "extra ==" not in one]
    modules = packages_distributions()
    return sorted(
        module for module, names in modules.items() if {re.sub(r"[-_.]+", "-", name).lower() for name in names} & needed
    )


def test_serving_a_file_imports_nothing_but_the_group(exported: Path, tmp_path: Path) -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        group = tomllib.load(file)["dependency-groups"]["onnx-serve"]
    allowed = [*_modules_of(group), "lowshot"]
    assert "torch" not in allowed
    assert "sklearn" not in allowed
    (tmp_path / "a.png").write_bytes(png("red", 50))
    command = [
        sys.executable,
        "-c",
        GUARDED,
        str(exported),
        str(tmp_path / "a.png"),
        json.dumps(allowed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["answers"][0]["class"] == "red"
