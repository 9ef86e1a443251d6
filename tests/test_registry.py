"""Registries: how parts are added, found and refused."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import lowshot
from lowshot.errors import InputError, LowshotError
from lowshot.registry import REGISTRIES, Registry


@pytest.fixture
def registry() -> Registry:
    registry = Registry("colour", "lowshot.test_colours", "lowshot.cli")

    @registry.register("red", "the first colour")
    def red(shade: int = 1) -> str:
        return f"red {shade}"

    @registry.register("named", "a colour by name", takes_argument=True)
    def named(name: str, shade: int = 1) -> str:
        return f"{name} {shade}"

    return registry


def test_names_are_found_in_any_case_and_built_with_parameters(registry: Registry) -> None:
    assert registry.build("RED", shade=3) == "red 3"
    assert registry.names() == ["named", "red"]
    assert registry.names("r*") == ["red"]
    assert "Red" in registry
    assert "blue" not in registry


def test_an_argument_after_the_colon_reaches_the_factory(registry: Registry) -> None:
    assert registry.build("named:teal", shade=2) == "teal 2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rad", "Did you mean 'red'"),
        ("red:x", "takes no argument"),
        ("named", "needs an argument"),
        ("zzz", "Known: named, red"),
    ],
)
def test_a_wrong_name_is_an_input_error_that_helps(registry: Registry, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        registry.get(name)


def test_unknown_parameters_are_named_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"no parameter 'shad'\. Did you mean 'shade'"):
        registry.build("red", shad=1)


def test_the_name_of_a_registered_part_is_found_by_the_part(registry: Registry) -> None:
    assert registry.name_of(registry.get("RED")) == "red"
    assert registry.name_of(dict, default="dict") == "dict"
    with pytest.raises(InputError, match="dict is not a registered colour"):
        registry.name_of(dict)


def test_two_parts_of_one_name_are_refused(registry: Registry) -> None:
    with pytest.raises(LowshotError, match="two colour parts are called 'Red'"):
        registry.register("Red", "another")(lambda: None)


def test_every_built_in_part_has_a_description_that_fits_a_line() -> None:
    for registry in REGISTRIES.values():
        entries = list(registry)
        assert not registry.broken
        for entry in entries:
            assert 10 <= len(entry.description) <= 120, entry


def test_a_new_process_finds_every_part_that_the_source_registers() -> None:
    program = """
        from lowshot.registry import REGISTRIES
        for kind, registry in REGISTRIES.items():
            print(kind.upper(), *registry.names())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    found = {kind: set(names) for kind, *names in map(str.split, done.stdout.splitlines())}
    source = Path(lowshot.__file__).parent
    written: dict[str, set[str]] = {kind: set() for kind in found}
    for path in source.rglob("*.py"):
        for kind, name in re.findall(r'^@([A-Z]+)\.register\(\s*"([^"]+)"', path.read_text(), re.MULTILINE):
            if kind in written:
                written[kind].add(name)
    assert found == written


def test_an_installed_package_adds_parts_and_a_broken_one_harms_nobody(tmp_path: Path) -> None:
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lowshot.losses]\nthird_loss = third_party:ThirdLoss\nbroken_loss = no_such_module:Loss\n"
    )
    (tmp_path / "third_party.py").write_text(
        "class ThirdLoss:\n    'the loss of a third party'\n    def __init__(self, power=2): self.power = power\n"
    )
    script = textwrap.dedent("""
        from lowshot.registry import LOSSES
        assert LOSSES.build("third_loss", power=3).power == 3
        assert LOSSES.entry("third_loss").description == "the loss of a third party"
        assert "sgm" in LOSSES
        assert "no_such_module" in LOSSES.broken["broken_loss"]
        try:
            LOSSES.get("broken_loss")
        except Exception as error:
            assert "could not be loaded" in str(error)
    """)
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(tmp_path), "PATH": ""})


def test_a_fresh_process_finds_the_parts_of_subpackages_too() -> None:
    code = "from lowshot.registry import GENERATORS, CLASSIFIERS; print(*GENERATORS.names(), *CLASSIFIERS.names())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"analogies", "calibration", "difference", "logistic", "matching_network", "ridge"} <= set(found)
