"""The command line: exit codes, messages, help. What the commands do is tested where it is done."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lowshot import pipeline
from lowshot.cli import run
from lowshot.cli.app import app
from lowshot.parallel.engines import Engine
from lowshot.recipe import load_recipe

COMMANDS = [
    "demo",
    "run",
    "split",
    "train",
    "extract",
    "fit-generator",
    "fit-classifier",
    "tune",
    "evaluate",
    "episodes",
    "report",
    "list",
    "validate",
    "convert",
]
RECOGNISERS = ["teach", "predict", "classes", "check", "suggest", "serve", "export"]
RECIPE = {"recipe", "overrides", "force", "dry_run", "output"}
ENGINE = {"engine", "workers", "address"}
OPTIONS = {
    "demo": {"overrides", "output", *ENGINE},
    "run": {"devices", *RECIPE, *ENGINE},
    "split": RECIPE,
    "train": {"devices", *RECIPE},
    "extract": {"devices", *RECIPE, *ENGINE},
    "fit-generator": RECIPE,
    "fit-classifier": RECIPE,
    "tune": {*RECIPE, *ENGINE},
    "evaluate": {*RECIPE, *ENGINE},
    "episodes": {*RECIPE, *ENGINE},
    "report": {"sources", "force", "dry_run", "output", "metric", "paper"},
    "list": {"what", "pattern", "parameters", "bibtex", "plugins"},
    "validate": {"recipe", "overrides", "output", "deep"},
    "convert": {"source", "target", "to", "model", "features", "setup", "query_steps", "names", "force"},
    "teach": {
        *{"recogniser", "photos", "class_name", "origin", "representation", "method", "backbone", "views"},
        *{"classifier", "unknown_at", "skip_bad", "keep_repeated", "no_thumbnails"},
    },
    "predict": {"recogniser", "photos", "output", *ENGINE},
    "classes": {"recogniser", "rename", "remove", "move", "forget", "undo"},
    "check": {"what", "as_json", "most"},
    "suggest": {"recogniser", "photos", "n"},
    "serve": {
        *{"recogniser", "host", "port", "read_only", "token_file", "workers", "allow_host", "certificate", "key"},
        *{"max_body_mb", "max_files", "max_megapixels"},
    },
    "export": {"recogniser", "onnx"},
}


def test_every_command_is_there_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert [command.name for command in app.registered_commands] == COMMANDS + RECOGNISERS
    for command in COMMANDS + RECOGNISERS:
        assert run([command, "--help"]) == 0
        assert "Usage:" in capsys.readouterr().out


def test_every_command_has_its_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {name: {option.name for option in command.params} for name, command in commands.items()} == OPTIONS


def test_help_lists_the_commands_in_panels_in_the_order_of_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    for title, commands in (("Research", COMMANDS), ("Recognisers", RECOGNISERS)):
        panel = printed.partition(f"─ {title} ─")[2].partition("╰")[0].splitlines()
        assert [line.split()[1] for line in panel if line.startswith("│")] == commands


RUNNING = [name for name in COMMANDS if OPTIONS[name] >= {"overrides", "output"} and name != "validate"]


@pytest.mark.parametrize("command", RUNNING)
def test_every_option_of_a_recipes_command_arrives(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = OPTIONS[command]
    called: list[tuple[tuple[object, ...], dict[str, object]]] = []
    monkeypatch.setattr("lowshot.pipeline.recogniser_demo.demonstrate", lambda folder, say: None)
    monkeypatch.setattr(pipeline, "run_recipe", lambda *args, **kwargs: called.append((args, kwargs)))
    values = {"output": Path("results"), "devices": 3, "engine": "ray", "workers": 2, "address": "auto"}
    arguments = [f"--{name}={value}" for name, value in values.items() if name in options]
    arguments += [f"--{name.replace('_', '-')}" for name in ("force", "dry_run") if name in options]
    assert run([command, *(["mine"] if command != "demo" else []), "seed=1", *arguments]) == 0
    ((args, kwargs),) = called
    assert args == ("mine" if command != "demo" else "glyphs", ["seed=1"])
    assert kwargs == {
        "only": None if command in ("demo", "run") else command,
        "dry_run": "dry_run" in options,
        "force": "force" in options,
        "devices": 3 if "devices" in options else None,
        "output": Path("results"),
        "engine": Engine("ray", 2, "auto") if "engine" in options else Engine(),
    }


def test_every_option_of_validate_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[tuple[object, ...], dict[str, object]]] = []
    monkeypatch.setattr(pipeline, "validate_recipe", lambda *args, **kwargs: called.append((args, kwargs)) or "sound")
    assert run(["validate", "mine", "seed=1", "--deep", "-o", "results"]) == 0
    assert called == [(("mine", ["seed=1"]), {"output": Path("results"), "deep": True})]


def test_every_command_that_takes_a_recipe_shows_how(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = []
    for name in sorted({*COMMANDS} - {"demo", "list", "validate", "convert"}):
        assert run([name, "--help"]) == 0
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        shown += [shlex.split(line) for line in lines if line.startswith(f"lowshot {name} ")]
        assert shown, name
        assert shown[-1][1] == name
    for _, name, recipe, *rest in shown:
        changes = list(itertools.takewhile(lambda word: not word.startswith("-"), rest))
        if name != "report" or recipe == "cifar100":
            load_recipe("cifar100", changes)


@pytest.mark.parametrize("width", ["60", "150"])
def test_help_flows_with_the_terminal(
    width: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert run(["demo", "--help"]) == 0
    prose = capsys.readouterr().out.partition("The same as")[2].partition("╭")[0].strip().splitlines()
    assert all(len(line.rstrip()) > int(width) * 0.7 for line in prose[:-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "no_such_recipe"], "recipe no_such_recipe does not exist"),
        (["report", "nowhere"], "nowhere is neither results (a folder with results.jsonl"),
        (["run", "cifar100", "data.root=/no/such/folder"], "data root /no/such/folder does not exist"),
        (["run", "cifar100", "train.epohcs=1"], "Did you mean 'epochs'"),
        (["run", "cifar100", "train.epochs=many"], "train.epochs"),
        (["validate", "cifar100", "train.loss=sgn", "train.loss_weight=1"], "Did you mean 'sgm'"),
        (["list", "los"], "Did you mean 'losses'"),
        (["list", "losses", "--match", "zzz*"], "nothing in losses matches"),
    ],
)
def test_a_mistake_exits_with_2_and_names_the_thing(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_usage_errors_exit_with_2() -> None:
    assert run(["no-such-command"]) == 2
    assert run(["run"]) == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from lowshot import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"lowshot {__version__}\n"


def test_list_shows_the_parts_of_a_plugin_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "listed.py"
    plugin.write_text(
        "from lowshot.registry import LOSSES\n\n"
        "@LOSSES.register('listed_loss', 'a loss of a plug-in')\n"
        "def listed_loss():\n    raise NotImplementedError\n"
    )
    assert run(["list", "losses", "--plugins", str(plugin)]) == 0
    out = capsys.readouterr().out
    assert "listed_loss" in out
    assert "listed.py" in "".join(out.split())
    assert run(["list", "--plugins", str(tmp_path / "none.py")]) == 2


def test_list_names_every_kind_of_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    printed = capsys.readouterr().out
    for name in (
        "sgm",
        "batch_sgm",
        "feature_l2",
        "logistic",
        "resnet101",
        "timm:NAME",
        "glyphs",
        "image_zip",
        "cifar100",
    ):
        assert name in printed
    assert run(["list", "losses", "--parameters"]) == 0
    assert "resnet10" not in capsys.readouterr().out


def test_a_user_never_sees_a_traceback_for_a_mistake() -> None:
    done = subprocess.run([sys.executable, "-m", "lowshot", "run", "nowhere.yaml"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nowhere.yaml does not exist" in done.stderr
