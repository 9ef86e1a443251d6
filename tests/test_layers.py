"""The layers of the package: a folder imports only folders before it, and no modules import each other in a circle."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import lowshot

ROOT = Path(lowshot.__file__).parent
LAYERS = [
    *("errors", "escaping", "trees", "parameters", "citations", "papers", "registry", "plugins", "checks"),
    *("devices", "progress", "exits", "ranks", "lazy", "plotting"),
    *(
        "files",
        "contents",
        "estimator_files",
        "torch_files",
        "parallel",
        "data",
        "classifiers",
        "hallucination",
        "representation",
        "features",
        "testing",
    ),
    *("benchmark", "recogniser", "server", "recipe", "report", "pipeline", "compat", "cli"),
]


def name_of(path: Path) -> str:
    parts = ["lowshot", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node, those of functions too, but not the ones under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from walk(child)


@functools.cache
def imports(module: str) -> frozenset[str]:
    """The modules of lowshot that a module imports, inside functions and on first use (``lowshot.lazy``) too."""
    found: set[str] = set()
    for node in walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:  # `from package import name` imports a module of that name, or from the package
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "on_first_use":
            for name in ast.literal_eval(node.args[1]):
                found.add(name if "lowshot." in name else f"{module}.{name}")
    return frozenset(found & MODULES.keys() - {module, "lowshot"})


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"lowshot", "lowshot.__main__"}))
def test_a_module_imports_only_layers_before_its_own(module: str) -> None:
    assert not {other for other in imports(module) if layer(other) > layer(module)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({module: imports(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_contributing_states_the_same_order() -> None:
    page = (ROOT.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    block = page.split("imports form no circle; a test holds both:\n")[1].split("\n\n")[0]
    assert block.split() == [name for name in LAYERS if (ROOT / name).exists() or (ROOT / f"{name}.py").exists()]
