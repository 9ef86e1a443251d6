"""The reference is complete, and its examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import lowshot

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PAGES = sorted(REFERENCE.glob("*.md"))


def public_packages() -> dict[str, list[str]]:
    """The packages of lowshot that list public names, with these names."""
    found = {"lowshot": list(lowshot.__all__)}
    for module in pkgutil.walk_packages(lowshot.__path__, "lowshot."):
        if module.ispkg and (names := getattr(importlib.import_module(module.name), "__all__", None)):
            found[module.name] = list(names)
    return found


def _documented(page: str) -> list[str]:
    return re.findall(r"^::: (\S+)", page, re.MULTILINE)


def _examples(page: str) -> str:
    return "\n".join(re.findall(r"^```pycon\n(.*?)^```", page, re.DOTALL | re.MULTILINE))


def _is(one: object, other: object) -> bool:
    return one is other or (isinstance(one, (int, str, tuple, dict)) and one == other)


@pytest.mark.parametrize(("package", "names"), public_packages().items())
def test_every_public_name_is_in_the_reference_with_an_example(package: str, names: list[str]) -> None:
    pages = {page: page.read_text("utf-8") for page in PAGES}
    documented = {module: text for text in pages.values() for module in _documented(text)}
    for name in names:
        value = getattr(importlib.import_module(package), name)
        texts = [
            text
            for module, text in documented.items()
            if name in getattr(importlib.import_module(module), "__all__", ())
            and _is(getattr(importlib.import_module(module), name), value)
        ]
        assert texts, f"{package}.{name} is on no page of docs/reference: add ::: {package} to one"
        used = [text for text in texts if re.search(rf"^(>>>|\.\.\.) .*\b{name}\b", _examples(text), re.MULTILINE)]
        assert used, f"{package}.{name} has no example: use it in a block ```pycon of its page in docs/reference"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_the_reference_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_doctest(_examples(page.read_text("utf-8")), {}, page.stem, str(page), 0)
    printed: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=printed.append)
    assert not printed, "".join(printed)


@pytest.mark.parametrize(
    "module",
    [
        "lowshot.classifiers.nearest_mean",
        "lowshot.data.preprocessing",
        "lowshot.hallucination.analogies.mining",
        "lowshot.representation.backbones",
        "lowshot.representation.pretrained",
    ],
)
def test_the_examples_of_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), extraglobs={})
    assert result.attempted
    assert not result.failed


def test_every_parameter_and_attribute_has_a_line_of_its_own() -> None:
    """The reference shows "a, b (int): …" as one parameter of that odd name."""
    several = re.compile(r"^ +\*{0,2}\w+(?:, \*{0,2}\w+)+ \(.*\): ", re.MULTILINE)
    root = Path(lowshot.__file__).parent
    found = {str(path.relative_to(root)): several.findall(path.read_text("utf-8")) for path in root.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}
