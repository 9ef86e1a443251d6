"""docs/serving.md is true: its requests run, its service and its images name what exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from lowshot.cli.app import app
from lowshot.recogniser import Recogniser
from tests.recogniser.conftest import photo
from tests.server.conftest import Serve
from tests.server.processes import ROOT, running

PAGE = (ROOT / "docs" / "serving.md").read_text()


def _options() -> set[str]:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {name for option in command.params for name in option.opts if name.startswith("--")}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_requests_of_the_page_are_answered(tiny: None, tmp_path: Path) -> None:
    birds = Recogniser.create(tmp_path / "birds")
    birds.teach(
        {name: [photo(colour, seed) for seed in range(3)] for name, colour in (("robin", "red"), ("wren", "green"))}
    )
    for name, colour in {"new": "red", "other": "green", "owl": "blue", "jay": "grey"}.items():
        for number in ["", *"1234"] if name in ("owl", "jay") else [""]:
            photo(colour, 50 + int(number or 0)).save(tmp_path / f"{name}{number}.jpg", quality=95)
    commands = re.findall(r"^    (curl .*)$", PAGE, re.MULTILINE)
    assert len(commands) >= 12
    with running(tmp_path / "birds") as server:
        for command in commands:
            words = shlex.split(command.replace("http://localhost:8080", server.address))
            done = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True, cwd=tmp_path)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert Recogniser.load(tmp_path / "birds").shots() == {"barn owl": 4, "jay": 1, "robin": 3, "wren": 3}


def test_the_page_lists_every_address_and_option(serve: Serve) -> None:
    paths = serve().get("/openapi.json").json()["paths"]
    shown = {re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path) for path in paths}
    table = PAGE.partition("| request | answers |")[2].partition("\n\n")[0]
    assert set(re.findall(r"(/[\w/]+)", table)) == shown
    assert _options() - {"--help"} <= set(re.findall(r"--[\w-]+", PAGE.partition("## For colleagues")[0])) | {"--help"}


def test_the_unit_starts_a_command_that_exists_and_is_confined() -> None:
    (unit,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    values = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    words = shlex.split(values["ExecStart"])
    assert words[0].endswith("/lowshot")
    assert words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= _options()
    assert values["DynamicUser"] == values["NoNewPrivileges"] == "yes"
    assert "%d/token" in words
    assert values["LoadCredential"].startswith("token:")


def test_the_dockerfile_copies_installs_and_starts_what_exists() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps: list[Any] = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    stages: list[str] = []
    for word, rest in steps:
        if word == "FROM":
            source, _, name = rest.partition(" AS ")
            assert source in stages or source.startswith("python:3.12-slim")
            stages.append(name)
        elif word == "COPY":
            words = rest.split()
            if words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in stages
            else:
                assert all((ROOT / one).exists() for one in words[:-1])
    text = "\n".join(" ".join(step) for step in steps)
    for extra in re.findall(r'"\.\[([\w,]+)\]"', text)[0].split(","):
        assert extra in project["project"]["optional-dependencies"]
    (group,) = re.findall(r"--group ([\w-]+)", text)
    assert group in project["dependency-groups"]
    assert 'ENTRYPOINT ["lowshot", "serve"]' in text
    assert "lowshot" in project["project"]["scripts"]
    final = text[text.rindex("USER ") :]
    assert final.startswith("USER 10001")
    ignored = (ROOT / ".dockerignore").read_text()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src"):
        assert f"!{name}" in ignored
